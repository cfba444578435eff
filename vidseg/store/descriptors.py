"""One vector for each frame, measured from its features: kept where the features are too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidseg.store.entries import EntrySet
from vidseg.store.entry import Layout
from vidseg.store.features import StoredFeatures
from vidseg.store.quota import Quota
from vidseg.types import Features
from vidseg.utils.stop import check_stop

if TYPE_CHECKING:
    from vidseg.utils.progress import ProgressBar

Floats = npt.NDArray[np.float64]


class StoredDescriptors:
    """A vector for each frame of a video, computed once.

    Args:
        features: what they are measured from.
        measure: makes ``float64 (C,)`` of one frame's features, C the channels of all levels.
        name: of the measure, with its version.
        quota: of the store.
    """

    def __init__(
        self,
        features: StoredFeatures,
        measure: Callable[[Features], Floats],
        name: str,
        quota: Quota,
    ) -> None:
        self.features, self._measure = features, measure
        self._name, self._quota = name, quota

    @cached_property
    def _entries(self) -> EntrySet:
        key = f"{self.features.frames.key} {self.features.extractor.key} {self._name}"
        return EntrySet(self._quota, "features", key)

    def read(self, index: int) -> Floats:
        """Return the vector of frame ``index``, ``float64 (C,)``; computed when it is not kept.

        Raises:
            DataError: the frame is damaged, or a feature is not finite in float16.
            StoreError: the store cannot be read or written.
        """
        layout = self._layout(index)
        kept = self._entries.load(index, layout)
        if kept is not None:
            return np.array(kept[0])
        found = self._measure(self.features.read(index))
        self._entries.save(index, layout, [found])
        return found

    def read_all(self, indices: Sequence[int], task: ProgressBar | None = None) -> Floats:
        """Return the vectors of ``indices``, ``float64 (n, C)``; what is computed is kept.

        Args:
            indices: frames, ascending.
            task: advanced by one a frame.

        Raises:
            DataError: as :meth:`read`.
        """
        found = np.zeros((len(indices), self._length))
        for row, index in enumerate(indices):
            found[row] = self.read(index)
            check_stop()
            if task is not None:
                task.advance()
        return found

    @property
    def _length(self) -> int:
        return sum(self.features.extractor.channels)

    def _layout(self, index: int) -> Layout:
        return self._entries.layout(int(index), "<f8", [(self._length,)])
