"""Labels as boxes, as a mask or as outlines, whatever they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.datasets.writers.base import Losses
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED, checked_boxes, rasterise
from vidseg.types import Labels, Mask

Boxes = npt.NDArray[np.float64]

FILLED = 0.5
"""Least share of its box that an ignored region fills, where a box stands for it."""


_NUDGE = 2.0**-20


class FrameBoxes(NamedTuple):
    """Boxes of one frame.

    Attributes:
        boxes: ``float64 (n, 4)``: left, top, width, height in pixels from 0.
        ids: ``int64 (n,)`` track, -1 where none is known.
        ignored: ``bool (n,)``.
    """

    boxes: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]


def given_boxes(labels: Labels, where: str) -> FrameBoxes:
    """Return the boxes that labels hold.

    Raises:
        DataError: a box that cannot be meant; see :func:`vidseg.tasks.segmentation.rasterise`.
    """
    edges, ignored = checked_boxes(labels, where)
    boxes = np.array(labels.boxes, np.float64)
    boxes[:, :2] = edges[:, :2]
    ids = np.full(len(boxes), -1, np.int64) if labels.ids is None else np.asarray(labels.ids)
    return FrameBoxes(boxes, ids, ignored)


def settled(boxes: Boxes, read_back: Callable[[Boxes], Boxes]) -> Boxes:
    """Return boxes that fill the same pixels after a format has rounded them.

    A pixel belongs to a box when its centre does. Where a rounded edge comes to lie on the other
    side of a centre, the box is moved by a millionth of a pixel to the left and up.

    Args:
        boxes: ``float64 (n, 4)``: left, top, width, height in pixels from 0.
        read_back: returns boxes as they are after they were written and read.
    """
    moved = (_first_centres(boxes) != _first_centres(read_back(boxes))).any(axis=1)
    found = boxes.copy()
    found[moved, :2] -= _NUDGE
    return found


def _first_centres(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Return which pixel's centre is the first behind each of the four edges."""
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return np.asarray(np.ceil(edges - 0.5))


def boxes_of(
    labels: Labels, losses: Losses, where: str, *, with_ignored: bool = True
) -> FrameBoxes:
    """Return the boxes of a frame; of a mask those beside it, or those around its parts.

    A part is what is connected by sides or corners. An ignored part becomes its box where it fills
    half of it, else it is left out; ``with_ignored=False`` leaves out whatever is ignored.
    """
    if labels.mask is None:
        given = given_boxes(labels, where)
        if with_ignored:
            return given
        losses.add("ignored box", "left out, becomes background", int(given.ignored.sum()))
        sure = ~given.ignored
        return FrameBoxes(given.boxes[sure], given.ids[sure], given.ignored[sure])
    mask = mask_of(labels, where)
    losses.add("mask", "boxes only, the shape is lost")
    own = _boxes_beside(labels, where)
    if own is None:
        around = [part.box for part in parts_of(mask == FOREGROUND)]
        own = np.array(around, np.float64).reshape(-1, 4), np.full(len(around), -1, np.int64)
    ignored = parts_of(mask == IGNORED)
    if not with_ignored:
        losses.add("ignored region", "left out, becomes background", len(ignored))
        return FrameBoxes(*own, np.zeros(len(own[0]), bool))
    kept = [part.box for part in ignored if part.pixels >= FILLED * part.box[2] * part.box[3]]
    losses.add(
        "ignored region",
        "fills less than half of its box and becomes background",
        len(ignored) - len(kept),
    )
    losses.add("ignored region", "becomes its box", len(kept))
    boxes = np.concatenate([own[0], np.array(kept, np.float64).reshape(-1, 4)])
    ids = np.concatenate([own[1], np.full(len(kept), -1, np.int64)])
    return FrameBoxes(boxes, ids, np.arange(len(boxes)) >= len(own[0]))


def _boxes_beside(
    labels: Labels, where: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]] | None:
    if labels.boxes is None:
        return None
    boxes, ids, ignored = given_boxes(labels, where)
    return boxes[~ignored], ids[~ignored]


def mask_of(labels: Labels, where: str) -> Mask:
    """Return ``int8 (H, W)`` in {-1, 0, +1} at native size; boxes are filled.

    Raises:
        DataError: see :func:`vidseg.tasks.segmentation.rasterise.rasterise`.
    """
    return rasterise(labels, labels.size, where=where)


class Part(NamedTuple):
    """A connected part of a region.

    Attributes:
        box: left, top, width, height in whole pixels.
        pixels: how many it has.
        inside: ``bool (height, width)`` of the box: its pixels.
    """

    box: tuple[int, int, int, int]
    pixels: int
    inside: npt.NDArray[np.bool_]


def parts_of(region: npt.NDArray[np.bool_]) -> list[Part]:
    """Return the parts of ``bool (H, W)`` that are connected by sides or corners."""
    if not region.any():
        return []
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    found = []
    for label in range(1, count):
        left, top, width, height, pixels = map(int, stats[label])
        inside = labels[top : top + height, left : left + width] == label
        found.append(Part((left, top, width, height), pixels, inside))
    return found
