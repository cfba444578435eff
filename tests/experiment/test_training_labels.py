"""Masks held in memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from vidseg.experiment.training_labels import MASK_BYTES, MaskCache
from vidseg.types import Mask


def quarter(index: int) -> Mask:
    return np.full((MASK_BYTES // 4 // 64, 64), index, np.int8)


def test_masks_are_made_once_and_held_up_to_a_number_of_bytes() -> None:
    cache, made = MaskCache(), []

    def make(index: int) -> Mask:
        made.append(index)
        return quarter(index)

    for index in (0, 1, 2, 3, 0, 4, 0, 1):  # 4 displaces 1, which was used before the others
        assert cache.get(index, make)[0, 0] == index
    assert made == [0, 1, 2, 3, 4, 1]


def test_masks_are_read_only() -> None:
    cache = MaskCache()
    cache.put(0, np.zeros((2, 3), np.int8))
    with pytest.raises(ValueError, match="read-only"):
        cache.get(0, quarter)[0, 0] = 1


def test_a_pickled_cache_is_empty() -> None:
    cache = MaskCache()
    cache.put(0, np.zeros((2, 3), np.int8))
    assert len(pickle.dumps(cache)) < 200
    again = pickle.loads(pickle.dumps(cache))  # noqa: S301
    assert again.get(0, lambda index: np.full((1, 1), 7, np.int8))[0, 0] == 7
