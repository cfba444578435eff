"""Bounded caches of arrays."""

from __future__ import annotations

import doctest

import numpy as np

from vidseg.utils import cache
from vidseg.utils.cache import array_cache


def test_the_example() -> None:
    assert doctest.testmod(cache).failed == 0


def test_a_larger_array_is_kept_alone() -> None:
    held = array_cache(10)
    held["a"] = np.zeros(4, np.uint8)
    held["b"] = np.zeros(11, np.uint8)
    assert list(held) == ["b"]
    held["c"] = np.zeros(1, np.uint8)
    assert list(held) == ["c"]
