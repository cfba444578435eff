"""How a clip's pictures are to be shown: the turns and flips of its display matrix.

The matrix (ISO/IEC 14496-12, ``tkhd``; FFmpeg's ``AV_PKT_DATA_DISPLAYMATRIX``) has nine numbers
``a b u c d v x y w``: the pixel at (p, q) is shown at (a p + c q + x, b p + d q + y).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vidseg.errors import DataError
from vidseg.types import Image

if TYPE_CHECKING:
    import av

_TOLERANCE = 0.01


class Orientation(NamedTuple):
    """One of the eight ways to put a picture on its sides.

    Attributes:
        transposed: rows become columns, before the flips.
        flip_rows, flip_columns: upside down, left to right.
    """

    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether it is none of the four turns."""
        return (self.transposed + self.flip_rows + self.flip_columns) % 2 == 1

    def apply(self, image: Image) -> Image:
        """Return ``uint8 (H, W, 3)`` as it is to be shown."""
        shown = image.transpose(1, 0, 2) if self.transposed else image
        rows, columns = (-1 if flip else 1 for flip in self[1:])
        return np.ascontiguousarray(shown[::rows, ::columns])


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return how a decoded frame is to be shown.

    Raises:
        DataError: it is turned by no multiple of 90 degrees, or distorted.
    """
    from av.sidedata.sidedata import Type

    held = frame.side_data.get(Type.DISPLAYMATRIX)
    if held is None:
        return Orientation()
    matrix = np.frombuffer(bytes(held), np.int32, 9).reshape(3, 3).astype(float)
    return orientation(matrix)


def orientation(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Orientation:
    """Return the orientation of a display matrix; one that is all 0 asks for nothing.

    Args:
        matrix: ``float64 (3, 3)``, rows ``a b u``, ``c d v``, ``x y w``; the scale of x and y does
            not matter, nor where the picture is shown.

    Raises:
        DataError: it turns by no multiple of 90 degrees, or distorts.

    >>> orientation(np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
    Orientation(transposed=False, flip_rows=False, flip_columns=True)
    """
    linear = matrix[:2, :2]
    if not linear.any():
        return Orientation()
    scale = np.hypot(*linear)
    unit = linear / np.where(scale > 0, scale, 1)
    whole = np.rint(unit)
    plain = np.abs(unit - whole).max() < _TOLERANCE and abs(np.linalg.det(whole)) == 1
    if not plain or matrix[:2, 2].any():
        shown = ", ".join(f"{value:.2f}" for value in unit.ravel())
        raise DataError(
            f"is to be shown by the display matrix ({shown}), which is no quarter turn and no flip",
            hint="export it with the rotation applied to its pixels",
        )
    (a, b), (c, d) = whole
    if a == 0:
        return Orientation(True, bool(b < 0), bool(c < 0))
    return Orientation(False, bool(d < 0), bool(a < 0))
