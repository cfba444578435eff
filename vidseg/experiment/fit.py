"""The steps of a fit around the classifier's own: labels, balance, features, threshold."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from vidseg import plugins
from vidseg.classifiers.base import Classifier, FitContext
from vidseg.experiment.config import Setting
from vidseg.experiment.threshold import inner_threshold
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.base import ExtractorHandle
from vidseg.tasks.base import Task
from vidseg.utils.progress import Progress


def refine_labels(
    train: TrainingFrames, label: str, progress: Progress, stop: Callable[[], None]
) -> dict[str, float]:
    """Make the training masks that are not the true ones.

    Args:
        train: the training frames.
        label: what progress calls the fit.
        progress: is told how many boxes could not be refined.
        stop: raises when the user asked to stop.

    Returns:
        ``refined_boxes``, ``refine_failed`` with ``refine=grabcut``, else nothing.

    Raises:
        VidsegError: the labels cannot be read, or are masks that nothing refines.
    """
    wanted: dict[str, set[int]] = {}
    for ref in train.refs:
        if ref.video in train.labelled:
            wanted.setdefault(ref.video, set()).add(ref.index)
    if not wanted:
        return {}
    boxes = failed = 0
    total = sum(len(indices) for indices in wanted.values())
    with progress.task(f"{label}: training labels", total) as task:
        for video, indices in wanted.items():
            labels = train.labelled[video].labels
            labels.prepare(sorted(indices), task, stop)
            tallies = [labels.tally(index) for index in sorted(indices)]
            boxes += sum(tally.boxes for tally in tallies)
            failed += sum(tally.failed for tally in tallies)
    if failed:
        progress.say(f"{failed} of {boxes} boxes could not be refined: they stay boxes")
    return {"refined_boxes": float(boxes), "refine_failed": float(failed)} if boxes else {}


def check_training(train: TrainingFrames, task: Task) -> dict[str, float]:
    """Count the training frames; targets that cannot be learnt are refused before any feature.

    Returns:
        ``train_videos``, ``train_frames``, and what the task counts, such as
        ``train_positive_share``.

    Raises:
        DataError: the targets cannot be learnt, such as masks of one class only.
    """
    counts = {"train_videos": float(train.videos), "train_frames": float(len(train.refs))}
    return counts | task.check(train)


def make_classifier(
    setting: Setting, counted: Mapping[str, float], task: Task
) -> tuple[Classifier, dict[str, float]]:
    """Return the classifier, weighted where a prior asks for it, and what to record of that.

    Args:
        setting: what is trained.
        counted: of :func:`check_training`.
        task: makes class weights.

    Raises:
        UsageError: the classifier has no class weight, or was given one.
    """
    spec, prior = setting.classifier, setting.labelling.prior
    facts: dict[str, float] = {}
    if prior is not None:
        spec, facts = task.weighted(spec, prior, counted)
    classifier: Classifier = plugins.create("classifier", spec)
    return classifier, facts


def choose_threshold(
    train: TrainingFrames, setting: Setting, handle: ExtractorHandle, ctx: FitContext, task: Task
) -> dict[str, float]:
    """Choose the threshold on held-out training groups; see :mod:`vidseg.experiment.threshold`.

    Returns:
        ``threshold``, what it was chosen by, and ``inner_seconds``.

    Raises:
        DataError: there is one training group only, or nothing to find in those held out.
    """

    def make(part: TrainingFrames) -> Classifier:
        return make_classifier(setting, check_training(part, task), task)[0]

    began = time.perf_counter()
    chosen = inner_threshold(train, make, handle, ctx, task)
    ctx.progress.say(chosen.text)
    return {**chosen.facts, "inner_seconds": time.perf_counter() - began}


def prepare(
    train: TrainingFrames,
    label: str,
    progress: Progress,
    stop: Callable[[], None],
    *,
    features: bool,
) -> None:
    """Decode the training frames, and compute the features that the classifier needs.

    A store that is full ends it early: what cannot be kept is computed when it is read.

    Args:
        train: the training frames; changed ones are made when they are seen.
        label: what progress calls the fit.
        progress: where to tell how far it is.
        stop: raises when the user asked to stop.
        features: compute features as well.
    """
    wanted: dict[str, set[int]] = {}
    for ref in train.refs:
        if ref.variant is None:
            wanted.setdefault(ref.video, set()).add(ref.index)
    total = sum(len(indices) for indices in wanted.values())
    with progress.task(f"{label}: features of training frames", total) as task:
        for video, indices in wanted.items():
            stop()
            material, order = train.materials[video], sorted(indices)
            material.stored.prepare(order)
            if features:
                for index in order:
                    stop()
                    if not material.stored_features.prepare([index], task):
                        break
