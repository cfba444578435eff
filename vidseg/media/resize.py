"""The one rule by which frames change size; its code is part of every key of the store."""

from __future__ import annotations

from vidseg.errors import VidsegError
from vidseg.types import Image, Size


def resize(image: Image, size: Size) -> Image:
    """Stretch ``uint8 (H, W, 3)`` to ``size``: by area when shrinking, linear when enlarging.

    A side that shrinks while the other grows is shrunk by area first: OpenCV's area method
    falls back to interpolation, and aliases, as soon as one side grows.

    Raises:
        VidsegError: OpenCV cannot be loaded.
    """
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    try:
        import cv2
    except ImportError as error:
        raise VidsegError(
            f"OpenCV cannot be loaded: {error}",
            hint="install libgl1 and libglib2.0-0, or use opencv-python-headless instead",
        ) from error
    smaller = min(height, size.height), min(width, size.width)
    if smaller != (height, width):
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != size:
        image = cv2.resize(image, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return image
