"""The boxes of the true labels, also where the truth is a mask."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vidseg.datasets.base import BoxLabels
from vidseg.labels.base import KeyedLabels
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.types import Labels, Video
from vidseg.utils.hashing import digest

_RULE = "boxes 2"

SMALLEST_PART = 0.02
"""A part of a mask with a smaller share of the pixels of the frame's largest part gets no box."""


class Boxes:
    """Train on boxes where outlines are known: what does drawing outlines buy?

    Boxes that stand beside a mask are taken as they are; otherwise each connected part of the
    foreground gives one, but bits of less than 2 % of the frame's largest part: what is left
    behind a pole, or of compression. Parts that are ignored become ignored boxes.
    """

    contract: ClassVar[int] = 1

    def of(self, video: Video) -> KeyedLabels:
        """Return the boxes of the video's own labels."""
        key = digest([_RULE, video.label_key])
        return KeyedLabels(key, partial(_boxed_of, video))


def _boxed_of(video: Video, index: int) -> Labels:
    return boxed(video.labels(index))


def boxed(labels: Labels) -> Labels:
    """Return the same labels without their mask, as boxes."""
    mask = labels.mask
    if mask is None:
        return labels
    if labels.boxes is None:
        found, void = parts(mask == FOREGROUND, SMALLEST_PART), parts(mask == IGNORED, 0)
        boxes = np.concatenate([found, void])
        ignored = np.arange(len(boxes)) >= len(found)
        return BoxLabels(labels.size, boxes, 0.0, np.arange(len(boxes)), ignored)
    count = len(labels.boxes)
    return BoxLabels(
        labels.size,
        labels.boxes,
        labels.origin,
        np.arange(count) if labels.ids is None else labels.ids,
        np.zeros(count, bool) if labels.ignored is None else labels.ignored,
    )


def parts(inside: npt.NDArray[np.bool_], smallest: float) -> npt.NDArray[np.float64]:
    """Return left, top, width, height of each connected part, ``float64 (n, 4)``, origin 0.

    Args:
        inside: pixels.
        smallest: parts with a smaller share of the pixels of the largest are left out.
    """
    import cv2

    _, _, found, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    found = found[1:]
    kept = found[:, 4] >= smallest * found[:, 4].max(initial=0)
    return np.asarray(found[kept, :4], np.float64)
