"""``threshold=inner``: the threshold that serves training groups best that were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.base import Classifier, FitContext, Model
from vidseg.errors import DataError
from vidseg.evaluate import frame_scores
from vidseg.extractors.base import ExtractorHandle
from vidseg.metrics import BINS, score_histogram
from vidseg.training import TrainingFrames
from vidseg.types import FrameRef

MOST_GROUPS = 3
"""So many training groups are held out at most, each once: every one costs a fit."""

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
    def facts(self) -> dict[str, float]:
        """The same as facts of a fit."""
        return {
            "threshold": self.threshold,
            "inner_iou": self.iou,
            "inner_iou_at_0": self.iou_at_0,
            "inner_groups": float(self.groups),
        }


def held_out_groups(train: TrainingFrames, seed: int) -> list[str]:
    """Return the training groups that are held out, at most three, drawn by the seed.

    Raises:
        DataError: there is one group only.
    """
    groups = sorted(set(train.groups))
    if len(groups) < 2:
        raise DataError(
            f"threshold=inner holds a training group out, and there is one ({groups[0]})",
            where="threshold",
            hint="give a number such as threshold=0, or train on videos of two groups or more",
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    return [groups[place] for place in order[:MOST_GROUPS]]


def inner_threshold(
    train: TrainingFrames,
    make: Callable[[TrainingFrames], Classifier],
    handle: ExtractorHandle,
    ctx: FitContext,
) -> Chosen:
    """Return the threshold with the best mean IoU over held-out training groups.

    Up to three groups, drawn by the seed, are held out once each; the classifier is fitted on the
    others and scores the held-out group's training frames, unchanged by noise or augmentation and
    with their training labels: an arm looks at no label that it does not train on. IoU is taken
    for each video, averaged over the videos of a group, then over groups.

    Args:
        train: the training frames.
        make: returns the classifier for a set of training frames.
        handle: the extractor.
        ctx: of the fit.

    Raises:
        DataError: the training frames belong to one group, or no held-out one has foreground.
    """
    found: list[list[Histogram]] = []
    for number, group in enumerate(held_out_groups(train, ctx.seed)):
        others = train.subset([one for one in set(train.groups) if one != group])
        inner = replace(
            ctx,
            facts={},
            init=None,
            log=lambda name, value, step: None,
            workdir=ctx.workdir / f"inner-{number}",
        )
        inner.workdir.mkdir(parents=True, exist_ok=True)
        model = make(others).fit(others, handle, inner)
        found.append(_histograms(model, train.subset([group]), ctx))
    return best_threshold(found)


def best_threshold(groups: Sequence[Sequence[Histogram]]) -> Chosen:
    """Return the threshold with the best mean over groups of the mean IoU of their videos.

    Args:
        groups: for each group the histograms of its videos, ``int64 (2, 65536)`` as
            :func:`vidseg.metrics.score_histogram` makes them; videos without foreground are left
            out, and so are groups of nothing else.

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


def _histograms(model: Model, train: TrainingFrames, ctx: FitContext) -> list[Histogram]:
    """Return the score histogram of each video of ``train``."""
    found: dict[str, Histogram] = {}
    for video, index in sorted({(ref.video, ref.index) for ref in train.refs}):
        ctx.stop()
        scores = frame_scores({0: model}, train.materials[video], index)[0]
        own = score_histogram(scores, train.mask(FrameRef(video, index)))
        found[video] = found.get(video, 0) + own
    return list(found.values())


def _iou_curve(histogram: Histogram) -> Float:
    """Return IoU where foreground are the bins from k on, ``float64 (65536,)``."""
    fp, tp = np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1].astype(np.float64)
    curve: Float = tp / (histogram[1].sum() + fp)
    return curve


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
