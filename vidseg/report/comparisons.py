"""The section of a report about comparisons: chart, table, and what limits them."""

from __future__ import annotations

from collections import Counter

from vidseg.report.charts import Bar, forest
from vidseg.report.document import Block, Bullets, Figure, Section, Table
from vidseg.report.facts import Kind, Pair, Report
from vidseg.report.wording import (
    count,
    joined,
    level,
    number,
    p_value,
    points,
    span,
)
from vidseg.stats import Comparison, Verdict
from vidseg.tasks.registry import find_task
from vidseg.utils.text import plural


def comparisons(report: Report) -> Section | None:
    """Return every comparison: chart, table, and what limits it."""
    if not report.pairs:
        return None
    made = [pair for pair in report.pairs if pair.result]
    blocks: list[Block] = []
    if made:
        blocks.append(_forest(report, made))
        blocks.append(_comparison_table(report, made))
    if items := _remarks(report):
        blocks.append(Bullets(items))
    leaky = report.kind is Kind.LEAKAGE
    return Section("Leakage check" if leaky else "Comparisons", "comparisons", blocks)


def _forest(report: Report, pairs: list[Pair]) -> Figure:
    unit = report.unit
    bars = [_bar(report, pair, pair.result) for pair in pairs if pair.result]
    title = f"{unit} differences of {count(len(bars), 'comparison')} with intervals"
    caption = (
        f"Difference b − a in {unit}, points. Large dot: mean over groups; small dots: single "
        f"groups; shaded: within {_delta(report)}, of no interest."
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
        detail=f"{points(result.difference)}, {result.verdict}",
        middle=100 * result.difference,
        low=100 * interval.low,
        high=100 * interval.high,
        solid=interval.bounded,
        dots=[100 * value for value in result.differences.values()],
    )


def _comparison_table(report: Report, pairs: list[Pair]) -> Table:
    levels = list(dict.fromkeys(level(pair.result.interval.level) for pair in pairs if pair.result))
    one = levels[0] if len(levels) == 1 else ""
    head = ["a → b", "pipeline", "groups", "difference", f"{one} interval".strip(), "p"]
    head += ["Holm's p", "verdict", "would show it", "would settle it"]
    secondary = find_task(report.task).secondary
    beside = find_task(report.task).scores[secondary].label if secondary else ""
    head += [beside] * bool(beside)
    rows = [
        _comparison_row(pair, pair.result, not one) + [points(pair.secondary)] * bool(beside)
        for pair in pairs
        if pair.result
    ]
    alike = [i for i in (1, 2) if len({row[i] for row in rows}) == 1]
    head, *rows = ([cell for i, cell in enumerate(row) if i not in alike] for row in [head, *rows])
    floors = sorted({pair.result.p_floor for pair in pairs if pair.result})
    unit = report.unit
    notes = [
        f"Points of {unit}, b − a, paired by group ({_groups(pairs)}); intervals at the level "
        f"nearest to {level(report.level)} that so many groups allow; p: two-sided sign-flip "
        f"test, smallest possible {joined([p_value(p) for p in floors])}"
        + (f"; Holm's p guards all {len(rows)} together and verdicts use it." if rows[1:] else "."),
        f"Equivalent: surely within ±{_delta(report)}. Would show it: about how many groups like "
        "these would show a difference as large as the one seen, with 80 % chance; would settle "
        f"it: show one of {_delta(report)}, or that there is none. Rough, as the spread is known "
        "from these groups only.",
        *[f"{beside.capitalize()}: its difference, in points."] * bool(beside),
    ]
    return Table("Comparisons", head, rows, notes=notes)


def _groups(pairs: list[Pair]) -> str:
    counts = sorted({len(pair.result.groups) for pair in pairs if pair.result})
    ends = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{ends} {plural('group', counts[-1])}"


def _comparison_row(pair: Pair, result: Comparison, with_level: bool) -> list[str]:
    attained = f" ({level(result.interval.level)})" if with_level else ""
    return [
        f"{pair.arm_a} → {pair.arm_b}",
        pair.pipeline,
        str(len(result.groups)),
        points(result.difference),
        span(result.interval) + attained,
        p_value(result.p_value),
        p_value(result.p_adjusted),
        str(result.verdict),
        number(pair.groups_for_seen),
        number(pair.groups_needed if result.verdict is Verdict.CANNOT_TELL else None),
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
    return [*dict.fromkeys(asked), *refused, *alike, *(f"{said}." for said in left_out(report))]


def left_out(report: Report) -> list[str]:
    """Return which groups are missing from comparisons that could be made, and why."""
    counts: Counter[str] = Counter()
    for pair in report.pairs:
        for out in pair.result.left_out if pair.result else ():
            where = "both arms" if out.arm == "both" else str(getattr(pair, out.arm))
            counts[f"Group {out.group}, {out.reason} in {where}: left out of "] += 1
    return [said + count(times, "comparison") for said, times in counts.items()]
