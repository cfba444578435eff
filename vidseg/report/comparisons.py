"""The section of a report about comparisons: chart, table, and what limits them."""

from __future__ import annotations

from collections import Counter

from vidseg.report.charts import Bar, forest
from vidseg.report.document import Block, Bullets, Figure, Section, Table
from vidseg.report.facts import Kind, Pair, Report, Role
from vidseg.report.wording import (
    count,
    joined,
    level,
    p_value,
    points,
    span,
    would_take,
)
from vidseg.stats import Comparison, Verdict
from vidseg.tasks.registry import find_task
from vidseg.utils.text import plural


def comparisons(report: Report) -> Section | None:
    """Return every comparison: chart, tables, and what limits it."""
    if not report.pairs:
        return None
    made = [pair for pair in report.pairs if pair.result]
    checks = [pair for pair in made if pair.role is Role.SENSITIVITY]
    oracles = [pair for pair in made if pair.role is Role.ORACLE]
    counted = [pair for pair in made if not pair.role.alone]
    blocks: list[Block] = []
    if made:
        blocks.append(_forest(report, made))
    if counted:
        blocks.append(_comparison_table(report, counted, "Comparisons"))
    if oracles:
        title = "With an oracle: each by itself, outside the family"
        blocks.append(_comparison_table(report, oracles, title))
    if checks:
        title = "The same with other pipelines: each by itself, outside the family"
        blocks.append(_comparison_table(report, checks, title))
    if items := _remarks(report):
        blocks.append(Bullets(items))
    leaky = report.kind is Kind.LEAKAGE
    return Section("Leakage check" if leaky else "Comparisons", "comparisons", blocks)


def verdict(pair: Pair) -> str:
    """Return the verdict of a comparison in words; an exploratory one has none."""
    if pair.result is None:
        return "not compared"
    return "exploratory" if pair.role is Role.EXPLORATORY else str(pair.result.verdict)


def _forest(report: Report, pairs: list[Pair]) -> Figure:
    unit = report.unit
    bars = [_bar(report, pair, pair.result) for pair in pairs if pair.result]
    title = f"{unit} differences of {count(len(bars), 'comparison')} with intervals"
    caption = (
        f"{unit} of the second arm less that of the first: right of the grey band the second is "
        f"better, left of it worse. Large dot: mean over scenes; small dots: single scenes; grey: "
        f"within {_delta(report)}, of no interest."
    )
    if any(not bar.solid for bar in bars):
        caption += (
            f" Dashed: too few groups for a bounded {level(report.level)} interval, the widest "
            "that exists is drawn."
        )
    return Figure(forest(bars, 100 * report.delta, unit, title), caption)


def _delta(report: Report) -> str:
    return count(round(100 * report.delta, 9), "point")


def _bar(report: Report, pair: Pair, result: Comparison) -> Bar:
    several = len({s.pipeline for s in report.settings}) > 1
    interval = result.interval
    return Bar(
        label=f"{pair.arm_a} → {pair.arm_b}" + (f" · {pair.pipeline}" if several else ""),
        detail=f"{points(result.difference)}, {verdict(pair)}",
        middle=100 * result.difference,
        low=100 * interval.low,
        high=100 * interval.high,
        solid=interval.bounded,
        dots=[100 * value for value in result.differences.values()],
    )


def _comparison_table(report: Report, pairs: list[Pair], title: str) -> Table:
    levels = list(dict.fromkeys(level(pair.result.interval.level) for pair in pairs if pair.result))
    one = levels[0] if len(levels) == 1 else ""
    head = ["a → b", "verdict", "pipeline", "groups", "difference", f"{one} interval".strip(), "p"]
    head += ["Holm's p", "would show it", "would settle it"]
    secondary = find_task(report.task).secondary
    beside = find_task(report.task).scores[secondary].label if secondary else ""
    head += [beside] * bool(beside)
    rows = [
        _comparison_row(pair, pair.result, not one) + [points(pair.secondary)] * bool(beside)
        for pair in pairs
        if pair.result
    ]
    named = any(pair.role is Role.SENSITIVITY for pair in pairs)
    alike = [i for i in (2, 3)[named:] if len({row[i] for row in rows}) == 1]
    alike += [7] * all(pair.role.alone for pair in pairs)
    head, *rows = ([cell for i, cell in enumerate(row) if i not in alike] for row in [head, *rows])
    floors = sorted({pair.result.p_floor for pair in pairs if pair.result})
    unit = report.unit
    notes = [
        f"Points of {unit}, b − a, paired by group ({_groups(pairs)}); intervals at the level "
        f"nearest to {level(report.level)} that so many groups allow; p: two-sided sign-flip "
        f"test, smallest possible {joined([p_value(p) for p in floors])}{_guarded(report, pairs)}",
        f"Equivalent: surely within ±{_delta(report)}. Would show it: about how many groups like "
        "these would show a difference as large as the one seen, with 80 % chance; would settle "
        f"it: show one of {_delta(report)}, or that there is none. Rough, as the spread is known "
        "from these groups only.",
        *[f"{beside.capitalize()}: its difference, in points."] * bool(beside),
    ]
    return Table(title, head, rows, notes=notes)


def _guarded(report: Report, pairs: list[Pair]) -> str:
    """Return which comparisons are guarded together, and what that costs."""
    lead = next((pair for pair in pairs if pair.role is Role.LEAD), None)
    family = [pair for pair in pairs if pair.role is Role.FAMILY]
    said = ""
    if lead:
        named = f"{lead.arm_a} → {lead.arm_b}"
        said = f"; {named} leads and is tested alone"
        if lead.result is None:
            said = f"; {named}, which leads, could not be made"
    if any(pair.role is Role.EXPLORATORY for pair in pairs):
        guarded = max(pair.family for pair in pairs if pair.role is Role.EXPLORATORY)
        taken = f"; what would show or settle them is after Holm's correction over {guarded}"
        said += ": it could not tell, so the others are exploratory and have no verdict"
        return f"{said}{taken if guarded > 1 else ''}."
    if len(family) > 1:
        floor = p_value(min(pair.p_floor for pair in family))
        said += f"; Holm's p guards {len(family)} together, smallest possible {floor}, and "
        said += "verdicts use it"
        if min(pair.p_floor for pair in family) > 1 - report.level:
            said += ": with so few groups none of them can be shown better or worse"
    return f"{said}."


def _groups(pairs: list[Pair]) -> str:
    counts = sorted({len(pair.result.groups) for pair in pairs if pair.result})
    ends = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{ends} {plural('group', counts[-1])}"


def _comparison_row(pair: Pair, result: Comparison, with_level: bool) -> list[str]:
    attained = f" ({level(result.interval.level)})" if with_level else ""
    return [
        f"{pair.arm_a} → {pair.arm_b}",
        verdict(pair),
        pair.pipeline,
        str(len(result.groups)),
        points(result.difference),
        span(result.interval) + attained,
        p_value(result.p_value),
        p_value(result.p_adjusted),
        would_take(pair.groups_for_seen),
        would_take(pair.groups_needed if result.verdict is Verdict.CANNOT_TELL else None),
    ]


def _remarks(report: Report) -> list[str]:
    """Return the questions, then what could not be compared, or not on all groups."""
    asked, refused, alike = [], [], []
    for pair in report.pairs:
        name = f"{pair.a} against {pair.b}"
        if pair.question:
            asked.append(f"{pair.arm_a} → {pair.arm_b}: {pair.question}")
        if pair.result is None:
            refused.append(f"{name}: not compared, {pair.reason}.")
            continue
        if pair.same_frames:
            taken = joined(pair.same_frames)
            alike.append(f"{name}: both arms took the same frames of {taken}.")
        if pair.same_groups:
            alike.append(
                f"{name}: {joined(pair.same_groups)} left out, where both arms trained on the same "
                "frames."
            )
    said = [f"{line}." for line in left_out(report)]
    return [*dict.fromkeys(asked), *refused, *alike, *said]


def left_out(report: Report) -> list[str]:
    """Return which groups are missing from comparisons that could be made, and why."""
    counts: Counter[str] = Counter()
    for pair in report.pairs:
        for out in pair.result.left_out if pair.result else ():
            where = "both arms" if out.arm == "both" else str(getattr(pair, out.arm))
            counts[f"Group {out.group}, {out.reason} in {where}: left out of "] += 1
    return [said + count(times, "comparison") for said, times in counts.items()]
