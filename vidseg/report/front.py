"""What stands above the fold of a report: what looks wrong, the arms, and one chart."""

from __future__ import annotations

from dataclasses import replace

from vidseg.report.advice import behind, merged
from vidseg.report.arms import BOX_SECONDS, POLYGON_SECONDS, in_words
from vidseg.report.document import Bullets, Figure, Section, Table, Text
from vidseg.report.facts import Report, SettingFacts
from vidseg.report.wording import MISSING, count, number, points, seconds

CHARTED = ("curve", "exchange", "comparisons")
"""Sections whose first figure may stand in front, the telling one first."""


def hints(report: Report) -> Section | None:
    """Return what a reader should not miss."""
    lines = [f"{line}." for line in (*report.hints, *merged(report))]
    return Section("Look at this first", "hints", [Bullets(lines)]) if lines else None


def arms(report: Report) -> Section | None:
    """Return every arm in words, with what its labels cost and how it scored."""
    best: dict[str, SettingFacts] = {}
    for one in report.settings:
        mean, known = _mean(report, one), best.get(one.arm)
        if known is None or (mean or 0.0) > (_mean(report, known) or 0.0):
            best[one.arm] = one
    if len(best) < 2:
        return None
    rows = [_arm_row(report, one) for one in best.values()]
    several = len({one.pipeline for one in report.settings}) > 1
    head = ["arm", "advice", "which frames are labelled", "labels", "as boxes", "as polygons"]
    head += [f"{report.unit}, %", "below the best"]
    notes = [
        f"Labels: distinct frames of all videos; {BOX_SECONDS:g} s a box, {POLYGON_SECONDS:g} s a "
        "polygon, one object on each. Score: mean over the scenes in which all arms have one"
        + (", with the pipeline that is best on the arm." if several else ".")
        + f" As good as the best: shown less than {_delta(report)} below it."
    ]
    return Section("The arms", "arms", [Table("The arms", head, rows, notes=notes)])


def _delta(report: Report) -> str:
    return count(round(100 * report.delta, 9), "point")


def _mean(report: Report, setting: SettingFacts) -> float | None:
    means = report.decision.means if report.decision else {}
    return means.get(setting.name, setting.scores.get(report.primary))


def _arm_row(report: Report, one: SettingFacts) -> list[str]:
    lost = behind(report, one.name)
    return [
        one.arm,
        _standing(report, one),
        in_words(report, one),
        number(one.labelled),
        seconds(one.labelled * BOX_SECONDS),
        seconds(one.labelled * POLYGON_SECONDS),
        points(_mean(report, one), sign=False),
        MISSING if lost is None else points(lost, sign=False),
    ]


def _standing(report: Report, one: SettingFacts) -> str:
    chosen = report.chosen
    if one.oracle:
        return "oracle"
    if chosen is not None and one.arm == chosen.arm:
        return "take it" if report.shown else "best guess"
    good = report.decision.shown if report.decision else ()
    return "as good as the best" if one.arm in good else MISSING


def chart(sections: list[Section]) -> tuple[Section | None, list[Section]]:
    """Return the telling figure as a section of its own, and the sections without it."""
    for anchor in CHARTED:
        for place, section in enumerate(sections):
            figure = next((b for b in section.blocks if isinstance(b, Figure)), None)
            if section.anchor != anchor or figure is None:
                continue
            rest = [block for block in section.blocks if block is not figure]
            left = [*sections]
            left[place] = replace(section, blocks=rest)
            return Section(section.title, "chart", [figure]), left
    return None, sections


def evidence(report: Report) -> Section | None:
    """Return the comparison, curve or grid behind the advice, with its statistics."""
    if not report.evidence:
        return None
    return Section("In figures", "evidence", [Text(report.evidence)])
