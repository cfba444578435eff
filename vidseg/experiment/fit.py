"""The steps of a fit around the classifier's own: labels, balance, features, threshold."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vidseg import plugins
from vidseg.classifiers.base import Classifier, FitContext
from vidseg.experiment.config import Setting
from vidseg.experiment.threshold import inner_threshold
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.base import ExtractorHandle
from vidseg.tasks.segmentation.class_weights import PARAMETER, weighted
from vidseg.tasks.segmentation.masks import both_classes
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
        progress.say(f"grabCut failed on {failed} of {boxes} boxes: they stay boxes")
    return {"refined_boxes": float(boxes), "refine_failed": float(failed)} if boxes else {}


def count_pixels(train: TrainingFrames) -> dict[str, float]:
    """Count the training pixels; one class only is refused before any feature is computed.

    Returns:
        ``train_videos``, ``train_frames``, ``train_pixels``, ``train_positive_share``.

    Raises:
        DataError: the masks hold one class only.
    """
    positives = negatives = 0
    for ref in train.refs:
        mask = train.mask(ref)
        positives += int(np.count_nonzero(mask > 0))
        negatives += int(np.count_nonzero(mask < 0))
    videos = sorted({ref.video for ref in train.refs})
    both_classes((positives, negatives), where=f"training videos {', '.join(videos)}")
    return {
        "train_videos": float(train.videos),
        "train_frames": float(len(train.refs)),
        "train_pixels": float(positives + negatives),
        "train_positive_share": positives / (positives + negatives),
    }


def make_classifier(setting: Setting, share: float) -> tuple[Classifier, dict[str, float]]:
    """Return the classifier, weighted where a prior asks for it, and what to record of that.

    Args:
        setting: what is trained.
        share: of foreground among the labelled training pixels.

    Raises:
        UsageError: the classifier has no class weight, or was given one.
    """
    spec, prior = setting.classifier, setting.labelling.prior
    facts: dict[str, float] = {}
    if prior is not None:
        spec = weighted(spec, share, prior)
        facts[PARAMETER] = float(spec.params[PARAMETER])
    classifier: Classifier = plugins.create("classifier", spec)
    return classifier, facts


def choose_threshold(
    train: TrainingFrames, setting: Setting, handle: ExtractorHandle, ctx: FitContext
) -> dict[str, float]:
    """Choose the threshold on held-out training groups; see :mod:`vidseg.experiment.threshold`.

    Returns:
        ``threshold``, ``inner_iou``, ``inner_iou_at_0``, ``inner_groups``, ``inner_seconds``.

    Raises:
        DataError: there is one training group only, or no foreground in those held out.
    """

    def make(part: TrainingFrames) -> Classifier:
        return make_classifier(setting, count_pixels(part)["train_positive_share"])[0]

    began = time.perf_counter()
    chosen = inner_threshold(train, make, handle, ctx)
    ctx.progress.say(
        f"threshold {chosen.threshold:.4g}: IoU {chosen.iou:.3f} on {chosen.groups} held-out "
        f"training groups, {chosen.iou_at_0:.3f} at 0"
    )
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
