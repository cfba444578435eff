"""Choosing C: a path of warm starts on inner group folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import LinearFit
from vidseg.classifiers.linear.exact.problem import Problem, Settings
from vidseg.classifiers.linear.head import LinearHead, score_heads
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError
from vidseg.tasks.segmentation.scores import iou
from vidseg.types import TrainingSet


def best_cost(costs: Sequence[float], settings: Settings, fit: LinearFit) -> float:
    """Return the C with the best mean IoU over held-out groups; ties go to the smaller.

    Each group of the training frames is held out once. The path is trained on the others in
    ascending order; IoU is taken at threshold 0 for each video, and averaged over the videos of a
    group, then over groups; videos without foreground are left out, and groups of nothing else.
    Logged as ``path/iou`` and ``path/C`` by index.

    Args:
        costs: ascending.
        settings: of the fits.
        fit: on all training frames.

    Raises:
        DataError: the training frames belong to one group only.
    """
    train, ctx = fit.train, fit.ctx
    groups = sorted(set(train.groups))
    if len(groups) < 2:
        raise DataError(
            f"C={[float(c) for c in costs]} is chosen on inner groups, the training frames "
            f"belong to one ({groups[0]})",
            where="pixel_svm",
            hint="give one C, or train on videos of two groups or more",
        )
    ious = []
    for fold, group in enumerate(groups):
        others = train.subset([g for g in groups if g != group])
        inner = replace(fit, train=others, ctx=replace(ctx, facts={}, init=None))
        ious.append(_iou(path_heads(costs, settings, inner, fold), train.subset([group]), ctx))
    means = _mean(np.array(ious))
    for index, (cost, mean) in enumerate(zip(costs, means, strict=True)):
        ctx.log("path/C", cost, index)
        ctx.log("path/iou", float(mean), index)
        ctx.facts |= {f"path_C_{index}": cost, f"path_iou_{index}": float(mean)}
    chosen = costs[int(means.argmax())]
    ctx.progress.say(
        f"pixel_svm: C={chosen:g} of "
        + ", ".join(f"{c:g} (IoU {m:.3f})" for c, m in zip(costs, means, strict=True))
    )
    return chosen


def path_heads(
    costs: Sequence[float], settings: Settings, fit: LinearFit, fold: int
) -> list[LinearHead]:
    """Return one head for each C, each trained from the solution before."""
    problem = Problem.open(fit, settings)
    heads, after = list[LinearHead](), None
    for index, cost in enumerate(costs):
        solution = problem.solve(cost, f"path/fold{fold}/{index}", after=after)
        after = solution.last
        heads.append(problem.head(solution, fit))
    return heads


def _iou(heads: Sequence[LinearHead], held_out: TrainingSet, ctx: FitContext) -> Floats:
    """Return the mean IoU of each head over the videos of ``held_out``, ``float64 (K,)``.

    A video without foreground is left out, as in the headline; nan where no video has any.
    """
    videos = sorted({ref.video for ref in held_out.refs})
    counts = np.zeros((len(videos), len(heads), 3))
    part = held_out.shard(ctx.rank, ctx.world) if ctx.world > 1 else held_out
    for ref in part.refs:
        ctx.stop()
        mask = part.mask(ref)
        found = score_heads(heads, part.features(ref), part.mask_size) > 0
        hits, wrong = (found & side for side in (mask > 0, mask < 0))
        counts[videos.index(ref.video), :, 0] += hits.sum(axis=(1, 2))
        counts[videos.index(ref.video), :, 1] += wrong.sum(axis=(1, 2))
        counts[videos.index(ref.video), :, 2] += (mask > 0).sum()
    return _mean(iou(*np.moveaxis(ctx.reduce(counts), 2, 0)))


def _mean(rows: Floats) -> Floats:
    """Return the mean of each column over the rows that define it, nan where none does."""
    seen = np.sum(~np.isnan(rows), axis=0)
    means = np.full(rows.shape[1], np.nan)
    np.divide(np.nansum(rows, axis=0), seen, out=means, where=seen > 0)
    return means
