"""Mask files, a folder for each video, one file for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.datasets.base import MaskLabels
from vidseg.datasets.mask_meaning import Meaning, Value
from vidseg.datasets.masks import read_mask
from vidseg.errors import DataError
from vidseg.labels.base import KeyedLabels
from vidseg.media.image_folder import (
    ImageSequence,
    content_key,
    list_images,
    locate,
)
from vidseg.types import Size, Video, labelled_frames


class MaskFiles:
    """Train on masks from files: the folder ``VIDEO`` holds one for each labelled frame, in order.

    It may hold one for each frame, labelled or not, as well: then all frames are trained on.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        foreground: mask values that are foreground, or colours such as "#ff0000"; without it all
            values but 0 and void.
        void: mask values that are ignored; without it 255 in palette files and nothing in grey
            ones.
        threshold: from this value on a pixel is foreground, instead of foreground.
        alpha: read the alpha channel instead of the colours.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        foreground: tuple[Value, ...] | None = None,
        void: tuple[Value, ...] | None = None,
        threshold: Annotated[int, Field(ge=1, le=65535)] | None = None,
        alpha: bool = False,
    ) -> None:
        self._meaning = Meaning.of(
            foreground, void, threshold=threshold, alpha=alpha, where="train_labels"
        )
        self._root = locate(path, what=f"train_labels masks:{path}")

    def of(self, video: Video) -> KeyedLabels:
        """Return the masks of a video.

        Raises:
            DataError: no folder, or another number of masks than frames or labelled ones.
        """
        folder = self._root / video.name
        if not folder.is_dir():
            raise DataError(
                f"no training labels for video {video.name}",
                where=self._root,
                hint=f"add a folder {video.name} with one mask for each frame",
            )
        files, info = list_images(folder), video.probe()
        frames = range(info.length) if len(files) == info.length else labelled_frames(video)
        if len(files) != len(frames):
            labelled = f", {len(frames)} of them labelled" if len(frames) < info.length else ""
            raise DataError(
                f"{len(files)} masks, but the video has {info.length} frames{labelled}",
                where=folder,
                hint="one mask for each frame is needed",
            )
        key = content_key("mask labels 1", self._meaning, *ImageSequence(files).hashes)
        read = partial(_read, files, tuple(frames), info.size, self._meaning)
        sparse = len(labelled_frames(video)) < info.length
        return KeyedLabels(key, read, frames if sparse else None)


def _read(
    files: Sequence[Path], frames: Sequence[int], size: Size, meaning: Meaning, index: int
) -> MaskLabels:
    return read_mask(files[frames.index(index)], size, meaning)
