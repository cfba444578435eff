"""Polygons in pixels: clipped to a frame, rotated boxes and ellipses as polygons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidseg.types import Size

Polygon = npt.NDArray[np.float64]
"""``float64 (n, 2)``: x and y of each corner in pixels; 0 is the left (top) edge of the frame."""

ELLIPSE_CORNERS = 64


def extent(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """Return left, top, width and height of the box around polygons."""
    corners = np.concatenate(polygons)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


def is_outside(polygon: Polygon, size: Size) -> bool:
    """Return whether a corner lies more than a pixel outside of the frame."""
    height, width = size
    return bool((polygon < -1).any() or (polygon > (width + 1, height + 1)).any())


def clip_polygon(polygon: Polygon, size: Size) -> Polygon:
    """Return the part of a polygon that lies in the frame (Sutherland and Hodgman 1974).

    Returns:
        ``float64 (n, 2)``; the same where it lies inside, no corner where nothing does.
    """
    height, width = size
    if (polygon >= 0).all() and (polygon <= (width, height)).all():
        return polygon
    for axis, bound, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        if not len(polygon):
            break
        polygon = _clip_half(polygon, axis, bound, sign)
    return polygon


def _clip_half(polygon: Polygon, axis: int, bound: float, sign: int) -> Polygon:
    kept = []
    for start, end in zip(np.roll(polygon, 1, axis=0), polygon, strict=True):
        before, after = sign * (start[axis] - bound), sign * (end[axis] - bound)
        if (before < 0) != (after < 0):
            crossing = start + before / (before - after) * (end - start)
            crossing[axis] = bound
            kept.append(crossing)
        if after >= 0:
            kept.append(end)
    return np.array(kept, np.float64).reshape(-1, 2)


def rotated(polygon: Polygon, degrees: float, centre: tuple[float, float]) -> Polygon:
    """Return a polygon turned clockwise on the screen, as CVAT turns boxes and ellipses."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray((polygon - centre) @ turn + centre)


def box_polygon(left: float, top: float, width: float, height: float) -> Polygon:
    """Return the four corners of a box."""
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def ellipse_polygon(cx: float, cy: float, rx: float, ry: float) -> Polygon:
    """Return 64 points on an ellipse with axes along the frame's."""
    angles = np.arange(ELLIPSE_CORNERS) * (2 * math.pi / ELLIPSE_CORNERS)
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)
