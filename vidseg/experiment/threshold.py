"""``threshold=inner``: the threshold that serves training groups best that were not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vidseg.classifiers.base import Classifier, FitContext
from vidseg.errors import DataError
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.base import ExtractorHandle
from vidseg.tasks.segmentation.counts import score_histogram
from vidseg.tasks.segmentation.thresholds import Chosen, Histogram, best_threshold
from vidseg.types import FrameRef, Model

MOST_GROUPS = 3
"""So many training groups are held out at most, each once: every one costs a fit."""


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


def _histograms(model: Model, train: TrainingFrames, ctx: FitContext) -> list[Histogram]:
    """Return the score histogram of each video of ``train``."""
    found: dict[str, Histogram] = {}
    for video, index in sorted({(ref.video, ref.index) for ref in train.refs}):
        ctx.stop()
        scores = frame_scores({0: model}, train.materials[video], index, ctx.device)[0]
        own = score_histogram(scores, train.mask(FrameRef(video, index)))
        found[video] = found.get(video, 0) + own
    return list(found.values())
