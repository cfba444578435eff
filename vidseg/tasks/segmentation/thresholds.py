"""The threshold with the best IoU, from score histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.tasks.segmentation.counts import BINS
from vidseg.tasks.segmentation.scores import iou

Float = npt.NDArray[np.float64]


Histogram = npt.NDArray[np.int64]


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
        groups: for each group the histograms of its videos, ``int64 (2, 65536)`` as
            :func:`~vidseg.tasks.segmentation.counts.score_histogram` makes them; videos
            without foreground are left out, and so are groups of nothing else.

    Raises:
        DataError: no video has foreground.
    """
    curves = []
    for videos in groups:
        own = [_iou_curve(video) for video in videos if video[1].sum()]
        if own:
            curves.append(np.mean(own, axis=0))
    if not curves:
        raise DataError(
            "no held-out training group shows foreground",
            where="threshold=inner",
            hint="give a number such as threshold=0",
        )
    bins, limits = _limits()
    mean = np.mean(curves, axis=0)[bins]
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    place = best[np.argmin(np.abs(limits[best]))]
    zero = int(np.searchsorted(limits, 0.0))
    return Chosen(float(limits[place]), float(mean[place]), float(mean[zero]), len(curves))


def _iou_curve(histogram: Histogram) -> Float:
    """Return IoU where foreground are the bins from k on, ``float64 (65536,)``."""
    fp, tp = np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1].astype(np.float64)
    return iou(tp, fp, histogram[1].sum())


def _limits() -> tuple[slice, Float]:
    """Return the bins of finite scores, and for each the threshold above which it begins.

    That is the largest float32 below its lowest score; 0 for the bin of the smallest positive ones.
    """
    ordered = np.arange(BINS, dtype=np.uint32) << 16
    bits = np.where(ordered >> 31 == 1, ordered ^ np.uint32(1 << 31), ~ordered).astype(np.uint32)
    lowest = bits.view(np.float32)
    finite = np.flatnonzero(np.isfinite(lowest))
    bins = slice(int(finite[0]) + 1, int(finite[-1]) + 1)
    below = np.nextafter(lowest[bins], np.float32(-np.inf)).astype(np.float64)
    below[np.searchsorted(below, 0.0)] = 0.0
    return bins, below
