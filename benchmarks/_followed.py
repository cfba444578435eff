"""What following a rule costs: regret and labels, beside arms that are taken without looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from benchmarks._markdown import table
from benchmarks._rules import RULES, Seen

Row = dict[str, Any]
PRESENT = "within delta, not in a row"
"""The rule of :func:`vidseg.stats.decide` where nothing is shown."""

HEAD = [
    "set", "followed", "cases", "regret, points", "worst", "within 1 point", "frames",
    "at equal labels", f"beside '{PRESENT}'",
]  # fmt: skip


def taken(seen: Seen, delta: float, arms: Sequence[str]) -> dict[str, str]:
    """Return the arm that each rule takes."""
    return {name: arms[rule(seen, delta)] for name, rule in RULES.items()}


def case(rules: Mapping[str, str], scores: Mapping[str, float], frames: Mapping[str, float]) -> Row:
    """Return arm, regret (0..1) and frames of each rule, of each fixed arm and of the best."""
    best = max(scores, key=lambda arm: scores[arm])
    arms = {**rules, **{f"always '{arm}'": arm for arm in scores}, "the best": best}
    return {
        rule: {"arm": arm, "regret": scores[best] - scores[arm], "frames": frames[arm]}
        for rule, arm in arms.items()
    }


def mixed(fixed: Sequence[tuple[float, float]], frames: float) -> float:
    """Return the least regret at so many frames of arms that are drawn without looking.

    Args:
        fixed: (frames, regret) of each arm that is always taken. Two of them drawn with fixed
            chances have what lies between.
        frames: the mean to keep to; not below the cheapest arm's.
    """
    least = [regret for own, regret in fixed if own <= frames]
    for low, high in ((a, b) for a in fixed for b in fixed if a[0] <= frames < b[0]):
        share = (frames - low[0]) / (high[0] - low[0])
        least.append(low[1] + share * (high[1] - low[1]))
    return min(least, default=max(regret for _, regret in fixed))


def summary(rows: Sequence[Row]) -> str:
    """Return regret and frames of every rule, by set, as a Markdown table.

    Args:
        rows: one a case: set, division, followed (:func:`case`). Cases of one division are
            averaged before their spread is taken.
    """
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        lines += [[name, *line] for line in _lines(own)]
    return table(HEAD, lines)


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in rows for name in row["followed"]))
    fixed = [_means(rows, name) for name in names if name.startswith("always")]
    return [_line(rows, name, fixed) for name in names]


def _means(rows: Sequence[Row], name: str) -> tuple[float, float]:
    found = [row["followed"][name] for row in rows if name in row["followed"]]
    return mean(one["frames"] for one in found), mean(one["regret"] for one in found)


def _line(rows: Sequence[Row], name: str, fixed: Sequence[tuple[float, float]]) -> list[str]:
    lost = [100 * row["followed"][name]["regret"] for row in rows if name in row["followed"]]
    frames, regret = _means(rows, name)
    return [
        name, f"{len(lost)} of {len(rows)}", f"{100 * regret:.2f}", f"{max(lost):.1f}",
        f"{sum(loss <= 1 for loss in lost) / len(lost):.0%}", f"{frames:.1f}",
        f"{100 * (regret - mixed(fixed, frames)):+.2f}", _beside(rows, name),
    ]  # fmt: skip


def _beside(rows: Sequence[Row], name: str) -> str:
    """Return how much more a rule loses than the present one, with its standard error."""
    by_division: dict[int, list[float]] = {}
    for row in rows:
        if name in row["followed"] and PRESENT in row["followed"]:
            own, present = (row["followed"][rule]["regret"] for rule in (name, PRESENT))
            by_division.setdefault(row["division"], []).append(100 * (own - present))
    means = [mean(values) for values in by_division.values()]
    if len(means) < 2:
        return ""
    return f"{mean(means):+.2f} ({stdev(means) / len(means) ** 0.5:.2f})"
