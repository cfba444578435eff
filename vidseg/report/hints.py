"""What looks wrong in a suite's numbers, and what to try: lines for a report."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vidseg.datasets.scenes import AS_GROUPED
from vidseg.experiment.records import Row, RunRecord, SuiteRecord
from vidseg.report.baselines import unbeaten
from vidseg.report.facts import Pair, Role, SettingFacts
from vidseg.report.pairs import alike, carrying, few_folds, score_by_group
from vidseg.report.tuned import end_of_grid
from vidseg.report.wording import count, joined, points
from vidseg.stats import Decision
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task

NAMED = 3
LITTLE = "such scores say little about frames; try more scenes, another extractor or C"
SEEN = 0.0005
"""The smallest difference that is printed as one."""


@dataclass(frozen=True)
class Hint:
    """A line for a reader, and the settings that it is about; none: it is about the whole suite."""

    line: str
    about: frozenset[str] = frozenset()


def make_hints(
    record: SuiteRecord,
    settings: Sequence[SettingFacts],
    pairs: Sequence[Pair],
    decision: Decision | None = None,
    main: Collection[str] = (),
) -> list[Hint]:
    """Return one line for each kind of thing that a reader should not miss.

    Args:
        record: of the suite.
        settings, pairs, decision: its facts; settings that trained like another are left out.
        main: settings that the advice is about; where several could be named they go first.
    """
    task, same = find_task(record.task), decision.same if decision else ()
    own = [one for one in settings if one.name not in same]
    names = sorted((one.name for one in own), key=lambda name: name not in main)
    counted = sorted(pairs, key=lambda pair: not {pair.a, pair.b} & set(main))
    return [
        *_few_folds(record),
        *_kept_apart(record),
        *_no_lead(pairs),
        *_one_group(record, counted, decision),
        *_at_an_end(record, own),
        *_thresholds(record, names, task),
        *_beaten(record, own, task),
        *_empty(record, own, task),
        *_opposite(record, counted, task),
    ]


def in_order(hints: Sequence[Hint], main: Collection[str]) -> tuple[list[str], int]:
    """Return the lines, those that concern the advice first, and how many those are.

    Args:
        hints: of a suite.
        main: settings that the advice is about; none: every line concerns it.
    """
    found = {one.line: not main or not one.about or bool(one.about & set(main)) for one in hints}
    lines = sorted(found, key=lambda line: not found[line])
    return lines, sum(found.values())


def one_line(lines: Sequence[str], kind: str) -> list[str]:
    """Return the first of several lines of a kind, with how many others there are; or none."""
    more = f" (and {count(len(lines) - 1, f'other {kind}')})" if len(lines) > 1 else ""
    return [f"{line}{more}" for line in lines[:1]]


def _first(found: Sequence[Hint]) -> list[Hint]:
    """Return the first line about a comparison, with how many others there are."""
    lines = one_line([one.line for one in found], "comparison")
    return [Hint(line, one.about) for line, one in zip(lines, found, strict=False)]


def _few_folds(record: SuiteRecord) -> list[Hint]:
    """Return that scenes share models, where there are fewer folds than scenes."""
    scenes = len({group for one in record.settings for group in one.group_scores})
    folds = few_folds(record.config.get("split", {}), scenes)
    if not folds:
        return []
    line = (
        f"{count(folds, 'fold')} of {scenes} scenes: scenes that share a model err together, so "
        "equal arms differ significantly more often than a verdict allows (in two folds 12 times "
        "in 100 instead of 5); a first look: `--split leave-one-group-out` gives verdicts"
    )
    return [Hint(line)]


def _kept_apart(record: SuiteRecord) -> list[Hint]:
    """Return how many scenes are counted twice if the pictures are right, not the groups file."""
    pairs = sum(note.endswith(AS_GROUPED) for note in record.notes)
    if not pairs:
        return []
    line = (
        f"{count(pairs, 'pair')} of scenes show one place and count as two each, as the groups "
        "file says; if they are versions of one take, nothing is shown: the notes name them"
    )
    return [Hint(line)]


def _no_lead(pairs: Sequence[Pair]) -> list[Hint]:
    """Return that the lead comparison could not be made, and what that means for the others."""
    return [
        Hint(
            f"the lead comparison, {pair.arm_a} → {pair.arm_b}, could not be made ({pair.reason}): "
            "none is tested alone, Holm's correction guards all together"
        )
        for pair in pairs
        if pair.role is Role.LEAD and pair.result is None
    ]


def _one_group(record: SuiteRecord, pairs: Sequence[Pair], decision: Decision | None) -> list[Hint]:
    """Return which group makes or hides the difference of a comparison, or of the advice."""
    found = [
        _carried(pair.a, pair.b, pair.result.differences, pair.carried, pair.without)
        for pair in pairs
        if pair.result is not None and pair.carried and pair.without is not None
    ]
    rivals = _rivals(record, decision) if decision else None
    if rivals and not any({pair.a, pair.b} == set(rivals) for pair in pairs if pair.result):
        differences = _differences(record, *rivals)
        group, rest = carrying(differences, record.delta)
        if rest is not None:
            found.insert(0, _carried(*rivals, differences, group, rest))
    return _first(found)


def _carried(a: str, b: str, differences: Mapping[str, float], group: str, without: float) -> Hint:
    mean = statistics.fmean(differences.values())
    does = "makes the" if abs(without) < abs(mean) else "hides a"
    line = (
        f"{a} against {b}: one group {does} difference, {group} with "
        f"{points(differences[group])} points; without it the mean is {points(without)} instead of "
        f"{points(mean)}"
    )
    return Hint(line, frozenset((a, b)))


def _rivals(record: SuiteRecord, decision: Decision) -> tuple[str, str] | None:
    """Return the setting that is advised and the best of the other arms, the better one last."""
    arms = {one.name: one.arm for one in record.settings}
    choice, means = decision.choice, decision.means
    others = [name for name in means if choice and arms[name] != arms[choice]]
    if choice is None or not others:
        return None
    rival = max(others, key=lambda name: means[name])
    return (rival, choice) if means[choice] >= means[rival] else (choice, rival)


def _differences(record: SuiteRecord, a: str, b: str) -> dict[str, float]:
    """Return b - a of each group whose models trained on different frames."""
    first, second = (next(s for s in record.settings if s.name == name) for name in (a, b))
    left, right = (score_by_group(one, record.primary) for one in (first, second))
    same = set(alike(first, second)) if first.pipeline == second.pipeline else set()
    values = {g: (left.get(g), right.get(g)) for g in left if g not in same}
    return {g: y - x for g, (x, y) in values.items() if x is not None and y is not None}


def _at_an_end(record: SuiteRecord, settings: Sequence[SettingFacts]) -> list[Hint]:
    """Return which settings mostly chose an end of their grid."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in settings:
        if end := end_of_grid(record.config, one.pipeline, one.tuned):
            found.setdefault(end, []).append(one.name)
    if not found:
        return []
    said = [
        f"{joined(names, NAMED, 'setting')}: most cells chose {parameter} = {value}, an end of the "
        "grid"
        for (parameter, value), names in found.items()
    ]
    about = frozenset(name for names in found.values() for name in names)
    return [Hint(f"{'; '.join(said)}; a better value may lie beyond: widen `tune`", about)]


def _thresholds(record: SuiteRecord, names: Sequence[str], task: Task) -> list[Hint]:
    """Return where scores rank well and decide badly: on whole settings, else on single videos."""
    if record.primary != task.primary:
        return []
    runs = {one.name: one for one in record.settings}
    whole = {name: runs[name].run.headline for name in names}
    if found := _off(whole, "setting", task):
        return [Hint(line, about) for line, about in found]
    first: dict[str, str] = {}
    scores = {(n, video): own for n in names for video, own in runs[n].video_scores.items()}
    for name, video in scores:
        if _is_off(scores[name, video], task):
            first.setdefault(video, name)
    named = {f"{name} on {video}": scores[name, video] for video, name in first.items()}
    about = frozenset(first.values())
    return [Hint(line, about) for line, _ in _off(named, "video", task)]


def _is_off(scores: Mapping[str, float], task: Task) -> bool:
    a, b = task.primary, task.words.ranking
    return a in scores and b in scores and scores[b] >= 2 * scores[a] + 0.2


def _off(
    found: Mapping[str, Mapping[str, float]], kind: str, task: Task
) -> list[tuple[str, frozenset[str]]]:
    """Return a line that names where the primary score is far below the ranking one, and where."""
    a, b = task.primary, task.words.ranking
    off = {name: scores for name, scores in found.items() if _is_off(scores, task)}
    if not off:
        return []
    named = [
        f"{name} ({points(own[a], sign=False)} beside {points(own[b], sign=False)})"
        for name, own in off.items()
    ]
    line = (
        f"{task.scores[a].label} is far below {task.scores[b].label}: "
        f"{joined(named, NAMED, kind)}. The threshold is off there; try {task.words.threshold}"
    )
    return [(line, frozenset(off))]


def _beaten(record: SuiteRecord, settings: Sequence[SettingFacts], task: Task) -> list[Hint]:
    """Return which settings do not beat a predictor that looks at no shape."""
    worse: dict[str, list[str]] = {}
    for one in settings:
        kind = unbeaten(one.scores.get(record.primary), one.baselines)
        if kind is not None:
            worse.setdefault(kind, []).append(one.name)
    if not worse:
        return []
    said = [
        _not_above(names, len(settings), task.words.baselines.get(kind, kind))
        for kind, names in worse.items()
    ]
    about = frozenset(name for names in worse.values() for name in names)
    return [Hint(f"{'; '.join(said)}: {LITTLE}", about)]


def _not_above(names: Sequence[str], of: int, what: str) -> str:
    """Return which settings do not beat something: ``No setting beats colour only``."""
    if len(names) == of > 1:
        return f"No setting beats {what}"
    return f"{joined(names, NAMED, 'setting')} {'do' if len(names) > 1 else 'does'} not beat {what}"


def run_hints(run: RunRecord) -> list[str]:
    """Return what looks wrong in the numbers of one run, in the words of a report."""
    task = find_task(run.task)
    found = _off({run.name: run.headline}, "setting", task) or _off(
        {f"{run.name} on {row['video']}": _numbers(row) for row in run.per_video}, "video", task
    )
    baselines = {str(row["baseline"]): row.get(task.primary) for row in run.baselines}
    kind = unbeaten(run.headline.get(task.primary), baselines)
    lines = [line for line, _ in found]
    if kind is None:
        return lines
    return [*lines, f"{_not_above([run.name], 1, task.words.baselines.get(kind, kind))}: {LITTLE}"]


def _numbers(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}


def _empty(record: SuiteRecord, settings: Sequence[SettingFacts], task: Task) -> list[Hint]:
    """Return which settings are beaten by finding nothing, in the score that rewards it."""
    (score, nothing), floor = task.words.nothing, _nothing(record)
    names = [s.name for s in settings if floor is not None and s.scores.get(score, 1.0) <= floor]
    if not names:
        return []
    where = f"{nothing} in {task.scores[score].label} ({points(floor, sign=False)} %)"
    line = (
        f"{_not_above(names, len(settings), where)}: go by the other scores, or try "
        f"{task.words.threshold}"
    )
    return [Hint(line, frozenset(names))]


def _nothing(record: SuiteRecord) -> float | None:
    """Return the share that is right where nothing is found: the mean over groups."""
    shares: dict[str, list[float]] = {}
    for row in record.dataset.videos:
        if row.get("positive_share") is None:
            return None
        shares.setdefault(str(row.get("group")), []).append(1 - float(row["positive_share"]))
    return statistics.fmean(map(statistics.fmean, shares.values())) if shares else None


def _opposite(record: SuiteRecord, pairs: Sequence[Pair], task: Task) -> list[Hint]:
    """Return a comparison whose two scores disagree about the direction, and how many more do."""
    if not task.words.ranking:
        return []
    a, b = task.scores[record.primary].label, task.scores[task.words.ranking].label
    found = [
        Hint(
            f"{pair.a} against {pair.b}: {a} {points(pair.result.difference)}, {b} "
            f"{points(pair.ranking)}. They disagree: the order of the scores and the threshold "
            f"changed in different ways; try {task.words.threshold}",
            frozenset((pair.a, pair.b)),
        )
        for pair in pairs
        if pair.result is not None
        and pair.ranking is not None
        and _disagree(pair.result.difference, pair.ranking, record.delta, told=pair.told)
    ]
    return _first(found)


def _disagree(one: float, other: float, delta: float, *, told: bool) -> bool:
    """Return whether differences go opposite ways, one of them far enough to matter.

    What is printed as 0.0 has no direction.
    """
    if one * other >= 0 or min(abs(one), abs(other)) < SEEN:
        return False
    return told or max(abs(one), abs(other)) >= delta
