"""The threshold with the best IoU, from score histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.tasks.segmentation.histogram import BITS, BUDGET, Histogram, Keys, merge, score_of
from vidseg.tasks.segmentation.scores import iou

Float = npt.NDArray[np.float64]

ABOVE_ZERO = np.uint32((1 << 31) + 1)
"""The key of the lowest score above 0."""


class Chosen(NamedTuple):
    """A threshold and what it was chosen by.

    Attributes:
        threshold: scores above it are foreground.
        iou: mean IoU over the held-out groups at the threshold, 0..1.
        iou_at_0: the same at threshold 0.
        groups: how many groups were held out.
    """

    threshold: float
    iou: float
    iou_at_0: float
    groups: int

    @property
    def text(self) -> str:
        """The same in words."""
        return (
            f"threshold {self.threshold:.4g}: IoU {self.iou:.3f} on {self.groups} held-out "
            f"training groups, {self.iou_at_0:.3f} at 0"
        )

    @property
    def facts(self) -> dict[str, float]:
        """The same as facts of a fit."""
        return {
            "threshold": self.threshold,
            "inner_iou": self.iou,
            "inner_iou_at_0": self.iou_at_0,
            "inner_groups": float(self.groups),
        }


def best_threshold(groups: Sequence[Sequence[Histogram]]) -> Chosen:
    """Return the threshold with the best mean over groups of the mean IoU of their videos.

    Args:
        groups: for each group the histograms of its videos; videos without foreground are left
            out, and so are groups of nothing else.

    Raises:
        DataError: no video has foreground.
    """
    useful = [[video for video in videos if video.counts[1].any()] for videos in groups]
    useful = [videos for videos in useful if videos]
    if not useful:
        raise DataError(
            "no held-out training group shows foreground",
            where="threshold=inner",
            hint="give a number such as threshold=0",
        )
    keys = _candidates([video for videos in useful for video in videos])
    curves = [np.mean([_iou_from(video, keys) for video in videos], axis=0) for videos in useful]
    limits = np.nextafter(score_of(keys), np.float32(-np.inf)).astype(np.float64)
    mean = np.mean(curves, axis=0)
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    place = best[np.argmin(np.abs(limits[best]))]
    zero = int(np.searchsorted(keys, ABOVE_ZERO))
    return Chosen(float(limits[place]), float(mean[place]), float(mean[zero]), len(curves))


def _candidates(videos: Sequence[Histogram]) -> Keys:
    """Return the keys that foreground may begin with: of finite scores, ascending.

    The first of every leaf that the videos have together, and every change of the upper 16 bits,
    which is where the leaf of no video is divided.
    """
    coarse = np.arange(1 << BUDGET, dtype=np.uint32) << (BITS - BUDGET)
    keys = np.unique(np.concatenate([coarse, merge(videos).lows, [ABOVE_ZERO]]).astype(np.uint32))
    lowest = keys[np.isfinite(score_of(keys))]
    return lowest[1:]


def _iou_from(histogram: Histogram, keys: Keys) -> Float:
    """Return IoU where scores from each key on are foreground, ``float64 (len(keys),)``."""
    place = np.searchsorted(histogram.lows, keys)
    below = np.pad(np.cumsum(histogram.counts, axis=1), ((0, 0), (1, 0)))[:, place]
    total = histogram.counts.sum(axis=1)
    fp, tp = total[:, None] - below
    return iou(tp, fp, total[1])
