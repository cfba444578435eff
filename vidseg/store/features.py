"""Features of a frozen extractor, computed once for each frame and kept as float16."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import DataError
from vidseg.store.entries import EntrySet
from vidseg.store.entry import Layout
from vidseg.store.frames import StoredFrames
from vidseg.store.quota import Quota
from vidseg.types import Features

if TYPE_CHECKING:
    from vidseg.extractors.frozen import FrozenExtractor
    from vidseg.utils.progress import ProgressBar


class StoredFeatures:
    """Random access to the features of one video's frames.

    Args:
        frames: the images, at the size that the extractor sees.
        extractor: computes what is not kept.
        keep: store what is computed. What is there already is used in any case.
        quota: of the store.
    """

    def __init__(
        self, frames: StoredFrames, extractor: FrozenExtractor, keep: bool, quota: Quota
    ) -> None:
        self.frames, self.extractor, self.keep = frames, extractor, keep
        self._quota = quota

    @cached_property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Shape (C, h, w) of each level.

        Raises:
            UsageError: the extractor cannot take images of this size.
        """
        sizes = self.extractor.sizes(self.frames.size)
        return tuple((c, *size) for c, size in zip(self.extractor.channels, sizes, strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of one frame's features."""
        return self._layout(0).nbytes

    @cached_property
    def _entries(self) -> EntrySet:
        key = f"{self.frames.key} {self.extractor.key}"
        return EntrySet(self._quota, "features", key)

    def path(self, index: int) -> Path:
        """Return where the features of frame ``index`` are kept, whether or not they are there.

        They follow ``self.offset`` bytes of header, level after level, as in :attr:`shapes`.
        """
        return self._entries.path(index)

    @property
    def offset(self) -> int:
        """Bytes of header before the features in a file; a multiple of 4096."""
        return self._layout(0).offset

    def read(self, index: int) -> Features:
        """Return the features of frame ``index``: ``float16 (C, h, w)``, one array a level.

        Computed when they are not kept; the values are the same, bit by bit.

        Raises:
            DataError: the frame is damaged, or a feature is not finite in float16.
            StoreError: the store cannot be read or written.
        """
        return self._entries.load(index, self._layout(index)) or self._compute(index)

    def prepare(self, indices: Sequence[int], task: ProgressBar | None = None) -> int:
        """Compute the features of ``indices`` that are not kept yet, in order.

        Stops early when the store is full, or at once with ``keep=False``: what is not kept is
        computed when it is read.

        Args:
            indices: frames, in any order.
            task: advanced by one a frame.

        Returns:
            How many of the distinct frames have their features kept now.

        Raises:
            DataError: a frame is damaged, or a feature is not finite in float16.
            StoreError: the store cannot be written.
        """
        wanted = sorted({int(index) for index in indices})
        missing = [i for i in wanted if not self._entries.has(i, self._layout(i))]
        left = len(missing)
        if task is not None:
            task.advance(len(indices) - left)
        if self.keep:
            self.frames.prepare(missing)
            for index in missing:
                if not self._save(index, self._extract(index)):
                    break
                left -= 1
                if task is not None:
                    task.advance()
        if task is not None and left:
            task.advance(left)
        return sum(self._entries.has(i, self._layout(i)) for i in wanted)

    def _layout(self, index: int) -> Layout:
        return self._entries.layout(int(index), "<f2", self.shapes)

    def _compute(self, index: int) -> Features:
        features = self._extract(index)
        if self.keep:
            self._save(index, features)
        return features

    def _save(self, index: int, features: Features) -> bool:
        return self._entries.save(index, self._layout(index), features)

    def _extract(self, index: int) -> Features:
        try:
            return self.extractor.extract(self.frames.read(index))
        except DataError as error:
            place = f"video {self.frames.video.name}, frame {index}"
            if place in error.where:
                raise
            where = f"{place}, {error.where}" if error.where else place
            raise DataError(error.what, where=where, hint=error.hint) from error
