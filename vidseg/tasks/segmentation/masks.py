"""What training masks must hold, and what the masks of a video hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from vidseg.errors import DataError
from vidseg.tasks.segmentation.rasterise import overview_size, rasterise
from vidseg.types import Labels, TrainingSet


def both_classes(counts: tuple[int, int], *, where: str) -> None:
    """Refuse training masks with one class only.

    Args:
        counts: number of foreground and of background pixels.
        where: names the training set in the message.

    Raises:
        DataError: one of the counts is zero.
    """
    positive, negative = counts
    if positive and negative:
        return
    missing = (
        "foreground and background"
        if not (positive or negative)
        else ("background" if positive else "foreground")
    )
    raise DataError(
        f"the training masks hold no {missing} pixel",
        where=where,
        hint="choose other frames or videos, a larger mask_size, or check the labels",
    )


def check_training(train: TrainingSet) -> dict[str, float]:
    """Count the training pixels; one class only is refused before any feature is computed.

    Returns:
        ``train_pixels`` (labelled ones), ``train_positive_share``.

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
    pixels = positives + negatives
    return {"train_pixels": float(pixels), "train_positive_share": positives / pixels}


def describe_labels(labels: Iterable[Labels]) -> dict[str, Any]:
    """Return ``boxes``, ``tracks``, ``positive %`` and ``ignored %`` of the frames of one video.

    Shares are of masks at most 320 pixels wide; undefined ones are nan.

    Raises:
        DataError: labels that cannot be drawn; names the frame.
    """
    counts = np.zeros(3, np.int64)
    boxes, drawn = 0, True
    tracks: set[int] = set()
    for index, own in enumerate(labels):
        mask = rasterise(own, overview_size(own.size), where=f"frame {index}")
        counts += np.bincount(mask.ravel() + 1, minlength=3)
        if own.boxes is not None:
            boxes, drawn = boxes + len(own.boxes), False
            tracks.update([] if own.ids is None else own.ids[own.ids >= 0].tolist())
    valid = counts[0] + counts[2]
    return {
        "boxes": "masks" if drawn else str(boxes),
        "tracks": str(len(tracks)) if tracks else "-",
        "positive %": float(counts[2] / valid) if valid else float("nan"),
        "ignored %": float(counts[1] / counts.sum()),
    }
