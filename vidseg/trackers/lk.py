"""Median optical flow with a forward-backward check.

Kalal, Mikolajczyk, Matas, "Forward-Backward Error: Automatic Detection of Tracking Failures", ICPR
2010, on OpenCV's pyramidal Lucas-Kanade.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.types import Box, Image

Points = npt.NDArray[np.float32]

LEVELS = 3
ENOUGH = (3, 10, 0.03)
"""A point is followed for 10 iterations, or until a step is shorter than .03 pixels."""
LEAST = 4
"""Points that must survive the check; with fewer the object is taken to stand still."""
LARGEST = 128.0
"""A larger object is followed on a smaller picture: its longer side, in pixels."""
AROUND = 0.5
"""What is seen around the box, as a share of its longer side; at least ``NEAR`` pixels."""
NEAR = 24.0


class Lk:
    """Follow an object by the median of the optical flow in it.

    A grid of points in the box is followed to the next frame and back; those that return to where
    they began give the shift (median) and the change of scale (median ratio of distances). The
    confidence is the share of points that return within a pixel. 1 to 3 ms a
    frame, growing with the object.

    Args:
        points: along each side of the grid.
        window: side of the patch around a point, in pixels.
    """

    contract: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("cv2",)

    def __init__(
        self,
        points: Annotated[int, Field(ge=3, le=40)] = 7,
        window: Annotated[int, Field(ge=5, le=63)] = 15,
    ) -> None:
        self._window = window
        steps = (np.arange(points) + 0.5) / points
        self._grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)

    def start(self, image: Image, box: Box) -> None:
        """Take the object."""
        self._image, self._box = image, box

    def update(self, image: Image) -> tuple[Box, float]:
        """Return where the object is, and the share of points that were followed."""
        left, top, width, height = self._box
        before, after, corner, scale = self._crops(image)
        places = self._grid * (width, height) + (left, top)
        # OpenCV's coordinates are those of pixel centres
        points = ((places - corner) * scale - 0.5).astype(np.float32)
        moved, kept, sure = self._followed(before, after, points)
        self._image = image
        if kept.sum() < LEAST:
            return self._box, 0.0
        self._box = self._moved_box(points[kept], moved[kept], scale)
        return self._box, sure

    def _crops(self, image: Image) -> tuple[Any, Any, npt.NDArray[np.float64], float]:
        """Return both frames around the box in grey, their corner, and how much they shrank."""
        import cv2

        left, top, width, height = self._box
        margin = max(AROUND * max(width, height), NEAR)
        rows, columns = image.shape[:2]
        x0, y0 = max(0, int(left - margin)), max(0, int(top - margin))
        x1 = min(columns, int(np.ceil(left + width + margin)))
        y1 = min(rows, int(np.ceil(top + height + margin)))
        scale = min(1.0, LARGEST / max(width, height))
        found = []
        for picture in (self._image, image):
            grey = cv2.cvtColor(np.ascontiguousarray(picture[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
            if scale < 1:
                grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            found.append(grey)
        return found[0], found[1], np.array([x0, y0], np.float64), scale

    def _followed(
        self, before: Any, after: Any, points: Points
    ) -> tuple[Points, npt.NDArray[np.bool_], float]:
        """Return where the points went, which of them can be trusted, and the share that return."""
        import cv2

        how: dict[str, Any] = {
            "winSize": (self._window, self._window),
            "maxLevel": LEVELS,
            "criteria": ENOUGH,
        }
        moved, there, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, **how)
        back, here, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, None, **how)
        found = (there.ravel() == 1) & (here.ravel() == 1)
        rows, columns = before.shape
        found &= ((points >= 0) & (points < (columns, rows))).all(axis=1)
        errors = np.where(found, np.linalg.norm(back - points, axis=1), np.inf)
        if not found.any():
            return moved, found, 0.0
        middle = float(np.median(errors[found]))
        return moved, errors <= max(middle, 0.05), float((errors <= 1.0).mean())

    def _moved_box(self, points: Points, moved: Points, scale: float) -> Box:
        left, top, width, height = self._box
        shift = np.median(moved - points, axis=0) / scale
        growth = _growth(points, moved)
        wide, high = width * growth, height * growth
        return (
            float(left + shift[0] - (wide - width) / 2),
            float(top + shift[1] - (high - height) / 2),
            float(wide),
            float(high),
        )


@lru_cache(maxsize=256)
def _pairs(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first and the second of all pairs of ``count`` things."""
    first, second = np.triu_indices(count, 1)
    return first, second


def _growth(before: Points, after: Points) -> float:
    """Return the median ratio of the distances between points, after to before."""
    first, second = _pairs(len(before))
    old = np.linalg.norm(before[first] - before[second], axis=1)
    new = np.linalg.norm(after[first] - after[second], axis=1)
    return float(np.median(new[old > 0] / old[old > 0])) if (old > 0).any() else 1.0
