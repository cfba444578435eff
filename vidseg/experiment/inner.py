"""Inner folds: training groups that are held out once each, to choose by what was not trained on.

``threshold=inner`` and ``tune:`` of a suite share them. Frames are counted unchanged by noise or
augmentation and with their training labels: an arm looks at no label that it does not train on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from vidseg.classifiers.base import FitContext
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.training import TrainingFrames
from vidseg.tasks.base import Counts, Task
from vidseg.types import FrameRef, Model

MOST_GROUPS = 3
"""So many training groups are held out at most, each once: every one costs a fit."""


def inner_groups(train: TrainingFrames, seed: int) -> list[str]:
    """Return the groups to hold out, at most three, drawn by the seed; none where there is one."""
    groups = sorted(set(train.groups))
    if len(groups) < 2:
        return []
    order = np.random.default_rng(seed).permutation(len(groups))
    return [groups[place] for place in order[:MOST_GROUPS]]


def without(train: TrainingFrames, group: str) -> TrainingFrames:
    """Return the training frames of the other groups."""
    return train.subset([one for one in set(train.groups) if one != group])


def inner_context(ctx: FitContext, name: str) -> FitContext:
    """Return the context of an inner fit: a folder of its own, nothing to start from or to show."""
    workdir = ctx.workdir / name
    workdir.mkdir(parents=True, exist_ok=True)
    plain = FitContext()
    return replace(
        ctx,
        facts={},
        init=None,
        log=plain.log,
        show=plain.show,
        keep=plain.keep,
        workdir=workdir,
    )


def count_frames(
    models: Mapping[int, Model],
    train: TrainingFrames,
    ctx: FitContext,
    task: Task,
    threshold: float = 0.0,
) -> dict[int, list[Counts]]:
    """Return for each model the counts of each video of ``train``.

    Args:
        models: by any number.
        train: frames that they were not trained on.
        ctx: of the fit.
        task: counts the frames.
        threshold: scores above it are positive.
    """
    found: dict[int, dict[str, Counts]] = {name: {} for name in models}
    for video, index in sorted({(ref.video, ref.index) for ref in train.refs}):
        ctx.stop()
        material = train.materials[video]
        maps = frame_scores(models, material, index, ctx.device)
        reference = task.reference(train.mask(FrameRef(video, index)), 0.0)
        for name, scores in maps.items():
            counts = found[name].setdefault(video, task.counts(video, material.group))
            counts.add(index, scores, reference, threshold)
    return {name: list(videos.values()) for name, videos in found.items()}
