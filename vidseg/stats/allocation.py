"""The best number of videos and of frames per video that a budget buys."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vidseg.errors import DataError, UsageError
from vidseg.stats.exchange import ExchangeRate


@dataclass(frozen=True)
class Allocation:
    """What to label.

    Attributes:
        videos: number of videos.
        frames: frames per video.
        cost: what they cost, at most the budget.
        frames_low, frames_high: frames per video that would be best at the upper and at the lower
            end of the exchange rate's interval.
        extrapolates: videos or frames lie outside the levels that the rate was fitted on.
    """

    videos: int
    frames: int
    cost: float
    frames_low: int
    frames_high: int
    extrapolates: bool


def best_allocation(
    rate: ExchangeRate,
    budget: float,
    cost_per_video: float,
    cost_per_frame: float,
    max_frames: int,
    max_videos: int | None = None,
) -> Allocation:
    """Return the videos and frames per video with the highest expected score for a budget.

    Maximises ``b log v + c log f`` subject to ``v (cost_per_video + f cost_per_frame) <= budget``
    over whole numbers. Without rounding and limits the solution depends on the rate alone:
    ``f = (cost_per_video / cost_per_frame) / (rate - 1)``, and as many frames as there are where
    the rate is 1 or less. An effect below 0 counts as 0.

    Args:
        rate: from :func:`vidseg.stats.exchange_rate`.
        budget: in the unit of the costs.
        cost_per_video: to get one more video, without its labels; 0 or more.
        cost_per_frame: to label one frame; above 0.
        max_frames: frames that a video has.
        max_videos: videos that can be had; no limit by default.

    Raises:
        UsageError: costs out of range, or a budget that does not pay one frame of one video.
        DataError: neither more videos nor more frames gain anything.

    Example:
        >>> from vidseg.stats import exchange_rate
        >>> scores = {group: [[0.3, 0.32, 0.34], [0.36, 0.38, 0.4]] for group in "abcdef"}
        >>> rate = exchange_rate([1, 2], [5, 10, 20], scores, at=(2, 10))
        >>> best = best_allocation(rate, 300, cost_per_video=60, cost_per_frame=1, max_frames=400)
        >>> best.videos, best.frames
        (3, 40)
    """
    if not (cost_per_video >= 0 and cost_per_frame > 0 and max_frames >= 1):
        raise UsageError("costs and limits must be positive", where="best allocation")
    if budget < cost_per_video + cost_per_frame or (max_videos is not None and max_videos < 1):
        raise UsageError(
            f"a budget of {budget:g} buys no video",
            hint=f"one frame of one video costs {cost_per_video + cost_per_frame:g}",
        )
    if not max(rate.new_videos, rate.extra_frames) > 0:
        raise DataError("neither new videos nor extra frames raise the score: nothing to allocate")
    frames = np.arange(1, max_frames + 1, dtype=np.float64)
    each = cost_per_video + frames * cost_per_frame
    videos = np.floor(budget / each * (1 + 1e-12))
    videos = videos if max_videos is None else np.minimum(videos, max_videos)
    frames, each, videos = (values[videos >= 1] for values in (frames, each, videos))

    def best(b: float, c: float) -> int:
        value = max(b, 0.0) * np.log(videos) + max(c, 0.0) * np.log(frames)
        return int(np.flatnonzero(value >= value.max() - 1e-12 * abs(value.max()))[0])

    chosen = best(rate.new_videos, rate.extra_frames)
    few, many = (best(*_effects(end)) for end in (rate.high, rate.low))
    count, depth = int(videos[chosen]), int(frames[chosen])
    return Allocation(
        videos=count,
        frames=depth,
        cost=float(videos[chosen] * each[chosen]),
        frames_low=int(frames[few]),
        frames_high=int(frames[many]),
        extrapolates=not (
            rate.videos[0] <= count <= rate.videos[-1]
            and rate.frames[0] <= depth <= rate.frames[-1]
        ),
    )


def _effects(rate: float) -> tuple[float, float]:
    """Return effects of new videos and of extra frames that have this ratio."""
    return (1.0, 0.0) if math.isinf(rate) else (max(rate, 0.0), 1.0)
