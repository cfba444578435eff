"""What to do and how sure that is: the first two sentences of a report, for a hurried reader."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from vidseg.experiment.records import SettingRecord, SuiteRecord
from vidseg.report.arms import fewer_videos, in_words, minutes_of
from vidseg.report.facts import Kind, Report, SettingFacts
from vidseg.report.pairs import few_folds, score_by_group
from vidseg.report.sentence import rate_advice
from vidseg.report.spacing import outreached
from vidseg.report.wording import NOT_FEASIBLE, count, joined, number, points
from vidseg.stats import Decision, Option, Verdict, decide, smallest_groups
from vidseg.tasks.registry import find_task
from vidseg.utils.text import plural


def make_decision(record: SuiteRecord, facts: list[SettingFacts]) -> Decision | None:
    """Return which setting to take, by labels and score; oracles and failures are no option.

    Arms that train on fewer videos than others are none either: their videos are drawn at random.
    Labels cost a human's seconds where every arm's are known, else one each.
    """
    by_name = {setting.name: setting for setting in record.settings}
    drawn = fewer_videos(record.config)
    open_ = [one for one in facts if _open(one) and one.arm not in drawn]
    costs = _costs(open_)
    options = [_option(record, by_name[one.name], one, costs[one.name]) for one in open_]
    frames = {one.labels: by_name[one.name].frames for one in options}
    further = outreached(frames, {one.labels: one.cost for one in options})
    options = [replace(one, instead=tuple(further.get(one.labels, ()))) for one in options]
    return decide(options, record.delta, record.level) if options else None


def _open(setting: SettingFacts) -> bool:
    defined = any(value is not None for value in setting.groups.values())
    return not setting.oracle and defined


def _option(
    record: SuiteRecord, setting: SettingRecord, facts: SettingFacts, cost: float
) -> Option:
    trained = {group: f"{facts.pipeline} {found}" for group, found in facts.trained.items()}
    scores = score_by_group(setting, record.primary)
    return Option(facts.name, cost, scores, trained, facts.arm)


def _timed(settings: Sequence[SettingFacts]) -> bool:
    """Return whether the seconds of a human are counted for the labels of all settings."""
    return all(one.effort.get("seconds") is not None for one in settings)


def _costs(settings: Sequence[SettingFacts]) -> dict[str, float]:
    """Return what the labels of each cost: seconds if they are known of all, else frames."""
    if _timed(settings):
        return {one.name: one.effort["seconds"] for one in settings}
    return {one.name: float(one.labelled) for one in settings}


def _options(report: Report) -> list[SettingFacts]:
    """Return the settings that the decision is among."""
    decision = report.decision
    names = {*decision.means, *decision.same} if decision else set()
    return [one for one in report.settings if one.name in names]


def headline(report: Report) -> str:
    """Return what to do, without statistics."""
    if not any(setting.groups for setting in report.settings):
        return "Nothing can be said: no setting has all its folds."
    if report.kind is Kind.LEAKAGE:
        return _leakage(report)
    if report.kind is Kind.ISO_BUDGET:
        return _rate(report)
    decision, chosen = report.decision, report.chosen
    if decision is None:
        made = any(pair.result for pair in report.pairs)
        why = "there is no second arm to choose from" if made else "nothing is compared"
        return f"No advice: {why}."
    if chosen is None:
        scenes = _scenes(report, decision.compared)
        few = "is" if scenes == "1 scene" else "are"
        return f"No advice yet: {scenes} {few} too few to show anything."
    if report.unbeaten is not None:
        baseline = find_task(report.task).words.baselines.get(report.unbeaten, report.unbeaten)
        return f"No advice yet: '{chosen.arm}' does not beat {baseline}."
    words, trained = f"{in_words(report, chosen)} ('{chosen.arm}')", _pipeline(report, chosen)
    if report.shown:
        return f"Label {words}{trained}.{_spend(report, chosen)}"
    return f"Start with {words}{trained}: the best guess so far, not proven."


def _spend(report: Report, chosen: SettingFacts) -> str:
    """Return what to do with the labels that the choice saves."""
    costs = _costs(_options(report))
    return " Spend the rest on new scenes." if costs[chosen.name] < max(costs.values()) else ""


def _pipeline(report: Report, chosen: SettingFacts) -> str:
    """Return what to train with, where the pipelines differ by what matters on the choice."""
    means = report.decision.means if report.decision else {}
    others = [one.name for one in report.settings if one.arm == chosen.arm and one.name in means]
    if all(means[chosen.name] - means[name] < report.delta for name in others):
        return ""
    return f", and train with {chosen.pipeline}"


def _leakage(report: Report) -> str:
    pair = report.pairs[report.lead] if report.lead is not None else None
    if pair is None or pair.result is None:
        return "The splits could not be compared."
    b = f"'{pair.arm_b}'"
    match pair.result.verdict:
        case Verdict.BETTER:
            return f"Do not trust {_flattering(report)}."
        case Verdict.WORSE:
            return f"The split {b} does not flatter."
        case Verdict.EQUIVALENT:
            return f"The splits {b} and '{pair.arm_a}' score the same."
        case _:
            return _unproven(report, pair.result.difference, b)


def _unproven(report: Report, higher: float, split: str) -> str:
    if higher <= 0:
        return f"Split by scene: whether the split {split} flatters cannot be told yet."
    by = f"{points(higher, sign=False)} {report.unit} points"
    return f"Split by scene. The split {split} scored {by} higher here, which is not proven."


def _flattering(report: Report) -> str:
    """Return every split that is shown to flatter."""
    better = [p for p in report.pairs if p.leaky and p.result and p.told]
    better = [p for p in better if p.result and p.result.verdict is Verdict.BETTER]
    names = list(dict.fromkeys(f"'{pair.arm_b}'" for pair in better))
    return f"the {plural('split', len(names))} {joined(names)}"


def _rate(report: Report) -> str:
    rate = report.grids[report.lead].rate if report.lead is not None else None
    if rate is None:
        return "What a new video is worth cannot be computed."
    advice = rate_advice(rate, report.level)
    return f"{advice or 'We cannot tell yet what a new video is worth'}."


def certainty(report: Report) -> str:
    """Return how sure the headline is, in one sentence."""
    parts = [_certain(report), *_shared_models(report), *_failed(report)]
    return " ".join(f"{part}." for part in parts if part)


def _shared_models(report: Report) -> list[str]:
    """Return that a verdict on fewer folds than scenes is none."""
    scenes = {group for one in report.settings for group in one.groups}
    few = few_folds(report.config.get("split", {}), len(scenes))
    return (
        [f"A first look only: {count(few, 'fold')} of {count(len(scenes), 'scene')}"] if few else []
    )


def _failed(report: Report) -> list[str]:
    if not report.failures:
        return []
    if not any(setting.groups for setting in report.settings):
        return [f"The first error: {str(report.failures[0].get('error')).rstrip('.')}"]
    cells = report.plan.get("cells")
    return [f"{len(report.failures)}{f' of {cells}' if cells else ''} cells failed"]


def _certain(report: Report) -> str:
    if report.kind in (Kind.LEAKAGE, Kind.ISO_BUDGET):
        return _by_evidence(report)
    decision, chosen = report.decision, report.chosen
    if decision is None:
        pair = report.pairs[report.lead or 0] if report.kind is Kind.COMPARISONS else None
        return _by_evidence(report) if pair and pair.result else _only(report)
    if report.unbeaten is not None:
        return "Such scores say little about frames; try more scenes, another extractor or C"
    if chosen is None:
        least = smallest_groups(report.level)
        said = f"The least with which anything can be shown is {count(least, 'scene')}"
    else:
        said = _shown(report, decision, chosen) if report.shown else _open_choice(report, decision)
    return said + _left_out(report, decision)


def _left_out(report: Report, decision: Decision) -> str:
    """Return the scenes that say nothing of the choice, as another arm trained alike there."""
    gone = [group for group in decision.groups if group not in decision.compared]
    if not gone:
        return ""
    one, other = (f"'{report.setting(name).arm}'" for name in decision.nearest)
    return f"; {joined(gone)} left out, where {one} and {other} trained on the same frames"


def _only(report: Report) -> str:
    scored = [s for s in report.settings if report.primary in s.scores and not s.oracle]
    if not scored:
        return ""
    best = max(scored, key=lambda setting: setting.scores[report.primary])
    score = points(best.scores[report.primary], sign=False)
    return f"{best.name} has {report.unit} {score} %, over {_scenes(report, best.groups)}"


def _shown(report: Report, decision: Decision, chosen: SettingFacts) -> str:
    said = f"Shown on {_scenes(report, decision.compared)}: "
    best = report.setting(decision.best)
    if best.name == chosen.name:
        said += f"no other arm tried is {_delta(report)} better"
        return said + _cheaper(report, decision, chosen)
    lost = decision.means[best.name] - decision.means[chosen.name]
    behind = f"{points(lost, sign=False)} behind the best arm tried, '{best.arm}'"
    saved = _saved(report, chosen, best)
    return said + f"it is {behind}, surely less than {_delta(report)}{saved}"


def _cheaper(report: Report, decision: Decision, chosen: SettingFacts) -> str:
    """Return which arm of fewer labels lies within delta, and is not shown to do."""
    costs, own = _costs(_options(report)), decision.means[chosen.name]
    near = [
        one
        for one in map(report.setting, decision.means)
        if costs[one.name] < costs[chosen.name] and own - decision.means[one.name] <= report.delta
    ]
    if not near:
        return ""
    least = min(near, key=lambda one: costs[one.name])
    lost = points(own - decision.means[least.name], sign=False)
    labels = f"{number(least.labelled)} labelled frames instead of {number(chosen.labelled)}"
    return f"; whether '{least.arm}' would do ({labels}, {lost} points behind) is not shown"


def _saved(report: Report, chosen: SettingFacts, best: SettingFacts) -> str:
    """Return what the choice costs instead of the best, where that is less."""
    options = _options(report)
    costs = _costs(options)
    if costs[chosen.name] >= costs[best.name]:
        return ""
    if _timed(options):
        own, theirs = minutes_of(chosen), minutes_of(best)
        return f", with {own} of labelling instead of {theirs}" if own != theirs else ""
    return f", with {number(chosen.labelled)} labelled frames instead of {number(best.labelled)}"


def _open_choice(report: Report, decision: Decision) -> str:
    scenes, needed = _scenes(report, decision.compared), decision.groups_needed
    if needed is None:
        said = f"{scenes} cannot prove it"
    elif needed > NOT_FEASIBLE:
        said = f"{scenes} cannot prove it, and more than {NOT_FEASIBLE} would be needed: "
        said += "not feasible"
    elif needed <= len(decision.compared):
        said = f"{scenes} did not prove it; more like them would"
    else:
        said = f"{scenes} cannot prove it; about {needed} would"
    return said + _passed_over(report, decision) + _extend(report, decision)


def _passed_over(report: Report, decision: Decision) -> str:
    """Return that frames in a row scored higher, where the choice takes their place."""
    if not decision.instead_of:
        return ""
    more = decision.means[decision.instead_of] - decision.means[decision.choice or ""]
    if more <= 0:
        return ""
    scored = f"'{report.setting(decision.instead_of).arm}' scored {points(more, sign=False)} more"
    return f"; {scored}, but frames in a row are taken only where that is proven"


def _extend(report: Report, decision: Decision) -> str:
    """Return that the choice's frames are among those of the best, where they are."""
    own, best = report.frames_of(decision.choice or ""), report.frames_of(decision.best)
    if not own or not best or own == best:
        return ""
    nested = all(set(frames) <= set(best.get(video, ())) for video, frames in own.items())
    arm = report.setting(decision.best).arm
    return f"; its frames are among those of '{arm}', so it can be extended later" if nested else ""


def _by_evidence(report: Report) -> str:
    """Return how sure a suite about splits or new videos is."""
    if report.lead is None:
        return ""
    if report.kind is Kind.ISO_BUDGET:
        rate = report.grids[report.lead].rate
        scenes = _scenes(report, rate.groups if rate else report.groups)
        told = rate is not None and rate_advice(rate, report.level)
        return f"{'Shown on' if told else 'Not shown by'} {scenes}"
    pair = report.pairs[report.lead]
    if pair.result is None:
        return pair.reason[:1].upper() + pair.reason[1:]
    scenes = _scenes(report, pair.result.groups)
    it = "it" if pair.leaky else f"'{pair.arm_b}'"
    by = f"{it} scores {points(pair.result.difference)} {report.unit} points"
    if pair.told:
        return f"Shown on {scenes}: {by} against '{pair.arm_a}'"
    needed = pair.groups_for_seen
    would = f"; about {needed} would" if needed and needed <= NOT_FEASIBLE else ""
    # of a split that scored higher the headline says by how much
    said = "" if pair.leaky and pair.result.difference > 0 else f" ({by})"
    return f"{scenes} cannot prove it{would}{said}"


def _scenes(report: Report, groups: Collection[str]) -> str:
    """Return on how many scenes something stands: ``12 videos, 9 scenes``."""
    videos = sum(str(row.get("group")) in groups for row in report.dataset["videos"])
    scenes = count(len(groups), "scene")
    return f"{videos} videos, {scenes}" if videos > len(groups) else scenes


def _delta(report: Report) -> str:
    return count(round(100 * report.delta, 9), f"{report.unit} point")


def merged(report: Report) -> list[str]:
    """Return a line for the settings that trained on the same frames as another."""
    same = report.decision.same if report.decision else {}
    found: dict[str, list[str]] = {}
    for name, twin in same.items():
        found.setdefault(twin, []).append(name)
    return [
        f"{joined(names)} trained on the same frames as {twin}: one arm"
        for twin, names in found.items()
    ]


def behind(report: Report, name: str) -> float | None:
    """Return how far a setting's mean lies below the best, None if it is no option."""
    if report.decision is None or name not in report.decision.means:
        return None
    lost = report.decision.means[report.decision.best] - report.decision.means[name]
    return lost if math.isfinite(lost) else None
