"""Means of scores over videos and groups, whatever the scores are of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence


def mean_over_groups(rows: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """Return the headline: the mean over groups of the mean over each group's videos.

    Args:
        rows: (group, scores of one video). Undefined (nan) scores are left out of the means; a
            score that no video defines is left out of the result.
    """
    by_group: dict[str, list[Mapping[str, float]]] = {}
    for group, scores in rows:
        by_group.setdefault(group, []).append(scores)
    result = {}
    for name in dict.fromkeys(
        name for videos in by_group.values() for row in videos for name in row
    ):
        means = [_mean([row[name] for row in videos]) for videos in by_group.values()]
        mean = _mean(means)
        if not math.isnan(mean):
            result[name] = mean
    return result


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
