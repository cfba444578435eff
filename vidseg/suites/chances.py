"""Whether the data of a suite can tell anything, said before it starts."""

from __future__ import annotations

from vidseg.stats import smallest_groups
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.suite import Suite
from vidseg.utils.text import plural


def describe_chances(opened: OpenedSuite) -> list[str]:
    """Return a line for each kind of comparison that can never tell, whatever the scores are.

    And one where the lead comparison is not made.

    Args:
        opened: the opened suite; the groups that its folds test on count.
    """
    groups = len({group for cell in opened.cells for group in cell.fold.test})
    arms = {cell.arm.name for cell in opened.cells}
    return [*missing_lead(opened.suite, arms), *chances(opened.suite, groups, arms)]


def missing_lead(suite: Suite, arms: set[str]) -> list[str]:
    """Return a line where a suite's lead comparison is left out with its arms or pipelines.

    Args:
        suite: the suite.
        arms: names of the arms that are there.
    """
    lead = next((one for one in suite.file.comparisons if one.lead), None)
    if lead is None or (suite.lead is not None and {str(lead.a), str(lead.b)} <= arms):
        return []
    gone = ", ".join(name for name in (str(lead.a), str(lead.b)) if name not in arms)
    why = f"without {gone}" if gone else "no pipeline that counts runs both arms"
    return [
        f"the lead comparison, {lead.a} -> {lead.b}, is not made ({why}): none is tested alone, "
        "Holm's correction guards all together"
    ]


def chances(suite: Suite, groups: int, arms: set[str]) -> list[str]:
    """Return a line for each kind of comparison that so many groups can never tell.

    Args:
        suite: the suite.
        groups: that are tested on.
        arms: names of the arms that are there.
    """
    pairs = _counted(suite, arms)
    if not pairs:
        return []
    level, scenes = suite.file.level, f"{groups} {plural('scene', groups)}"
    least = smallest_groups(level)
    if groups < least:
        return [
            f"{scenes} can never tell: the smallest possible p is {2.0 ** (1 - groups):.3g}; "
            f"{least} are the least"
        ]
    lead = suite.lead in pairs
    family = len(pairs) - lead
    needed = smallest_groups(level, family) if family else 0
    if groups >= needed:
        return []
    who = f"the other {family} comparisons" if lead else f"{family} comparisons"
    marked = any(one.lead for one in suite.file.comparisons)
    rather = "" if marked else ", or mark one of them lead: true, which is tested alone"
    return [
        f"{scenes} can never show {who} better or worse, at most equivalent: after Holm's "
        f"correction the smallest possible p is {family * 2.0 ** (1 - groups):.3g}; {needed} "
        f"scenes are the least{rather}"
    ]


def _counted(suite: Suite, arms: set[str]) -> list[tuple[str, str, str]]:
    """Return (a, b, pipeline) of the comparisons that are no checks and not with an oracle."""
    run = {arm.name: arm.pipelines for arm in suite.arms if arm.name in arms}
    oracles = {arm.name for arm in suite.arms if arm.oracle}
    return [
        (a, b, name)
        for name in suite.pipelines
        if name not in suite.sensitivity
        for a, b, _ in suite.comparisons
        if (a, b, name) == suite.lead or not oracles & {a, b}
        if name in run.get(a, ()) and name in run.get(b, ())
    ]
