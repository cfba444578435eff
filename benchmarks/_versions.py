"""Versions of one take, as they circulate: each function makes the frames of one from a take's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Frames = Sequence[np.ndarray]


def compressed(frames: Frames) -> list[np.ndarray]:
    """JPEG of quality 55."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 55]
    return [cv2.imdecode(cv2.imencode(".jpg", f, quality)[1], cv2.IMREAD_COLOR) for f in frames]


def halved(frames: Frames) -> list[np.ndarray]:
    """Half the size."""
    return [cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for f in frames]


def brightened(frames: Frames) -> list[np.ndarray]:
    """A quarter more contrast, and brighter."""
    return [np.clip(f * 1.25 + 15.0, 0, 255).astype(np.uint8) for f in frames]


def cropped(frames: Frames) -> list[np.ndarray]:
    """A tenth of both sides cut away."""
    height, width = frames[0].shape[:2]
    top, left = height // 20, width // 20
    return [f[top : height - top, left : width - left].copy() for f in frames]


def mirrored(frames: Frames) -> list[np.ndarray]:
    """Left and right exchanged."""
    return [f[:, ::-1].copy() for f in frames]


def later(frames: Frames) -> list[np.ndarray]:
    """The second half, by an odd frame, so that no compared frame is the take's."""
    return list(frames[len(frames) // 2 + 1 :])


VERSIONS: dict[str, Callable[[Frames], list[np.ndarray]]] = {
    "JPEG quality 55": compressed,
    "half size": halved,
    "brightened": brightened,
    "10 % cropped": cropped,
    "mirrored": mirrored,
    "second half": later,
}
