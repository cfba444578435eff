"""What looks wrong in a suite's numbers, and what to try: lines for a report."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from vidseg.experiment.records import Row, RunRecord, SuiteRecord
from vidseg.report.baselines import unbeaten
from vidseg.report.facts import Pair, SettingFacts
from vidseg.report.pairs import alike, carrying, score_by_group
from vidseg.report.tuned import end_of_grid
from vidseg.report.wording import count, joined, points
from vidseg.stats import Decision
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task

NAMED = 3
SEEN = 0.0005
"""The smallest difference that is printed as one."""


def make_hints(
    record: SuiteRecord,
    settings: Sequence[SettingFacts],
    pairs: Sequence[Pair],
    decision: Decision | None = None,
) -> list[str]:
    """Return one line for each kind of thing that a reader should not miss."""
    task = find_task(record.task)
    lines = [
        *_few_folds(record),
        *_one_group(record, pairs, decision),
        *_at_an_end(record, settings),
        *_thresholds(record, task),
        *_beaten(record, settings, task),
        *_empty(record, settings, task),
        *_opposite(record, pairs, task),
    ]
    return list(dict.fromkeys(lines))


def _few_folds(record: SuiteRecord) -> list[str]:
    """Return that scenes share models, where there are fewer folds than scenes."""
    split = record.config.get("split", {})
    scenes = len({group for one in record.settings for group in one.group_scores})
    folds = {"k-fold": split.get("k", scenes), "fixed": 1}.get(split.get("use", ""), scenes)
    if folds >= scenes:
        return []
    return [
        f"{count(folds, 'fold')} of {scenes} scenes: scenes that share a model err together, so "
        "equal arms differ significantly more often than a verdict allows (in two folds 12 times "
        "in 100 instead of 5); a first look: `--split leave-one-group-out` gives verdicts"
    ]


def _one_group(record: SuiteRecord, pairs: Sequence[Pair], decision: Decision | None) -> list[str]:
    """Return which group makes or hides the difference of a comparison, or of the advice."""
    lines = [
        _carried(pair.a, pair.b, pair.result.differences, pair.carried, pair.without)
        for pair in pairs
        if pair.result is not None and pair.carried and pair.without is not None
    ]
    found = _rivals(record, decision) if decision else None
    if found is None or any({pair.a, pair.b} == set(found) for pair in pairs if pair.result):
        return lines
    differences = _differences(record, *found)
    group, rest = carrying(differences, record.delta)
    return [*lines, _carried(*found, differences, group, rest)] if rest is not None else lines


def _carried(a: str, b: str, differences: Mapping[str, float], group: str, without: float) -> str:
    mean = statistics.fmean(differences.values())
    does = "makes the" if abs(without) < abs(mean) else "hides a"
    return (
        f"{a} against {b}: one group {does} difference, {group} with "
        f"{points(differences[group])} points; without it the mean is {points(without)} instead of "
        f"{points(mean)}"
    )


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


def _at_an_end(record: SuiteRecord, settings: Sequence[SettingFacts]) -> list[str]:
    """Return which settings mostly chose an end of their grid."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in settings:
        if end := end_of_grid(record.config, one.pipeline, one.tuned):
            found.setdefault(end, []).append(one.name)
    return [
        f"{joined(names, NAMED)}: most cells chose {parameter} = {value}, an end of the grid; a "
        "better value may lie beyond: widen `tune`"
        for (parameter, value), names in found.items()
    ]


def _thresholds(record: SuiteRecord, task: Task) -> list[str]:
    """Return where scores rank well and decide badly: on whole settings, else on single videos."""
    a, b = task.primary, task.words.ranking
    if record.primary != a:
        return []
    found = [(one.name, one.run.headline) for one in record.settings]
    found += [
        (f"{one.name} on {video}", scores)
        for one in record.settings
        for video, scores in one.video_scores.items()
    ]
    return _off(found, a, b, task)


def _off(found: Sequence[tuple[str, Mapping[str, float]]], a: str, b: str, task: Task) -> list[str]:
    """Return a line that names where score ``a`` is far below score ``b``, which may be ""."""
    off = [
        f"{name} ({points(scores[a], sign=False)} beside {points(scores[b], sign=False)})"
        for name, scores in found
        if a in scores and b in scores and scores[b] >= 2 * scores[a] + 0.2
    ]
    if not off:
        return []
    names = f"{task.scores[a].label} is far below {task.scores[b].label}"
    return [
        f"{names}: {joined(off, NAMED)}. The threshold is off there; try {task.words.threshold}"
    ]


def _beaten(record: SuiteRecord, settings: Sequence[SettingFacts], task: Task) -> list[str]:
    """Return which settings do not beat a predictor that looks at no shape."""
    worse: dict[str, list[str]] = {}
    for one in settings:
        kind = unbeaten(one.scores.get(record.primary), one.baselines)
        if kind is not None:
            worse.setdefault(kind, []).append(one.name)
    return [_not_beaten(names, kind, task) for kind, names in worse.items()]


def _not_beaten(names: Sequence[str], kind: str, task: Task) -> str:
    baseline = task.words.baselines.get(kind, kind)
    return (
        f"{joined(names, NAMED)} {_do(names)} not beat {baseline}: such scores say little about "
        "frames; try more scenes, another extractor or C"
    )


def run_hints(run: RunRecord) -> list[str]:
    """Return what looks wrong in the numbers of one run, in the words of a report."""
    task = find_task(run.task)
    a, b = task.primary, task.words.ranking
    found = [(run.name, run.headline)]
    found += [(f"{run.name} on {row['video']}", _numbers(row)) for row in run.per_video]
    baselines = {str(row["baseline"]): row.get(a) for row in run.baselines}
    kind = unbeaten(run.headline.get(a), baselines)
    return [*_off(found, a, b, task), *([_not_beaten([run.name], kind, task)] if kind else [])]


def _numbers(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}


def _do(names: Sequence[str]) -> str:
    return "do" if len(names) > 1 else "does"


def _empty(record: SuiteRecord, settings: Sequence[SettingFacts], task: Task) -> list[str]:
    """Return which settings are beaten by finding nothing, in the score that rewards it."""
    (score, nothing), floor = task.words.nothing, _nothing(record)
    names = [s.name for s in settings if floor is not None and s.scores.get(score, 1.0) <= floor]
    if not names:
        return []
    where = f"{nothing} in {task.scores[score].label} ({points(floor, sign=False)} %)"
    return [
        f"{joined(names, NAMED)} {_do(names)} not beat {where}: go by the other scores, or try "
        f"{task.words.threshold}"
    ]


def _nothing(record: SuiteRecord) -> float | None:
    """Return the share that is right where nothing is found: the mean over groups."""
    shares: dict[str, list[float]] = {}
    for row in record.dataset.videos:
        if row.get("positive_share") is None:
            return None
        shares.setdefault(str(row.get("group")), []).append(1 - float(row["positive_share"]))
    return statistics.fmean(map(statistics.fmean, shares.values())) if shares else None


def _opposite(record: SuiteRecord, pairs: Sequence[Pair], task: Task) -> list[str]:
    """Return the comparisons whose two scores disagree about the direction."""
    if not task.words.ranking:
        return []
    a, b = task.scores[record.primary].label, task.scores[task.words.ranking].label
    return [
        f"{pair.a} against {pair.b}: {a} {points(pair.result.difference)}, {b} "
        f"{points(pair.ranking)}. They disagree: the order of the scores and the threshold "
        f"changed in different ways; try {task.words.threshold}"
        for pair in pairs
        if pair.result is not None
        and pair.ranking is not None
        and _disagree(pair.result.difference, pair.ranking, record.delta, told=pair.told)
    ]


def _disagree(one: float, other: float, delta: float, *, told: bool) -> bool:
    """Return whether differences go opposite ways, one of them far enough to matter.

    What is printed as 0.0 has no direction.
    """
    if one * other >= 0 or min(abs(one), abs(other)) < SEEN:
        return False
    return told or max(abs(one), abs(other)) >= delta
