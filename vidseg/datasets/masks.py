"""Frames with dense masks: the DAVIS layout, or plain folders of images and masks.

Layouts below ``path``, tried in this order:

* ``JPEGImages/RESOLUTION/VIDEO/00000.jpg`` and ``Annotations/RESOLUTION/VIDEO/00000.png`` (DAVIS;
  the resolution may be left out of the tree);
* ``images/VIDEO/*`` and ``masks/VIDEO/*``, or frames in ``images`` and ``masks`` themselves: one
  video.

Image and mask belong together when their names without suffix are equal. A frame without a mask
file is not labelled, where others have one; a mask without a frame is a fault.

Citations: Perazzi et al. 2016 (DAVIS 2016, grey masks 0 and 255), Pont-Tuset et al. 2017
(arXiv:1704.00675: palette masks, 0 background, 1.. objects, 255 void).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.datasets.base import MaskLabels
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    decode_values,
    list_images,
    locate,
    natural_key,
)
from vidseg.types import Mask, Size, VideoInfo

Value = Annotated[int, Field(ge=0, le=255)]

_READER = "masks 1"
_PAIRS = (("JPEGImages", "Annotations"), ("images", "masks"))
_VOID_INDEX = 255


class Masks(FileDataset):
    """Videos as folders of frames, with dense masks of all frames or of some.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        images: folder of the frames below path, when it has another name than the known layouts.
        masks: folder of the masks below path; given together with images.
        resolution: the one to take where a DAVIS tree has several, such as 480p.
        foreground: mask values that are foreground; without it all but 0 and void.
        void: mask values that are ignored; without it 255 in palette files (the convention of
            DAVIS 2017 and PASCAL VOC) and nothing in grey ones (DAVIS 2016 writes foreground as
            255). A value in foreground is never void by default.
        include: names of the videos to use, or patterns such as dog-*; without it all.
        exclude: names or patterns of videos to leave out.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        masks: str | None = None,
        resolution: str | None = None,
        foreground: tuple[Value, ...] | None = None,
        void: tuple[Value, ...] | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        self._meaning = Meaning.of(foreground, void, where=f"masks:{path}")
        if (images is None) != (masks is None):
            raise UsageError("images and masks are given together", where=f"masks:{path}")
        self._chosen = Selection(include, exclude, f"masks:{path}")
        self.root = locate(path, what=f"masks:{path}")
        pair = _find_pair(self.root) if images is None or masks is None else (images, masks)
        self._images, self._masks = _below_resolution(
            self.root / pair[0], self.root / pair[1], resolution
        )

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each video: lists its files, reads no pixel.

        Raises:
            DataError: a video without masks, or masks without a video.
        """
        names = _subfolders(self._images)
        if not names:
            self._chosen.of([self.name], str)
            return [partial(_open, self.name, self._images, self._masks, self._meaning)]
        chosen = self._chosen.of(names, str)
        left_out = set(names) - set(chosen)
        masks = [name for name in _subfolders(self._masks) if name not in left_out]
        _refuse_alone(chosen, masks, self._masks, "no mask for video")
        _refuse_alone(masks, chosen, self._images, "masks, but no image, for video")
        return [
            partial(_open, name, self._images / name, self._masks / name, self._meaning)
            for name in chosen
        ]


@dataclass(frozen=True)
class Meaning:
    """What the values of a mask file mean; see :class:`Masks` for the defaults."""

    foreground: tuple[int, ...] | None
    void: tuple[int, ...] | None

    @classmethod
    def of(
        cls, foreground: tuple[int, ...] | None, void: tuple[int, ...] | None, *, where: str
    ) -> Meaning:
        """Return the meaning that these options of a plugin give.

        Raises:
            UsageError: a value is foreground and void.
        """
        both = set(foreground or ()) & set(void or ())
        if both:
            raise UsageError(f"{min(both)} is both foreground and void", where=where)
        return cls(foreground, void)

    def read(self, values: npt.NDArray[np.uint8], *, palette: bool) -> Mask:
        """Return ``int8 (H, W)`` in {-1, 0, +1} for the values of one file."""
        meaning = np.full(256, -1, np.int8)
        if self.foreground is None:
            meaning[1:] = 1
        default = (_VOID_INDEX,) if palette else ()
        meaning[list(default if self.void is None else self.void)] = 0
        if self.foreground is not None:
            meaning[list(self.foreground)] = 1
        return np.asarray(meaning[values], np.int8)


@dataclass(frozen=True, eq=False)
class MaskTruth(GroundTruth):
    """One mask file for each labelled frame, in the same order.

    Attributes:
        masks: the files.
        meaning: of their values.
        indices: the frames that have one, ascending; None: all of them.
    """

    masks: ImageSequence
    meaning: Meaning
    indices: tuple[int, ...] | None = None

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the files, of what their values mean, and of their frames."""
        sparse = () if self.indices is None else ("frames", self.indices)
        return content_key(_READER, self.meaning, *self.masks.hashes, *sparse)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have a mask, ascending."""
        return range(info.length) if self.indices is None else self.indices

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        """Return how many frames have no mask, if there are any."""
        if self.indices is None:
            return ()
        absent = info.length - len(self.indices)
        have, are = ("has", "is") if absent == 1 else ("have", "are")
        return (f"{absent} of {info.length} frames {have} no mask file and {are} not labelled",)

    def at(self, index: int, size: Size) -> MaskLabels:
        """Return the mask of a frame.

        Raises:
            DataError: a broken file, or another size than the frames.
        """
        place = index if self.indices is None else self.indices.index(index)
        return read_mask(self.masks.files[place], size, self.meaning)


def read_mask(file: Path, size: Size, meaning: Meaning) -> MaskLabels:
    """Return the mask in a file, for a frame of ``size``.

    Raises:
        DataError: a broken file, or a mask of another size.
    """
    values, palette = decode_values(file)
    if values.shape != tuple(size):
        raise DataError(f"the mask is {Size(*values.shape)}, its frame is {size}", where=file)
    return MaskLabels(size, meaning.read(values, palette=palette))


def _find_pair(root: Path) -> tuple[str, str]:
    for images, masks in _PAIRS:
        if (root / images).is_dir() and (root / masks).is_dir():
            return images, masks
    absent = [m for i, m in _PAIRS if (root / i).is_dir()]
    if absent:
        raise DataError(f"no ground truth: folder {absent[0]} is missing", where=root)
    state = "holds no known layout" if any(root.iterdir()) else "is empty"
    raise DataError(
        state,
        where=root,
        hint="JPEGImages + Annotations, images + masks, or give images= and masks=",
    )


def _below_resolution(images: Path, masks: Path, wanted: str | None) -> tuple[Path, Path]:
    """Step into ``RESOLUTION`` where the tree has that level."""
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError("no such folder", where=folder)
    levels = [name for name in _subfolders(images) if _subfolders(images / name)]
    levels = [name for name in levels if (masks / name).is_dir()]
    if wanted is not None and wanted not in levels:
        known = ", ".join(levels) or "no resolutions"
        raise UsageError(f"no resolution {wanted!r}", where=images, hint=f"it has {known}")
    if wanted is None and len(levels) > 1:
        raise UsageError(
            f"has the resolutions {', '.join(levels)}",
            where=images,
            hint=f"choose one: resolution={levels[0]}",
        )
    level = wanted or (levels[0] if levels else "")
    return images / level, masks / level


def _subfolders(folder: Path) -> list[str]:
    found = [
        child.name
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith(".")
    ]
    return sorted(found, key=natural_key)


def _open(name: str, images: Path, masks: Path, meaning: Meaning) -> FrameVideo:
    frames, truth = list_images(images), list_images(masks)
    places = {file.stem: place for place, file in enumerate(frames)}
    _refuse_alone([file.stem for file in truth], places, images, "masks, but no image, for frame")
    check_numbering(frames)
    truth = tuple(sorted(truth, key=lambda file: places[file.stem]))
    indices = tuple(places[file.stem] for file in truth)
    sparse = indices if len(indices) < len(frames) else None
    labels = MaskTruth(ImageSequence(truth), meaning, sparse)
    return FrameVideo(name, name, ImageSequence(frames), labels)


def _refuse_alone(here: Sequence[str], there: Collection[str], place: Path, absent: str) -> None:
    """Refuse the first name that has no counterpart, and count the others."""
    alone = sorted(set(here) - set(there), key=natural_key)
    if alone:
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        raise DataError(f"{absent} {alone[0]!r}{more}", where=place)
