"""Frames with dense masks: the DAVIS layout, or plain folders of images and masks.

Layouts below ``path``, tried in this order:

* ``JPEGImages/RESOLUTION/VIDEO/00000.jpg`` and ``Annotations/RESOLUTION/VIDEO/00000.png`` (DAVIS;
  the resolution may be left out of the tree);
* ``JPEGImages/*`` and ``SegmentationClass/*`` (PASCAL VOC, CVAT's "Segmentation mask");
* ``images/VIDEO/*`` and ``masks/VIDEO/*``, or frames in ``images`` and ``masks`` themselves: one
  video.

Image and mask belong together when their names without suffix, or else the numbers in them, are
equal. A frame without a mask file is not labelled, where others have one; a mask without a frame is
a fault.

Citations: Perazzi et al. 2016 (DAVIS 2016, grey masks 0 and 255), Pont-Tuset et al. 2017
(arXiv:1704.00675: palette masks, 0 background, 1.. objects, 255 void).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vidseg.datasets.base import MaskLabels
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.mask_census import Census, MaskFinding
from vidseg.datasets.mask_meaning import LABELMAP, Meaning, Value, by_labelmap
from vidseg.datasets.mask_pairs import pair, refuse_alone
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    list_images,
    locate,
    natural_key,
)
from vidseg.media.mask_file import decode_mask
from vidseg.types import Memory, Size, VideoInfo

_READER = "masks 1"
_CENSUS = "mask values 1"
_PAIRS = (
    ("JPEGImages", "Annotations"),
    ("JPEGImages", "SegmentationClass"),
    ("images", "masks"),
)


class Masks(FileDataset):
    """Videos as folders of frames, with dense masks of all frames or of some.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        images: folder of the frames below path, when it has another name than the known layouts.
        masks: folder of the masks below path; given together with images.
        resolution: the one to take where a DAVIS tree has several, such as 480p.
        foreground: mask values that are foreground, or colours such as "#ff0000"; without it all
            values but 0 and void.
        void: mask values, or colours, that are ignored; without it 255 in palette files (the
            convention of DAVIS 2017 and PASCAL VOC) and nothing in grey ones (DAVIS 2016 writes
            foreground as 255). A value in foreground is never void by default.
        threshold: from this value on a pixel is foreground, instead of foreground: for JPEG masks
            and smoothed ones.
        alpha: read the alpha channel instead of the colours.
        classes: labels of CVAT's labelmap.txt, beside the folders, that are foreground; without it
            all of them but black.
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
        threshold: Annotated[int, Field(ge=1, le=65535)] | None = None,
        alpha: bool = False,
        classes: tuple[str, ...] = (),
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        given = Meaning.of(
            foreground, void, threshold=threshold, alpha=alpha, where=f"masks:{path}"
        )
        if (images is None) != (masks is None):
            raise UsageError("images and masks are given together", where=f"masks:{path}")
        self._chosen = Selection(include, exclude, f"masks:{path}")
        self.root = locate(path, what=f"masks:{path}")
        found = _find_pair(self.root) if images is None or masks is None else (images, masks)
        self._images, self._masks = _below_resolution(
            self.root / found[0], self.root / found[1], resolution
        )
        self._meaning, self._labelmap = _with_labelmap(self.root, self._masks, given, classes)

    def notes(self) -> list[str]:
        """Return what the user should know of the videos, and of the labels' colours."""
        return [*self._labelmap, *super().notes()]

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
        refuse_alone(chosen, masks, self._masks, "no mask for video")
        refuse_alone(masks, chosen, self._images, "masks, but no image, for video")
        return [
            partial(_open, name, self._images / name, self._masks / name, self._meaning)
            for name in chosen
        ]


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
    _seen: dict[str, list[MaskFinding]] = field(default_factory=dict, repr=False)
    _memory: list[Memory] = field(default_factory=list, repr=False)

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what was found in the masks that were looked at."""
        self._memory[:] = [memory]

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the files, of what their values mean, and of their frames."""
        sparse = () if self.indices is None else ("frames", self.indices)
        return content_key(_READER, self.meaning, *self.masks.hashes, *sparse)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have a mask, ascending."""
        return range(info.length) if self.indices is None else self.indices

    def findings(self) -> list[MaskFinding]:
        """Return what the values of three masks tell; of all after :meth:`look_at_all`."""
        for looked_at in ("all", "few"):
            if looked_at in self._seen:
                return self._seen[looked_at]
        files = self.masks.files
        few = sorted({0, len(files) // 2, len(files) - 1})
        looked = ImageSequence(tuple(files[at] for at in few))
        self._seen["few"] = self._remembered(looked)
        return self._seen["few"]

    def look_at_all(self) -> None:
        """Look at the values of every mask."""
        self._seen["all"] = Census.of(self.masks.files, self.meaning).findings(self.meaning)

    def _remembered(self, looked: ImageSequence) -> list[MaskFinding]:
        key = content_key(_CENSUS, self.meaning, *looked.hashes) if self._memory else ""
        held = self._memory[0].get(key) if self._memory else None
        if held is not None:
            return [MaskFinding(*each) for each in held]
        found = Census.of(looked.files, self.meaning).findings(self.meaning)
        if self._memory:
            self._memory[0].put(key, [list(each) for each in found])
        return found

    def faults(self, info: VideoInfo) -> tuple[str, ...]:
        """Return those of the notes that say that the masks are not what they seem."""
        return tuple(text for wrong, text in self.findings() if wrong)

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        """Return what the masks' values tell, and how many frames have no mask."""
        values = tuple(text for _, text in self.findings())
        if self.indices is None:
            return values
        absent = info.length - len(self.indices)
        have, are = ("has", "is") if absent == 1 else ("have", "are")
        sparse = f"{absent} of {info.length} frames {have} no mask file and {are} not labelled"
        return (sparse, *values)

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
    mask = decode_mask(file)
    if mask.size != size:
        turned = mask.size == Size(size.width, size.height)
        hint = "one of the two has an EXIF orientation that the other lacks" if turned else ""
        raise DataError(f"the mask is {mask.size}, its frame is {size}", where=file, hint=hint)
    return MaskLabels(size, meaning.read(mask, file))


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
        hint="JPEGImages + Annotations (or SegmentationClass), images + masks, or give images= and "
        "masks=",
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


def _with_labelmap(
    root: Path, masks: Path, given: Meaning, classes: Sequence[str]
) -> tuple[Meaning, tuple[str, ...]]:
    """Return the meaning with the colours of a label map, where there is one and none are given."""
    places = dict.fromkeys((root, masks.parent, masks))
    found = next((place / LABELMAP for place in places if (place / LABELMAP).is_file()), None)
    if classes and (found is None or given.told):
        raise UsageError(
            f"classes are labels of {LABELMAP}, which is not there"
            if found is None
            else "classes and foreground (or threshold) are one or the other",
            where=f"{root},classes",
            hint='name a value or a colour: foreground="#ff0000"',
        )
    if found is None or given.told:
        return given, ()
    meaning, note = by_labelmap(found, classes, given)
    return meaning, (note,)


def _open(name: str, images: Path, masks: Path, meaning: Meaning) -> FrameVideo:
    frames = list_images(images)
    check_numbering(frames)
    paired = pair(frames, list_images(masks), images)
    sparse = paired.frames if len(paired.frames) < len(frames) else None
    labels = MaskTruth(ImageSequence(paired.masks), meaning, sparse)
    return FrameVideo(name, name, ImageSequence(frames), labels, paired.notes)
