"""What looks wrong in a suite's numbers, and what to try: lines for a report."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from vidseg.experiment.records import Row, RunRecord, SuiteRecord
from vidseg.report.comparisons import carried_line
from vidseg.report.facts import Pair, SettingFacts
from vidseg.report.wording import joined, points
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task

NAMED = 3


def make_hints(
    record: SuiteRecord, settings: Sequence[SettingFacts], pairs: Sequence[Pair]
) -> list[str]:
    """Return one line for each kind of thing that a reader should not miss."""
    task = find_task(record.task)
    lines = [
        *(_few_folds(record) if pairs else ()),
        *(line for pair in pairs if (line := carried_line(pair))),
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
    if split.get("use") != "k-fold" or split["k"] >= scenes:
        return []
    return [
        f"{split['k']} folds of {scenes} scenes: scenes that share a model err together, so equal "
        "arms differ significantly more often than a verdict allows (in two folds 12 times in 100 "
        "instead of 5); a first look: `--split leave-one-group-out` gives verdicts"
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
        kind = _unbeaten(one.scores.get(record.primary), one.baselines)
        if kind is not None:
            worse.setdefault(kind, []).append(one.name)
    return [_not_beaten(names, kind, task) for kind, names in worse.items()]


def _unbeaten(score: float | None, baselines: Mapping[str, float | None]) -> str | None:
    """Return the best baseline, None where the score is above it or nothing is known."""
    known = {kind: value for kind, value in baselines.items() if value is not None}
    if score is None or not known:
        return None
    kind = max(known, key=lambda name: known[name] or 0.0)
    return kind if score <= (known[kind] or 0.0) else None


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
    kind = _unbeaten(run.headline.get(a), baselines)
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
        and pair.result.difference * pair.ranking < 0
        and min(abs(pair.result.difference), abs(pair.ranking)) >= record.delta
    ]
