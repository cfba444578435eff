"""Video files, with boxes in a MOT-style file, a mask clip or mask pictures beside each.

Beside ``NAME.mp4`` (or another video file), or in the folder ``truth``, stands one of

* ``NAME.txt``: rows as in MOT's ``gt.txt``, frames and pixels counted from 1;
* ``NAME/gt/gt.txt``: the same file where MOT has it;
* ``NAME_mask.mp4``: a clip of the same length and size, bright where foreground is (in a folder
  of its own it may be called ``NAME.mp4`` too);
* ``NAME_masks/``: a folder of mask pictures whose names end with the number of their frame (in a
  folder of its own it may be called ``NAME`` too). Frames without one are not labelled.

Frames are counted as they decode, whatever the container says (see
:mod:`vidseg.media.clip`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vidseg.datasets.base import BoxLabels, ClassCount, MaskLabels
from vidseg.datasets.clip_pictures import ClipPictures
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.mask_meaning import Meaning, Value
from vidseg.datasets.mot_classes import class_rows, total
from vidseg.datasets.mot_frames import by_place
from vidseg.datasets.mot_rows import Format, read_rows
from vidseg.datasets.mot_rule import (
    Classes,
    IgnoreClasses,
    LabelRule,
    Visibility,
    row_notes,
    select_rows,
)
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.clip import SUFFIXES, ClipFrames
from vidseg.media.image_folder import SUFFIXES as IMAGES
from vidseg.media.image_folder import content_key, locate, natural_key
from vidseg.types import Memory, Question, Size, VideoInfo

_READER = "clip 1"
_MASK = "_mask"
_MASKS = "_masks"
_THRESHOLD = 128
_HINT = "put NAME.txt, NAME_mask.mp4 or a folder NAME_masks beside NAME.mp4, or give truth="


class Clip(FileDataset):
    """Video files with ground truth: a folder of them, or one.

    Args:
        path: the folder, or one file. A relative one is looked up in the current directory, then
            in VIDSEG_DATA.
        truth: folder of the ground truth, or its file for one clip; without it, it stands beside
            the clips.
        classes: classes that are foreground in box files, by number or name; see the data set mot.
        ignore_classes: classes that count neither as foreground nor as background; see mot.
        min_visibility: foreground boxes that are visible to a smaller share are ignored; see mot.
        labelled: which frames a box file labels: all, rows or every:N; see mot.
        format: what the columns of box files mean; see mot.
        threshold: from this grey value (1 to 255) on, a pixel is foreground; without it 128 in mask
            clips, and in mask pictures all values but 0 and void.
        foreground: values or colours of mask pictures that are foreground; see masks.
        void: values or colours of mask pictures that are ignored; see masks.
        first: the number that mask pictures give to the first frame; without it 0 where a picture
            has this number, and 1 where one has the number of frames.
        include: names of the clips to use (without their suffix), or patterns such as cam2-*;
            without it all.
        exclude: names or patterns of clips to leave out.
    """

    def __init__(
        self,
        path: str,
        truth: str | None = None,
        classes: Classes = (1,),
        ignore_classes: IgnoreClasses = (),
        min_visibility: Visibility = 0.0,
        labelled: LabelledFrames | None = None,
        format: Format = "auto",  # noqa: A002 - the name of the option
        threshold: Annotated[int, Field(ge=1, le=255)] | None = None,
        foreground: tuple[Value, ...] | None = None,
        void: tuple[Value, ...] | None = None,
        first: Literal[0, 1] | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"clip:{path}"
        self.root = locate(path, what=what, or_file=True)
        self._truth = self.root if self.root.is_dir() else self.root.parent
        if truth is not None:
            self._truth = locate(truth, what=f"{what},truth={truth}", or_file=True)
        self._rule = LabelRule.of(classes, ignore_classes, min_visibility)
        self._labelled, self._layout, self._first = labelled, format, first
        self._threshold = threshold or _THRESHOLD
        self._meaning = Meaning.of(foreground, void, threshold=threshold, where=what)
        self._files = Selection(include, exclude, what).of(_find_clips(self.root), _stem)
        if self._truth.is_file() and len(self._files) > 1:
            raise DataError(
                f"one file cannot be the truth of {len(self._files)} clips",
                where=self._truth,
                hint="give their folder, or one clip",
            )

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each clip: reads box files, no pixel."""
        return [partial(self._open, file) for file in self._files]

    def classes(self) -> list[ClassCount]:
        """Return the classes of all box files, and how often each occurs as what."""
        truths = (video.truth for video in self.videos())
        return total(truth.classes for truth in truths if isinstance(truth, _Boxes))

    def _open(self, file: Path) -> FrameVideo:
        truth = self._truth_of(file)
        notes = truth.row_notes if isinstance(truth, _Boxes) else ()
        return FrameVideo(file.stem, file.stem, ClipFrames(file), truth, notes)

    def _truth_of(self, clip: Path) -> _Boxes | _Masks | ClipPictures:
        file = self._truth
        if file.is_dir():
            file = _find_truth(clip, file, alone=len(self._files) == 1)
        if file.is_dir():
            return ClipPictures(file, self._meaning, self._first, clip)
        if file.suffix.lower() in SUFFIXES:
            return _Masks(ClipFrames(file), self._threshold, clip)
        return _Boxes(file, self._layout, self._rule, self._labelled, clip)


class _Boxes(GroundTruth):
    """A MOT-style file."""

    def __init__(
        self, file: Path, layout: Format, rule: LabelRule, labelled: str | None, clip: Path
    ) -> None:
        rows = read_rows(file, layout)
        index, counted, _ = by_place(rows)
        self._clip, self._origin = clip, rows.origin
        self._rows = RowFrames(labelled, index)
        self._boxes = select_rows(rows, rule, index, sequence=clip.stem)
        self.classes = class_rows(rows, rule, index, sequence=clip.stem)
        self.row_notes = (*counted, *row_notes(rows, rule, sequence=clip.stem))
        last = int(index.argmax())
        self._last, self._name = int(index[last]), int(rows.frames[last])
        self._where = f"{file}:{rows.lines[last]}"

    def key(self, images: FrameFiles) -> str:
        origin = () if self._origin == 1 else (self._origin,)
        labels = content_key(*self._boxes, *self._rows.key)
        return content_key(_READER, images.key, labels, *origin)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        return self._rows.labelled(info.length)

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        return self._rows.notes(info.length)

    def questions(self) -> tuple[Question, ...]:
        return self._rows.questions()

    def check(self, info: VideoInfo) -> None:
        if self._last >= info.length:
            raise DataError(
                f"label for frame {self._name}, but {self._clip.name} has only {info.length} "
                "frames",
                where=self._where,
                hint="it belongs to another clip, or to more of this one",
            )

    def at(self, index: int, size: Size) -> BoxLabels:
        return self._boxes.at(index, size, self._origin)


class _Masks(GroundTruth):
    """A clip of masks; decoded once, in order, and kept packed (some kB a frame)."""

    def __init__(self, masks: ClipFrames, threshold: int, clip: Path) -> None:
        self._masks, self._threshold, self._clip = masks, threshold, clip

    def key(self, images: FrameFiles) -> str:
        return content_key(_READER, images.key, content_key(self._masks.key, self._threshold))

    def remember(self, memory: Memory) -> None:
        self._masks.remember(memory)

    def check(self, info: VideoInfo) -> None:
        own = self._masks.probe()
        for what, here, there in (
            ("frames", own.length, info.length),
            ("size", str(own.size), str(info.size)),
        ):
            if here != there:
                raise DataError(
                    f"the mask clip's {what} {here}, but {there} in {self._clip.name}",
                    where=self._masks.file,
                    hint="a mask clip shows one mask for each frame of its clip",
                )

    def at(self, index: int, size: Size) -> MaskLabels:
        bits = np.frombuffer(zlib.decompress(self._packed[index]), np.uint8)
        inside = np.unpackbits(bits, count=size.height * size.width).reshape(size)
        return MaskLabels(size, np.where(inside, 1, -1).astype(np.int8))

    @cached_property
    def _packed(self) -> list[bytes]:
        frames = self._masks.frames(range(self._masks.probe().length))
        return [
            zlib.compress(np.packbits(frame.max(axis=2) >= self._threshold).tobytes(), 1)
            for frame in frames
        ]


def _stem(file: Path) -> str:
    return file.stem


def _is_clip(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")


def _holds_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGES for file in folder.iterdir())


def _find_clips(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    clips = sorted(filter(_is_clip, root.iterdir()), key=lambda file: natural_key(file.name))
    stems = Counter(file.stem for file in clips)
    clips = [c for c in clips if c.stem.removesuffix(_MASK) not in stems or _MASK not in c.stem]
    if not clips:
        raise DataError("holds no clip", where=root, hint=f"{', '.join(sorted(SUFFIXES))} are read")
    twice = [clip.stem for clip in clips if stems[clip.stem] > 1]
    if twice:
        raise DataError(f"two clips are called {twice[0]!r}", where=root, hint="rename one")
    return clips


def _find_truth(clip: Path, folder: Path, *, alone: bool) -> Path:
    """Return the one file or folder in ``folder`` that is the truth of ``clip``.

    Raises:
        DataError: there is none, or more than one.
    """
    boxes = [folder / f"{clip.stem}.txt", folder / clip.stem / "gt" / "gt.txt"]
    found = [file for file in boxes if file.is_file()]
    stems = (f"{clip.stem}{_MASK}", clip.stem)
    found += [
        file
        for file in sorted(folder.iterdir())
        if file.stem in stems and _is_clip(file) and not file.samefile(clip)
    ]
    pictures = [folder / f"{clip.stem}{_MASKS}"]
    if not folder.samefile(clip.parent):
        pictures += [folder / clip.stem, *([folder] if alone else [])]
    found += [place for place in pictures if place.is_dir() and _holds_images(place)]
    if not found:
        raise DataError(f"no ground truth for {clip.name}", where=folder, hint=_HINT)
    if len(found) > 1:
        names = " and ".join(str(file.relative_to(folder)) for file in found)
        raise DataError(f"several ground truths for {clip.name}: {names}", where=folder)
    return found[0]
