"""Gaussian noise as strong as a video's own changes: the variant that ``noised`` makes.

The paper adds noise whose "variance is the same that the variance measured in the corresponding
set of successive real images" (section III.E).
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from vidseg.types import FloatImage, FrameSource, Image, Mask
from vidseg.utils.cache import array_cache
from vidseg.utils.random import copy_generator

Per = Literal["image", "channel", "pixel"]
"""What has a variance of its own: the whole image, each colour, or each pixel and colour."""

Deviation = npt.NDArray[np.float32]

CACHE_BYTES = 64 * 2**20
"""Most bytes of measured deviations that are kept for one video."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Add Gaussian noise of the variance measured over a window of successive frames.

    The draw depends on (seed, video, frame, copy) and, when fresh, on the epoch.

    Attributes:
        video: name of the video.
        start: first frame of the window.
        frames: length of the window, at least 2.
        per: what has a variance of its own.
        round: convert to 8 bit, that is round and clip to 0..255, as the paper does.
        fresh: every epoch draws anew.
        seed: seed of the cell.
        copy: number of this copy of the frame.
    """

    video: str
    start: int
    frames: int
    per: Per
    round: bool
    fresh: bool
    seed: int
    copy: int

    def render(
        self, source: FrameSource, index: int, epoch: int
    ) -> tuple[Image | FloatImage, Mask]:
        """Return the noisy image and the mask of frame ``index``, which is unchanged.

        The image is ``uint8``; with ``round=false`` it is ``float32`` and may leave 0..255.
        """
        image = source.image(index)
        draw = epoch if self.fresh else 0
        rng = copy_generator(self.seed, self.video, index, self.copy, draw)
        noisy = rng.standard_normal(image.shape, dtype=np.float32)
        noisy *= deviation(source, self.start, self.frames, self.per)
        noisy += image
        if not self.round:
            return noisy, source.mask(index)
        np.clip(np.rint(noisy, out=noisy), 0, 255, out=noisy)
        return noisy.astype(np.uint8), source.mask(index)


def variance(source: FrameSource, start: int, frames: int) -> npt.NDArray[np.float64]:
    """Return the variance of each pixel over successive frames, ``float64 (H, W, 3)``.

    It is the unbiased one, ``sum (x - mean)^2 / (frames - 1)``: noise of that variance makes a set
    of ``frames`` copies vary, in expectation, exactly as the real frames do. Sums are exact.

    Args:
        source: the frames, read one at a time.
        start: first frame.
        frames: how many, at least 2.
    """
    first = source.image(start).astype(np.float64)
    total, squares = first, first * first
    for index in range(start + 1, start + frames):
        image = source.image(index).astype(np.float64)
        total += image
        squares += image * image
    spread: npt.NDArray[np.float64] = frames * squares - total * total
    return spread / (frames * (frames - 1))


def deviation(source: FrameSource, start: int, frames: int, per: Per) -> Deviation:
    """Return the standard deviation of the noise, measured once in a process.

    Returns:
        ``float32``, of shape ``(1, 1, 1)`` per image, ``(1, 1, 3)`` per channel, ``(H, W, 3)`` per
        pixel: the root of the pixels' mean variance.
    """
    cache, key = _cache_of(source), (start, frames, per)
    with _LOCK:
        found: Deviation | None = cache.get(key)
    if found is None:
        found = _pooled(variance(source, start, frames), per)
        with _LOCK:
            cache[key] = found
    return found


_LOCK = threading.Lock()  # features are read ahead by a thread
_CACHES: MutableMapping[FrameSource, LRUCache[Any, Any]] = WeakKeyDictionary()


def _cache_of(source: FrameSource) -> LRUCache[Any, Any]:
    """Return the cache that lives as long as ``source``; an empty one where none can be kept."""
    fresh = array_cache(CACHE_BYTES)
    try:
        with _LOCK:
            return _CACHES.setdefault(source, fresh)
    except TypeError:  # neither hashable nor weakly referable
        return fresh


def _pooled(pixels: npt.NDArray[np.float64], per: Per) -> Deviation:
    axes = {"image": (0, 1, 2), "channel": (0, 1), "pixel": ()}[per]
    pooled: npt.NDArray[np.float64] = pixels.mean(axis=axes, keepdims=True)
    return np.sqrt(pooled).astype(np.float32)
