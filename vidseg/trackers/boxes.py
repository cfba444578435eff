"""Arithmetic of boxes: overlap, and what of a box a frame shows. Rows are left, top, width, height.

Coordinates are pixels; 0 is the left (top) edge of the first pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidseg.types import Box, Size

Boxes = npt.NDArray[np.float64]
"""``float64 (n, 4)``: left, top, width, height."""

SMALLEST = 2.0
"""A tracker needs so many visible pixels on each side of a box."""


def iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float64]:
    """Return intersection over union of boxes, row by row.

    Args:
        a, b: ``float64 (..., 4)``, shapes that broadcast.

    Returns:
        ``float64 (...)`` in 0..1; 0 where a box is empty or not finite.

    Example:
        >>> float(iou(np.array([0.0, 0, 4, 2]), np.array([2.0, 0, 4, 2])))
        0.3333333333333333
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = np.clip(a[..., 2:], 0, None).prod(axis=-1) + np.clip(b[..., 2:], 0, None).prod(axis=-1)
    whole = areas - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        found = shared / whole
    return np.where(np.isfinite(found), found, 0.0)


def is_box(box: Box) -> bool:
    """Return whether all four numbers are finite and width and height are positive."""
    return len(box) == 4 and bool(np.isfinite(box).all()) and box[2] > 0 and box[3] > 0


def visible(box: Box, size: Size) -> tuple[float, float]:
    """Return how many pixels of a box's width and height lie inside a frame."""
    left, top, width, height = box
    across = min(left + width, size.width) - max(left, 0.0)
    down = min(top + height, size.height) - max(top, 0.0)
    return max(0.0, across), max(0.0, down)


def trackable(box: Box, size: Size) -> bool:
    """Return whether a frame shows enough of a box for a tracker to start on."""
    return is_box(box) and min(visible(box, size)) >= SMALLEST
