"""What stands above the fold of a report: pictures, one chart, what looks wrong, the arms."""

from __future__ import annotations

from dataclasses import replace

from vidseg.report.advice import behind, merged
from vidseg.report.arms import in_words, label_cost, label_seconds, price_notes
from vidseg.report.document import (
    Bullets,
    Figure,
    Picture,
    Pictures,
    Section,
    Strip,
    Table,
    Text,
)
from vidseg.report.facts import Kind, Report, SettingFacts
from vidseg.report.hints import one_line
from vidseg.report.wording import MISSING, count, number, points
from vidseg.tasks.registry import find_task

HINTS = 4
CHARTED = ("curve", "exchange", "comparisons")
"""Sections whose first figure may stand in front, the telling one first."""


def hints(report: Report) -> Section | None:
    """Return what a reader should not miss, :data:`HINTS` lines at most."""
    lines = _hints(report)[:HINTS]
    return Section("What looks wrong", "hints", [Bullets(lines)]) if lines else None


def more_hints(report: Report) -> Section | None:
    """Return the lines for which there is no place in front."""
    lines = _hints(report)[HINTS:]
    return Section("What else looks wrong", "more", [Bullets(lines)]) if lines else None


def _hints(report: Report) -> list[str]:
    return [f"{line}." for line in (*report.hints, *one_line(merged(report), "arm"))]


def arms(report: Report) -> Section | None:
    """Return every arm in words, with what its labels cost and how it scored."""
    best = _of_each_arm(report)
    if len(best) < 2:
        return None
    rows = [_arm_row(report, one) for one in best]
    several = len({one.pipeline for one in report.settings}) > 1
    head = ["arm", "advice", "which frames are labelled", "frames", "minutes"]
    head += [f"{report.unit}, %", "below the best"]
    notes = [
        "Frames: distinct ones of all videos that need labels.",
        *price_notes(report, best),
        "Score: mean over the scenes in which all arms have one"
        + (", with the pipeline that is best on the arm." if several else ".")
        + f" As good as the best: shown less than {_delta(report)} below it.",
    ]
    return Section("The arms", "arms", [Table("The arms", head, rows, notes=notes)])


def _of_each_arm(report: Report) -> list[SettingFacts]:
    """Return of each arm the setting with the highest score."""
    best: dict[str, SettingFacts] = {}
    for one in report.settings:
        mean, known = _mean(report, one), best.get(one.arm)
        if known is None or (mean or 0.0) > (_mean(report, known) or 0.0):
            best[one.arm] = one
    return list(best.values())


def main_settings(report: Report) -> list[str]:
    """Return the settings whose pictures stand in front: the choice, and what the lead compares."""
    names = [report.chosen.name] if report.chosen else []
    lead, kind = report.lead, report.kind
    if lead is not None and kind is Kind.GAIN_CURVE:
        names += [report.curves[lead].settings[place] for place in (0, -1)]
    elif lead is not None and kind is Kind.ISO_BUDGET:
        rows = report.grids[lead].settings
        names += [rows[0][-1], rows[-1][0]]
    elif lead is not None:
        names += [report.pairs[lead].a, report.pairs[lead].b]
    scored = {one.name: one for one in report.settings if report.primary in one.scores}
    found = [name for name in dict.fromkeys(names) if name in scored]
    if not found and scored:
        found = [max(scored, key=lambda name: scored[name].scores[report.primary])]
    return found


def pictures(report: Report) -> Section | None:
    """Return the worst, median and best test frame of the main arms."""
    strips = [strip for name in main_settings(report) if (strip := _strip(report, name)).pictures]
    if not strips:
        return None
    words = find_task(report.task).words
    note = f"Test frames of held-out scenes, by {report.unit} of the frame."
    block = Pictures(strips, list(words.legend), note)
    return Section("What it looks like", "pictures", [block])


def _strip(report: Report, name: str) -> Strip:
    one = report.setting(name)
    several = len({setting.pipeline for setting in report.settings}) > 1
    mean = points(_mean(report, one), sign=False)
    words, unit = in_words(report, one), report.unit
    return Strip(
        title=one.arm + (f", {one.pipeline}" if several else ""),
        mark=standing if (standing := _standing(report, one)) != MISSING else "",
        text=f"{words[:1].upper()}{words[1:]}: {label_cost(one)} of labels; {unit} {mean} %.",
        pictures=[
            Picture(
                shot.jpeg,
                shot.width,
                shot.height,
                f"{shot.rank}, {points(shot.score, sign=False)} %: {shot.video}, "
                f"frame {shot.frame}",
            )
            for shot in report.pictures
            if shot.setting == name
        ],
    )


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
        number(label_seconds(one)[0] / 60, 2),
        points(_mean(report, one), sign=False),
        MISSING if lost is None else points(lost, sign=False),
    ]


def _standing(report: Report, one: SettingFacts) -> str:
    chosen = report.chosen
    if one.oracle:
        return "oracle"
    if report.unbeaten is not None:
        return MISSING
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
