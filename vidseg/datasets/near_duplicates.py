"""Do two pictures show one place? Local features that one homography carries from one to the other.

Found so: copies that were compressed again, scaled, brightened, cropped or mirrored, and other
takes of a camera that did not move. Not found: another viewpoint, two cameras of one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.datasets.descriptors import UNIT, Descriptors, Vectors, mirrored

RATIO = 0.8
"""The best match has to be nearer than this share of the second best (D. Lowe, 2004)."""
REPROJECTION = 4.0
"""Pixels, at a longer side of 320, that a point may lie off the homography."""
AREA = (0.2, 5.0)
"""Bounds of what the homography may make of a picture's area."""
LISTED = 15
"""Inliers from which two pictures are listed as alike."""
SURE, SURE_CELLS = 25, 6
"""Inliers, and cells of a 4x4 grid with one, from which two pictures show one place."""
GRID = 4


class Likeness(NamedTuple):
    """How much of a picture is found in another.

    Attributes:
        inliers: matched points that agree on one homography.
        cells: cells of a 4x4 grid with such a point, in the picture that has fewer of them.
        mirrored: whether one of them is the other's mirror image.
    """

    inliers: int
    cells: int
    mirrored: bool = False

    @property
    def same_place(self) -> bool:
        """Whether the pictures show one place."""
        return self.inliers >= SURE and self.cells >= SURE_CELLS

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Sorts by how sure it is that the pictures show one place."""
        return self.same_place, self.inliers, self.cells

    @property
    def listed(self) -> bool:
        """Whether a person should look at the pictures."""
        return self.inliers >= LISTED

    def __str__(self) -> str:
        way = ", mirrored" if self.mirrored else ""
        return f"{self.inliers} matched points in {self.cells} of {GRID * GRID} parts{way}"


NOTHING = Likeness(0, 0)


def compare(one: Descriptors, other: Descriptors) -> Likeness:
    """Return how much of a picture is found in another, as it is or mirrored.

    The order of the two does not matter.
    """
    if min(len(one.points), len(other.points)) < LISTED:
        return NOTHING
    if one.vectors.tobytes() > other.vectors.tobytes():
        one, other = other, one
    return max(
        _compare(one, other, False),
        _compare(mirrored(one), other, True),
        key=lambda found: found.rank,
    )


def compare_all(
    ones: Sequence[Descriptors], others: Sequence[Descriptors]
) -> tuple[Likeness, int, int]:
    """Return the likeness of the two most similar pictures of two videos, and which those are.

    It stops at the first two that show one place.
    """
    best = NOTHING, 0, 0
    for shift in range(max(len(ones), len(others))):  # pictures of one time first
        for i, one in enumerate(ones):
            for j in {i - shift, i + shift} & set(range(len(others))):
                found = compare(one, others[j])
                if found.rank > best[0].rank:
                    best = found, i, j
                if found.same_place:
                    return found, i, j
    return best


def _compare(one: Descriptors, other: Descriptors, is_mirrored: bool) -> Likeness:
    rows, columns = _matches(one.vectors, other.vectors)
    if len(rows) < LISTED:
        return NOTHING
    source, target = one.points[rows], other.points[columns]
    kept = _agreeing(source, target, one, other)
    if not kept.any():
        return NOTHING
    cells = min(_cells(source[kept], one), _cells(target[kept], other))
    return Likeness(int(kept.sum()), cells, is_mirrored)


def _matches(one: Vectors, other: Vectors) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows of both that are each other's best match, and clearly the best."""
    likeness = one.astype(np.float32) @ np.ascontiguousarray(other.T.astype(np.float32))
    rows = np.arange(len(likeness))
    best = likeness.argmax(1)
    nearest = likeness[rows, best]
    likeness[rows, best] = -1
    second = likeness.max(1)
    likeness[rows, best] = nearest
    square = np.float32(UNIT**2)  # of the length of all vectors
    clear = np.flatnonzero(square - nearest < RATIO**2 * (square - second))
    kept = clear[likeness[:, best[clear]].argmax(0) == clear]
    return kept, best[kept]


def _agreeing(
    source: npt.NDArray[np.float32],
    target: npt.NDArray[np.float32],
    one: Descriptors,
    other: Descriptors,
) -> npt.NDArray[np.bool_]:
    """Return ``bool (n,)``: points on one homography that a copy can have; none otherwise."""
    import cv2

    nothing = np.zeros(len(source), bool)
    homography, kept = cv2.findHomography(source, target, cv2.RANSAC, REPROJECTION)
    if homography is None:
        return nothing
    right, bottom = one.width - 1, one.height - 1
    corners = np.array([[[0, 0]], [[right, 0]], [[right, bottom]], [[0, bottom]]], np.float32)
    carried = cv2.perspectiveTransform(corners, homography)
    if not np.isfinite(carried).all() or not cv2.isContourConvex(carried):
        return nothing
    share = cv2.contourArea(carried) / (other.width * other.height)
    return kept.ravel().astype(bool) if AREA[0] <= share <= AREA[1] else nothing


def _cells(points: npt.NDArray[np.float32], own: Descriptors) -> int:
    cell = np.clip((points * GRID / (own.width, own.height)).astype(int), 0, GRID - 1)
    return len(np.unique(cell @ (1, GRID)))
