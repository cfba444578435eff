"""Mask pictures of a clip: a folder of files whose names end with the number of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidseg.datasets.base import MaskLabels
from vidseg.datasets.files import FrameFiles, GroundTruth
from vidseg.datasets.mask_meaning import Meaning
from vidseg.datasets.masks import MaskTruth
from vidseg.errors import DataError
from vidseg.media.image_folder import ImageSequence, content_key, list_images, numbers_of
from vidseg.types import Memory, Size, VideoInfo

_READER = "clip pictures 1"


class ClipPictures(GroundTruth):
    """One mask picture for each labelled frame of a clip.

    Args:
        folder: of the pictures.
        meaning: of their values.
        first: number of the clip's first frame; None: 0 where a picture has this number, 1 where
            one has the clip's length.
        clip: named in errors.
    """

    def __init__(self, folder: Path, meaning: Meaning, first: int | None, clip: Path) -> None:
        files = list_images(folder)
        numbers = numbers_of(files)
        if numbers is None:
            raise DataError(
                f"{files[0].name} and the others have no frame numbers in their names",
                where=folder,
                hint="name each as its frame, such as 00000.png",
            )
        self._numbers, self._first = numbers, first
        self._folder, self._clip = folder, clip
        self._values = MaskTruth(ImageSequence(files), meaning)
        self._fitted: MaskTruth | None = None

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the files, of their numbers, and of the clip."""
        own = self._values.key(images)
        return content_key(_READER, images.key, own, self._first, tuple(self._numbers))

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what was found in the masks that were looked at."""
        self._values.remember(memory)

    def check(self, info: VideoInfo) -> None:
        """Refuse numbers that are no frames of the clip, or that may be meant in two ways.

        Raises:
            DataError: they are.
        """
        self._of(info)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have a mask, ascending."""
        return self._of(info).labelled(info)

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        """Return what the masks' values tell, and how many frames have no mask."""
        return self._of(info).notes(info)

    def faults(self, info: VideoInfo) -> tuple[str, ...]:
        """Return those of the notes that say that the masks are not what they seem."""
        return self._values.faults(info)

    def look_at_all(self) -> None:
        """Look at the values of every mask."""
        self._values.look_at_all()

    def at(self, index: int, size: Size) -> MaskLabels:
        """Return the mask of a labelled frame; the clip was probed before.

        Raises:
            DataError: a broken file, or another size than the frames.
        """
        assert self._fitted is not None
        return self._fitted.at(index, size)

    def _of(self, info: VideoInfo) -> MaskTruth:
        if self._fitted is None:
            first = self._number_of_first(info.length)
            indices = tuple(number - first for number in self._numbers)
            if indices[0] < 0 or indices[-1] >= info.length:
                number = self._numbers[0] if indices[0] < 0 else self._numbers[-1]
                raise DataError(
                    f"mask number {number}, but the frames of {self._clip.name} are {first} to "
                    f"{first + info.length - 1}",
                    where=self._folder,
                    hint="remove it, or give first=0 or first=1, the number of the first frame",
                )
            sparse = indices if len(indices) < info.length else None
            self._fitted = replace(self._values, indices=sparse)
        return self._fitted

    def _number_of_first(self, length: int) -> int:
        if self._first is not None:
            return self._first
        if self._numbers[0] == 0 or self._numbers[-1] >= length:
            return 0 if self._numbers[0] == 0 else 1
        raise DataError(
            f"mask numbers {self._numbers[0]} to {self._numbers[-1]} fit the {length} frames of "
            f"{self._clip.name} counted from 0 and from 1",
            where=self._folder,
            hint="give first=0 or first=1, the number of the first frame",
        )
