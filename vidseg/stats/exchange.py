"""The exchange rate between frames of new videos and extra frames of the videos one has.

Local model around a named ``(videos, frames)``, frames counted per video:

    s = a + b log(videos / V) + c log(frames / F)

A new video brings ``F`` frames and gains ``ds/dv = b / V``: ``b / (V F)`` for each of its frames.
One more frame in each of the ``V`` videos costs ``V`` frames and gains ``ds/df = c / F``:
``c / (V F)`` each. Their ratio, ``b / c``, is how many extra frames of existing videos are worth
one frame of a new video. Where every frame is a new scene only ``videos x frames`` counts,
``b = c`` and the rate is 1; where a video is a still picture ``c = 0`` and the rate is infinite.

``b`` and ``c`` are fitted in each group; the rate is the ratio of their means over groups. Its
confidence set is Fieller's (1954) with the sign-flip test in place of the t test: every ``rho``
for which "the mean of ``b - rho c`` is 0" is kept. It is unbounded unless ``c`` is seen to be
above 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidseg.errors import UsageError
from vidseg.stats.signflip import TIE, Array, subset_sums, tail_rank
from vidseg.stats.table import complete_groups


@dataclass(frozen=True)
class ExchangeRate:
    """Extra frames of existing videos that are worth one frame of a new video.

    Attributes:
        rate: ``b / c``; infinite where only new videos gain, nan where neither does.
        low, high: confidence interval. Where unbounded, ``high`` is infinite and ``low`` is "at
            least" (of the set at 0 and above; infinite where they are seen not to gain).
        level: level attained; see :class:`vidseg.stats.Interval`.
        identified: the set is bounded at the level asked. If not, say "not identified".
        new_videos, extra_frames: ``b`` and ``c``, score per unit of natural logarithm.
        at: the named (videos, frames per video).
        videos, frames: the levels of the grid that were used around it.
        groups, left_out: the groups used, and those with an undefined score at these levels.
    """

    rate: float
    low: float
    high: float
    level: float
    identified: bool
    new_videos: float
    extra_frames: float
    at: tuple[float, float]
    videos: tuple[int, ...]
    frames: tuple[float, ...]
    groups: tuple[str, ...]
    left_out: tuple[str, ...]


def exchange_rate(
    videos: Sequence[int],
    frames: Sequence[float],
    scores: Mapping[str, Sequence[Sequence[float | None]]],
    at: tuple[float, float],
    level: float = 0.95,
    reach: int = 1,
) -> ExchangeRate:
    """Estimate the exchange rate at a named point of a nested grid.

    Only the levels next to the point are fitted: with one on each side the slope is a central
    difference, and curvature cancels. At the rim of the grid it is one-sided. Levels that grow by
    one factor on both axes (1, 2, 4 videos; 5, 10, 20 frames) make the two slopes comparable.

    Args:
        videos: numbers of training videos, ascending, two or more.
        frames: frames per video, ascending, two or more.
        scores: per (test) group, ``[video level][frame level]``, seeds averaged before.
        at: (videos, frames per video), within the grid.
        level: confidence level.
        reach: levels used on each side of the point.

    Raises:
        UsageError: a grid or a point that carries no slope.
        DataError: a group's scores have another shape, or fewer than two groups are complete.

    Example:
        >>> scores = {group: [[0.3, 0.32, 0.34], [0.34, 0.36, 0.38]] for group in "abcdef"}
        >>> rate = exchange_rate([1, 2], [5, 10, 20], scores, at=(2, 10))
        >>> round(rate.rate, 2), rate.identified
        (2.0, True)
    """
    rows, columns = _around(videos, at[0], reach, "videos"), _around(frames, at[1], reach, "frames")
    local = {group: [[grid[v][f] for f in columns] for v in rows] for group, grid in scores.items()}
    groups, left_out, table = complete_groups(local, (len(rows), len(columns)))
    used_videos = tuple(int(videos[i]) for i in rows)
    used_frames = tuple(float(frames[i]) for i in columns)
    effects = np.stack([_slope(used_videos, table.mean(axis=2)),
                        _slope(used_frames, table.mean(axis=1))], axis=1)  # fmt: skip
    effects[np.abs(effects) <= TIE * np.abs(table).max()] = 0.0
    low, high, attained, bounded = fieller(effects, level)
    b, c = (float(value) for value in effects.mean(axis=0))
    return ExchangeRate(
        rate=b / c if c > 0 else (math.inf if b > 0 else math.nan),
        low=low,
        high=high,
        level=attained,
        identified=bounded,
        new_videos=b,
        extra_frames=c,
        at=at,
        videos=used_videos,
        frames=used_frames,
        groups=groups,
        left_out=left_out,
    )


def fieller(effects: Array, level: float = 0.95) -> tuple[float, float, float, bool]:
    """Return the interval of a ratio of means by inverting the sign-flip test.

    Args:
        effects: ``(groups, 2)``, numerator and denominator of each group.
        level: confidence level.

    Returns:
        low, high, the level attained, and whether the set is bounded at the level asked. The hull
        of the set where it is bounded; else what lies at 0 and above, ``high`` infinite.
    """
    sums, _ = subset_sums(effects)
    patterns = len(sums) + 1
    rank = tail_rank(level, patterns)
    used, reached = max(rank, 1), rank > 0
    attained = 1 - 2 * used / patterns
    subsets = _Ratios(sums)
    if subsets.slope_is_known(used):
        inside = subsets.kept(subsets.all, used)
        return float(inside.min()), float(inside.max()), attained, reached
    inside = subsets.kept(np.append(subsets.all[subsets.all > 0], 0.0), used)
    return float(inside.min(initial=math.inf)), math.inf, attained, False


class _Ratios:
    """Where each subset's sum ``numerator - rho denominator`` changes its sign.

    Args:
        sums: ``(subsets, 2)``, numerators and denominators.
    """

    def __init__(self, sums: Array) -> None:
        numerator, denominator = sums[:, 0], sums[:, 1]
        rising, falling, still = denominator > 0, denominator < 0, denominator == 0
        self.up = np.sort(numerator[rising] / denominator[rising])
        self.down = np.sort(numerator[falling] / denominator[falling])
        self.all = np.concatenate([self.up, self.down])
        self.still_low = int(np.count_nonzero(numerator[still] <= 0))
        self.still_high = int(np.count_nonzero(numerator[still] >= 0))
        self.still = int(np.count_nonzero(still))

    def slope_is_known(self, used: int) -> bool:
        """Return whether the test finds that the mean denominator is above 0."""
        return len(self.down) + self.still < used

    def kept(self, rho: Array, used: int) -> Array:
        """Return those of ``rho`` that the test keeps: ``used`` sums or more on either side."""
        near, far = rho - TIE * np.abs(rho), rho + TIE * np.abs(rho)
        up_passed = np.searchsorted(self.up, far, side="right")
        up_ahead = len(self.up) - np.searchsorted(self.up, near, side="left")
        down_passed = np.searchsorted(self.down, far, side="right")
        down_ahead = len(self.down) - np.searchsorted(self.down, near, side="left")
        at_most = up_passed + down_ahead + self.still_low
        at_least = up_ahead + down_passed + self.still_high
        return np.asarray(rho[np.minimum(at_most, at_least) >= used])


def _around(levels: Sequence[float], at: float, reach: int, axis: str) -> list[int]:
    """Return the indices of the levels next to ``at``."""
    values = np.asarray(levels, np.float64)
    if len(values) < 2 or values[0] < 1 or (np.diff(values) <= 0).any() or reach < 1:
        raise UsageError(
            f"levels {list(levels)} with reach {reach} carry no slope",
            where=axis,
            hint="give two or more, ascending from 1 or more",
        )
    if not values[0] <= at <= values[-1]:
        raise UsageError(f"{at} is outside {list(levels)}", where=axis, hint="name a point within")
    below = [i for i in range(len(values)) if values[i] < at][-reach:]
    above = [i for i in range(len(values)) if values[i] > at][:reach]
    return below + [i for i in range(len(values)) if values[i] == at] + above


def _slope(levels: tuple[float, ...], means: Array) -> Array:
    """Return each group's least-squares slope over log level; ``means (groups, levels)``."""
    where = np.log(np.asarray(levels, np.float64))
    where -= where.mean()
    return np.asarray(means @ where / (where @ where))
