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
from vidseg.tasks.base import Chosen, Counts, Task
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
    task: Task,
) -> Chosen:
    """Return the threshold with the best primary score over held-out training groups.

    Up to three groups, drawn by the seed, are held out once each; the classifier is fitted on the
    others and scores the held-out group's training frames, unchanged by noise or augmentation and
    with their training labels: an arm looks at no label that it does not train on. The score is
    taken for each video, averaged over the videos of a group, then over groups.

    Args:
        train: the training frames.
        make: returns the classifier for a set of training frames.
        handle: the extractor.
        ctx: of the fit.
        task: counts the frames and chooses.

    Raises:
        DataError: the training frames belong to one group, or no held-out one has positives.
    """
    found: list[list[Counts]] = []
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
        found.append(_counts(model, train.subset([group]), ctx, task))
    return task.best_threshold(found)


def _counts(model: Model, train: TrainingFrames, ctx: FitContext, task: Task) -> list[Counts]:
    """Return the counts of each video of ``train``."""
    found: dict[str, Counts] = {}
    for video, index in sorted({(ref.video, ref.index) for ref in train.refs}):
        ctx.stop()
        material = train.materials[video]
        scores = frame_scores({0: model}, material, index, ctx.device)[0]
        reference = task.reference(train.mask(FrameRef(video, index)), 0.0)
        counts = found.setdefault(video, task.counts(video, material.group))
        counts.add(index, scores, reference, 0.0)
    return list(found.values())
