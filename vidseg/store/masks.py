"""Training masks that took time to make (refined ones), kept beside frames and features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidseg.store.entries import EntrySet
from vidseg.store.entry import Layout
from vidseg.store.quota import Quota
from vidseg.types import Mask, Size

COUNTS = 2


class StoredMasks:
    """Keeps the masks of one video at one size, each with two counts of how it was made.

    Args:
        key: what they are made of, rule and libraries included.
        size: of the masks.
        quota: of the store.
    """

    def __init__(self, key: str, size: Size, quota: Quota) -> None:
        self._size = size
        self._entries = EntrySet(quota, "masks", f"{key} {size}")

    def load(self, index: int) -> tuple[Mask, tuple[int, int]] | None:
        """Return the mask ``int8 (h, w)`` and the counts of frame ``index``; None when absent.

        Raises:
            StoreError: the file exists and cannot be read.
        """
        kept = self._entries.load(index, self._layout(index))
        if kept is None:
            return None
        first, second = np.array(kept[1]).view("<i4").tolist()
        return kept[0], (first, second)

    def save(self, index: int, mask: Mask, counts: tuple[int, int]) -> bool:
        """Keep a mask; return False when it would exceed the store's limit.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        packed: npt.NDArray[np.int8] = np.array(counts, "<i4").view(np.int8)
        return self._entries.save(index, self._layout(index), [mask, packed])

    def has(self, index: int) -> bool:
        """Return whether a mask of frame ``index`` is kept; its content is checked when read."""
        return self._entries.has(index, self._layout(index))

    def _layout(self, index: int) -> Layout:
        return self._entries.layout(index, "|i1", [tuple(self._size), (4 * COUNTS,)])
