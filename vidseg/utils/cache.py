"""Caches in memory with a bound of bytes."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from cachetools import LRUCache


def array_cache(nbytes: int) -> LRUCache[Any, npt.NDArray[Any]]:
    """Return a cache of arrays that drops the least recently used beyond ``nbytes``.

    It is not safe for threads: use it under a lock. An array larger than ``nbytes`` is kept as
    the only one.

    >>> import numpy as np
    >>> cache = array_cache(24)
    >>> for key in "abac":
    ...     cache[key] = np.zeros(10, np.uint8)
    >>> sorted(cache)
    ['a', 'c']
    """
    return LRUCache(nbytes, getsizeof=lambda array: min(array.nbytes, nbytes))
