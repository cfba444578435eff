"""``threshold=inner``: the threshold that serves training groups best that were not trained on."""

from __future__ import annotations

from collections.abc import Callable

from vidseg.classifiers.base import Classifier, FitContext
from vidseg.errors import DataError
from vidseg.experiment.inner import count_frames, inner_context, inner_groups, without
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.base import ExtractorHandle
from vidseg.tasks.base import Chosen, Counts, Task


def held_out_groups(train: TrainingFrames, seed: int) -> list[str]:
    """Return the training groups that are held out, at most three, drawn by the seed.

    Raises:
        DataError: there is one group only.
    """
    found = inner_groups(train, seed)
    if not found:
        raise DataError(
            f"threshold=inner holds a training group out, and there is one ({train.groups[0]})",
            where="threshold",
            hint="give a number such as threshold=0, or train on videos of two groups or more",
        )
    return found


def inner_threshold(
    train: TrainingFrames,
    make: Callable[[TrainingFrames], Classifier],
    handle: ExtractorHandle,
    ctx: FitContext,
    task: Task,
) -> Chosen:
    """Return the threshold with the best primary score over held-out training groups.

    Up to three groups, drawn by the seed, are held out once each; the classifier is fitted on the
    others and scores the held-out group's training frames (:mod:`vidseg.experiment.inner`). The
    score is taken for each video, averaged over the videos of a group, then over groups.

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
        others = without(train, group)
        model = make(others).fit(others, handle, inner_context(ctx, f"inner-{number}"))
        found.append(count_frames({0: model}, train.subset([group]), ctx, task)[0])
    return task.best_threshold(found)
