"""Choosing C: a path of warm starts on inner group folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.problem import Problem, Settings, Solution
from vidseg.classifiers.pyramid import Floats, LinearHead, score_heads
from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet


def best_cost(
    costs: Sequence[float],
    train: TrainingSet,
    handle: ExtractorHandle,
    levels: tuple[int, ...],
    settings: Settings,
    ctx: FitContext,
) -> float:
    """Return the C with the best mean IoU over held-out groups; ties go to the smaller.

    Each group of ``train`` is held out once. The path is trained on the others in ascending
    order; IoU is taken at threshold 0 for each video, and averaged over the videos of a group,
    then over groups. Logged as ``path/iou`` and ``path/C`` by index.

    Args:
        costs: ascending.
        train: all training frames.
        handle, levels: the extractor and which of its levels.
        settings: of the fits.
        ctx: of the fit.

    Raises:
        DataError: the training frames belong to one group only.
    """
    groups = sorted(set(train.groups))
    if len(groups) < 2:
        raise DataError(
            f"C={[float(c) for c in costs]} is chosen on inner groups, the training frames "
            f"belong to one ({groups[0]})",
            where="pixel_svm",
            hint="give one C, or train on videos of two groups or more",
        )
    table = np.zeros((len(groups), len(costs)))
    for fold, group in enumerate(groups):
        others = train.subset([g for g in groups if g != group])
        inner = replace(ctx, facts={}, init=None)
        heads = _heads(costs, others, handle, levels, settings, inner, fold)
        table[fold] = _iou(heads, train.subset([group]), ctx)
    means = table.mean(axis=0)
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


def _heads(
    costs: Sequence[float],
    train: TrainingSet,
    handle: ExtractorHandle,
    levels: tuple[int, ...],
    settings: Settings,
    ctx: FitContext,
    fold: int,
) -> list[LinearHead]:
    """Return one head for each C, each trained from the solution before."""
    problem = Problem.open(train, handle, levels, settings, ctx)
    heads, outcome = [], None
    for index, cost in enumerate(costs):
        after: Solution | None = outcome
        outcome = problem.solve(
            cost, f"path/fold{fold}/{index}", after=None if after is None else after.stage
        )
        point, bias = outcome.reading.point, settings.bias
        weights, offset = (point, 0.0) if bias is None else (point[:-1], float(point[-1]) * bias)
        heads.append(problem.standard.head(weights, offset, levels, handle.fingerprint))
    return heads


def _iou(heads: Sequence[LinearHead], held_out: TrainingSet, ctx: FitContext) -> Floats:
    """Return the mean IoU of each head over the videos of ``held_out``, ``float64 (K,)``.

    A video without foreground in mask and prediction has no IoU, and is left out.
    """
    videos = sorted({ref.video for ref in held_out.refs})
    counts = np.zeros((len(videos), len(heads), 2))
    part = held_out.shard(ctx.rank, ctx.world) if ctx.world > 1 else held_out
    for ref in part.refs:
        ctx.stop()
        mask = part.mask(ref)
        found = score_heads(heads, part.features(ref), part.mask_size) > 0
        true, labelled = mask > 0, mask != 0
        both = (found & true).sum(axis=(1, 2))
        either = ((found | true) & labelled).sum(axis=(1, 2))
        counts[videos.index(ref.video)] += np.stack([both, either], axis=1)
    both, either = np.moveaxis(ctx.reduce(counts), 2, 0)
    shares = np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)
    seen = ~np.isnan(shares)
    return np.asarray(np.nansum(shares, axis=0) / np.maximum(1, seen.sum(axis=0)))
