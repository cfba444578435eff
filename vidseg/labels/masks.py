"""Mask files, a folder for each video, one file for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from vidseg.datasets.base import MaskLabels
from vidseg.datasets.masks import Meaning, Value
from vidseg.errors import DataError, UsageError
from vidseg.labels.base import KeyedLabels
from vidseg.media.image_folder import (
    ImageSequence,
    content_key,
    decode_values,
    list_images,
    locate,
)
from vidseg.types import Size, Video


class MaskFiles:
    """Train on masks from files: the folder ``VIDEO`` holds one for each frame, in order.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        foreground: mask values that are foreground; without it all but 0 and void.
        void: mask values that are ignored; without it 255 in palette files and nothing in grey
            ones.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        foreground: tuple[Value, ...] | None = None,
        void: tuple[Value, ...] | None = None,
    ) -> None:
        both = set(foreground or ()) & set(void or ())
        if both:
            raise UsageError(f"{min(both)} is both foreground and void", where="train_labels")
        self._meaning = Meaning(foreground, void)
        self._root = locate(path, what=f"train_labels masks:{path}")

    def of(self, video: Video) -> KeyedLabels:
        """Return the masks of a video.

        Raises:
            DataError: no folder, or another number of masks than frames.
        """
        folder = self._root / video.name
        if not folder.is_dir():
            raise DataError(
                f"no training labels for video {video.name}",
                where=self._root,
                hint=f"add a folder {video.name} with one mask for each frame",
            )
        files, info = list_images(folder), video.probe()
        if len(files) != info.length:
            raise DataError(
                f"{len(files)} masks, but the video has {info.length} frames",
                where=folder,
                hint="one mask for each frame is needed",
            )
        key = content_key("mask labels 1", self._meaning, *ImageSequence(files).hashes)
        return KeyedLabels(key, partial(self._read, files, info.size))

    def _read(self, files: Sequence[Path], size: Size, index: int) -> MaskLabels:
        file = files[index]
        values, palette = decode_values(file)
        if values.shape != tuple(size):
            raise DataError(f"the mask is {Size(*values.shape)}, its frame is {size}", where=file)
        return MaskLabels(size, self._meaning.read(values, palette=palette))
