"""Measures of whole videos, cached for the life of the process: folds and settings share them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import cached

from vidseg.utils.cache import array_cache

Floats = npt.NDArray[np.float64]

CACHE_BYTES = 512 * 2**20
"""Most bytes of measures that are kept; the least recently used leave first."""

CacheKey = tuple[str, str, str]


def _key(
    name: str, image_key: str, first: Iterable[npt.NDArray[Any]], measure: Callable[[], Floats]
) -> CacheKey:
    digest = hashlib.blake2b(digest_size=16)
    for array in first:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return name, image_key, digest.hexdigest()


@cached(array_cache(CACHE_BYTES), key=_key, lock=Lock())
def measure_once(
    name: str, image_key: str, first: Iterable[npt.NDArray[Any]], measure: Callable[[], Floats]
) -> Floats:
    """Return ``measure()``, or what it returned before for the same video and settings.

    Args:
        name: of the measure.
        image_key: content hash of the video.
        first: what the first frame is measured from (its image, its features); its content stands
            for image size and extractor in the key.
        measure: computes the result.
    """
    return measure()
