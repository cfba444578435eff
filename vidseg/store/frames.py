"""Frames of a video, decoded once and kept at the size of the experiment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidseg.errors import DataError
from vidseg.media.resize import resize
from vidseg.store.entries import EntrySet
from vidseg.store.entry import Layout
from vidseg.store.quota import Quota
from vidseg.types import Image, Size, Video, VideoInfo
from vidseg.utils.sources import code_of

if TYPE_CHECKING:
    from vidseg.utils.progress import ProgressBar


class StoredFrames:
    """Random access to the frames of one video at one size.

    Args:
        video: the video; probed when its length or native size is first needed.
        size: size of what :meth:`read` returns, None for native.
        quota: of the store.
    """

    def __init__(self, video: Video, size: Size | None, quota: Quota) -> None:
        self.video = video
        self._size, self._quota = size, quota

    @cached_property
    def info(self) -> VideoInfo:
        """What the video truly is. May decode it once."""
        return self.video.probe()

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.info.length

    @property
    def native(self) -> Size:
        """Size of the video's own frames."""
        return self.info.size

    @property
    def size(self) -> Size:
        """Size of what :meth:`read` returns."""
        return self._size or self.native

    @property
    def key(self) -> str:
        """Hash of content, size and resize rule; the size given or native, it is the same."""
        return self._entries.key

    @cached_property
    def _entries(self) -> EntrySet:
        key = f"{self.video.image_key} {self.size} {code_of('vidseg.media.resize')}"
        return EntrySet(self._quota, "frames", key)

    def path(self, index: int) -> Path:
        """Return where frame ``index`` is kept, whether or not it is there."""
        return self._entries.path(index)

    def read(self, index: int) -> Image:
        """Return frame ``index`` as ``uint8 (H, W, 3)`` RGB; decodes it when it is not kept.

        Raises:
            DataError: the frame is missing or damaged.
            StoreError: the store cannot be read or written.
        """
        index = self._existing(index)
        kept = self._entries.load(index, self._layout(index))
        if kept is not None:
            return kept[0]
        (image,) = self._decode([index], keep=True)
        return image

    def prepare(self, indices: Sequence[int], task: ProgressBar | None = None) -> int:
        """Decode the frames of ``indices`` that are not kept yet: once, in order.

        Args:
            indices: frames, in any order.
            task: advanced by one a frame.

        Returns:
            How many of the distinct frames are kept now; fewer than asked only when the store
            is full.

        Raises:
            DataError: a frame is missing or damaged.
            StoreError: the store cannot be written.
        """
        wanted = sorted({self._existing(index) for index in indices})
        missing = [i for i in wanted if not self._entries.has(i, self._layout(i))]
        if task is not None:
            task.advance(len(indices) - len(missing))
        for _ in self._decode(missing, keep=True):
            if task is not None:
                task.advance()
        return sum(self._entries.has(i, self._layout(i)) for i in wanted)

    def _existing(self, index: int) -> int:
        if not 0 <= index < self.length:
            raise DataError(
                f"frame {index} does not exist, the video has {self.length}", where=self._where()
            )
        return int(index)

    def _layout(self, index: int) -> Layout:
        return self._entries.layout(index, "|u1", [(*self.size, 3)])

    def _decode(self, indices: Sequence[int], *, keep: bool) -> Iterable[Image]:
        decoded = self.video.frames(indices) if indices else iter(())
        for index in indices:
            image = next(decoded, None)
            if image is None:
                raise DataError("the video ends before it", where=self._where(index))
            image = resize(self._checked(image, index), self.size)
            if keep:
                self._entries.save(index, self._layout(index), [image])
            yield image

    def _checked(self, image: Image, index: int) -> Image:
        if image.dtype != np.uint8 or image.shape != (*self.native, 3):
            raise DataError(
                f"decoded to {image.dtype} {image.shape}, not uint8 {(*self.native, 3)}",
                where=self._where(index),
            )
        return np.ascontiguousarray(image)

    def _where(self, index: int | None = None) -> str:
        return f"video {self.video.name}" + ("" if index is None else f", frame {index}")
