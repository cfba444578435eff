"""What a human's minutes buy: the effort of each arm beside its score, and the paper's premise."""

from __future__ import annotations

from vidseg.labels.effort import OF_MASKS
from vidseg.report.arms import BOX_SECONDS, LOOK_SECONDS, given
from vidseg.report.document import Block, Bullets, Section, Table
from vidseg.report.facts import Pair, Report, SettingFacts
from vidseg.report.wording import count, joined, number, points, seconds
from vidseg.stats import Verdict

ALMOST = 1.25
"""Up to so many times the minutes of key frames cost "almost the same"."""
_FOUND = {
    Verdict.BETTER: "is better",
    Verdict.WORSE: "is worse",
    Verdict.EQUIVALENT: "does not differ by more than matters",
    Verdict.CANNOT_TELL: "cannot be told from it",
}


def minutes(report: Report) -> Section | None:
    """Return the minutes of each arm, what they say of the paper's premise, and what they buy."""
    arms = _arms(report)
    if not arms:
        return None
    said = [line for line in (_premise(arms), *_bought(report)) if line]
    blocks: list[Block] = [Bullets(said)] if said else []
    return Section("What a human's minutes buy", "minutes", [*blocks, _table(report, arms)])


def _arms(report: Report) -> list[SettingFacts]:
    """Return one setting of each arm whose effort is known; the first is what others cost."""
    found: dict[str, SettingFacts] = {}
    for setting in report.settings:
        if setting.effort.get("seconds"):
            found.setdefault(setting.arm, setting)
    return list(found.values())


def _times(setting: SettingFacts, first: SettingFacts) -> float:
    return setting.effort["seconds"] / first.effort["seconds"]


def _premise(arms: list[SettingFacts]) -> str:
    """Return whether labels on every frame cost almost the same as those of the first arm."""
    first, most = arms[0], max(setting.labelled for setting in arms)
    drawn = {id(one): one.effort["looks"] >= most for one in arms}
    whole = [one for one in arms if 10 * one.labelled >= 9 * most and one.labelled > first.labelled]
    if not whole:
        return ""
    holds = [one for one in whole if _times(one, first) <= ALMOST]
    others = [one for one in whole if one not in holds]
    told = [
        f"{seconds(one.effort['seconds'])} with \u2018{one.arm}\u2019 "
        f"({number(_times(one, first), 3)} times"
        f"{', every frame looked at' if drawn[id(one)] else ''})"
        for one in whole
    ]
    verdict = (
        f"it holds for {joined([one.arm for one in holds])}" if holds else "it holds for no arm"
    )
    if holds and others:
        verdict += f", not for {joined([one.arm for one in others])}"
    return (
        f"The paper's premise, that annotating all frames costs almost the same as key frames: "
        f"{verdict}. \u2018{first.arm}\u2019 take {seconds(first.effort['seconds'])}; labels on "
        f"all frames take {joined(told, 12)}."
    )


def _bought(report: Report) -> list[str]:
    """Return what each comparison with a known effort on both sides found."""
    return [line for pair in report.pairs if (line := _bought_by(report, pair))]


def _bought_by(report: Report, pair: Pair) -> str:
    a, b = report.setting(pair.a), report.setting(pair.b)
    if pair.result is None or not (a.effort.get("seconds") and b.effort.get("seconds")):
        return ""
    spent = b.effort["seconds"] - a.effort["seconds"]
    if abs(spent) <= (ALMOST - 1) * a.effort["seconds"]:
        price = "At about equal minutes"
    else:
        price = f"For {seconds(abs(spent))} {'more' if spent > 0 else 'less'}"
    return (
        f"{price}, \u2018{pair.arm_b}\u2019 against \u2018{pair.arm_a}\u2019 ({pair.pipeline}): "
        f"{points(pair.result.difference)} points; it {_FOUND[pair.result.verdict]}."
    )


def _table(report: Report, arms: list[SettingFacts]) -> Table:
    pipelines = list(dict.fromkeys(setting.pipeline for setting in report.settings))
    scores = {(one.arm, one.pipeline): one.scores.get(report.primary) for one in report.settings}
    rows = [
        [
            one.arm,
            number(one.effort["boxes"]),
            number(one.effort["looks"]),
            number(one.effort["seconds"] / 60),
            number(_times(one, arms[0]), 3),
            number(one.labelled),
            *(points(scores.get((one.arm, pipe)), sign=False) for pipe in pipelines),
        ]
        for one in arms
    ]
    head = ["arm", "boxes drawn", "frames looked at", "minutes", "times", "frames with labels"]
    box, look = (report.config.get(name) for name in ("seconds_per_box", "seconds_per_look"))
    notes = [
        f"{count(len(report.dataset['videos']), 'video')}, each counted once. "
        f"{given(box, BOX_SECONDS)} s a box drawn, {given(look, LOOK_SECONDS)} s a frame looked "
        "at. The human is simulated: true boxes are replayed, and a box is drawn anew where its "
        "IoU with the truth is below the arm's threshold."
    ]
    if any(one.effort.get("of_masks") for one in arms):
        notes.append(f"{OF_MASKS[0].upper()}{OF_MASKS[1:]}.")
    head += [f"{report.unit} %, {pipe}" for pipe in pipelines]
    return Table("Minutes of each arm", head, rows, notes=notes)
