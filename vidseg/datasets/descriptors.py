"""Local features of a picture: what of it is found again in a scaled, cropped or mirrored copy.

SIFT (D. Lowe, 2004) with the square-root norm of RootSIFT (R. Arandjelovic and A. Zisserman, 2012),
kept as whole numbers: their products are exact in float32, so that no result depends on the number
of threads.
"""

from __future__ import annotations

import base64
import functools
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.types import Image

LONGER_SIDE = 320
"""Larger pictures are reduced to this; points of all pictures are on that scale."""
MOST = 400
"""Points of one picture, the strongest first."""
CONTRAST = 0.02
UNIT = 512
"""Length of a vector: each has a norm of about 1 before it is multiplied and rounded."""
FLAT = 12
"""A picture whose 8x9 thumbnail spans no more grey levels has nothing to be recognised by."""

Vectors = npt.NDArray[np.uint8]


class Descriptors(NamedTuple):
    """The local features of one picture.

    Attributes:
        width, height: of the picture, scaled to a longer side of :data:`LONGER_SIDE`.
        points: ``float32 (n, 2)``, x and y on that scale.
        vectors: ``uint8 (n, 128)``: 4x4 places of 8 orientations, rows first.
    """

    width: float
    height: float
    points: npt.NDArray[np.float32]
    vectors: Vectors


def describe(image: Image) -> Descriptors:
    """Return the local features of a picture ``uint8 (H, W, 3)``; none where it is flat."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    unit = LONGER_SIDE / max(height, width)
    if unit < 1:
        small = max(1, round(width * unit)), max(1, round(height * unit))
        grey = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    points, vectors = np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    if not is_flat(image) and min(grey.shape) >= 16:
        found, raw = _sift().detectAndCompute(grey, None)
        if raw is not None:
            points = np.array([each.pt for each in found[:MOST]], np.float32)
            vectors = raw[:MOST]
    points = points * np.float32(max(width, height) * unit / max(grey.shape))
    return Descriptors(width * unit, height * unit, points, _root(vectors))


def is_flat(image: Image) -> bool:
    """Tell whether a picture is black, a fade or a plain card: nothing to be recognised by."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    thumb = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    return int(thumb.max()) - int(thumb.min()) <= FLAT


def mirrored(own: Descriptors) -> Descriptors:
    """Return the features of the mirrored picture without extracting them again.

    A mirrored gradient patch, turned to its main orientation, is flipped across it: its rows come
    in reverse order and orientation o becomes -o.
    """
    points = own.points.copy()
    points[:, 0] = own.width - 1 - points[:, 0]
    places = own.vectors.reshape(-1, 4, 4, 8)[:, ::-1]
    turned = np.concatenate([places[..., :1], places[..., :0:-1]], -1)
    return own._replace(points=points, vectors=turned.reshape(-1, 128))


def pack(own: Descriptors) -> list[Any]:
    """Return features in a form that JSON can hold, about 60 bytes a point."""
    points = np.rint(own.points * 32).astype("<i2").tobytes()
    data = zlib.compress(points + own.vectors.tobytes(), 6)
    return [own.width, own.height, len(own.points), base64.b85encode(data).decode()]


def unpack(packed: list[Any]) -> Descriptors:
    """Return what :func:`pack` packed; points are rounded to 1/32 of a pixel."""
    width, height, count, text = packed
    data = zlib.decompress(base64.b85decode(text))
    points = np.frombuffer(data, "<i2", 2 * count).reshape(-1, 2)
    vectors = np.frombuffer(data, np.uint8, offset=4 * count).reshape(-1, 128)
    return Descriptors(width, height, np.asarray(points / 32, np.float32), vectors)


def _root(vectors: npt.NDArray[np.float32]) -> Vectors:
    total = np.maximum(vectors.sum(1, keepdims=True), 1e-9)
    return np.asarray(np.minimum(np.rint(np.sqrt(vectors / total) * UNIT), 255), np.uint8)


@functools.cache
def _sift() -> Any:
    import cv2

    return cv2.SIFT.create(MOST, contrastThreshold=CONTRAST)
