"""Measures of whole videos, kept for the life of the process: folds and settings share them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

KEPT_BYTES = 512 * 2**20
"""Most bytes of measures that are kept; those that were not asked for longest leave first."""

_KEPT: OrderedDict[tuple[str, str, str], Float] = OrderedDict()
_LOCK = threading.Lock()


def once(
    name: str, image_key: str, sample: Iterable[npt.NDArray[Any]], measure: Callable[[], Float]
) -> Float:
    """Return ``measure()``, or what it returned before for the same video seen the same way.

    Args:
        name: of the measure.
        image_key: the content of the video.
        sample: what its first frame is measured from (its image, its features): their bits tell
            the image size and the extractor.
        measure: computes it.
    """
    digest = hashlib.blake2b(digest_size=16)
    for array in sample:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    key = (name, image_key, digest.hexdigest())
    with _LOCK:
        if key in _KEPT:
            _KEPT.move_to_end(key)
            return _KEPT[key]
    found = measure()
    with _LOCK:
        _KEPT[key] = found
        held = sum(value.nbytes for value in _KEPT.values())
        while held > KEPT_BYTES and len(_KEPT) > 1:
            held -= _KEPT.popitem(last=False)[1].nbytes
    return found
