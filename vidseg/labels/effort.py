"""What labels cost a human: boxes drawn and frames looked at, and the seconds that these take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidseg.labels.boxes import boxed
from vidseg.labels.key_boxes import spaced
from vidseg.types import Video, labelled_frames

SECONDS_PER_BOX = 7.0
"""Seconds that a box takes (extreme clicking, Papadopoulos et al. 2017)."""
SECONDS_PER_LOOK = 1.0
"""Seconds that looking at a frame takes."""

OF_MASKS = (
    "the labels have no boxes: each connected part of a mask counts as an object with a box (bits "
    "under 2 % of a frame's largest part left out), linked from frame to frame by overlap"
)


@dataclass(frozen=True)
class Effort:
    """What the labels of a video, or of several, cost a human.

    Attributes:
        boxes: drawn.
        looks: frames looked at; drawing takes a look as well.
        of_masks: boxes around the parts of masks are counted, because there are no others: see
            ``OF_MASKS``.
    """

    boxes: int = 0
    looks: int = 0
    of_masks: bool = False

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.boxes + other.boxes, self.looks + other.looks, self.of_masks or other.of_masks
        )


@dataclass(frozen=True)
class Price:
    """What a box and a look take.

    Attributes:
        box, look: seconds.

    Example:
        >>> Price(7.0, 1.0).seconds(Effort(boxes=10, looks=5))
        75.0
    """

    box: float = SECONDS_PER_BOX
    look: float = SECONDS_PER_LOOK

    @classmethod
    def of(cls, box: float | None, look: float | None) -> Price:
        """Return a price; None stands for the usual one."""
        return cls(
            SECONDS_PER_BOX if box is None else box, SECONDS_PER_LOOK if look is None else look
        )

    def seconds(self, effort: Effort) -> float:
        """Return what an effort takes."""
        return self.box * effort.boxes + self.look * effort.looks


def by_hand(video: Video, frames: Iterable[int]) -> Effort:
    """Return what it takes to draw every box of some frames; ignored ones are not counted.

    Where the truth is a mask without boxes, the parts of its foreground are
    (:func:`vidseg.labels.boxes.boxed`).
    """
    total = Effort()
    for frame in frames:
        labels = video.labels(frame)
        found = boxed(labels)
        assert found.boxes is not None
        ignored = 0 if found.ignored is None else int(np.sum(found.ignored))
        total += Effort(len(found.boxes) - ignored, 1, labels.boxes is None)
    return total


def key_frame_seconds(video: Video, every: int, price: Price) -> float:
    """Return what it takes to draw every box of a video's frames that are ``every`` apart."""
    return price.seconds(by_hand(video, spaced(labelled_frames(video), every)))


def effort_of(video: Video, labels: Any, frames: Sequence[int]) -> Effort:
    """Return what the training labels of some frames of a video take.

    Args:
        video: the video.
        labels: a :class:`vidseg.labels.base.VideoLabels`; where it has ``effort(frames)``, that
            says it, else every box of ``frames`` is drawn by hand.
        frames: those that are trained on.
    """
    own = getattr(labels, "effort", None)
    found: Effort = by_hand(video, frames) if own is None else own(frames)
    return found
