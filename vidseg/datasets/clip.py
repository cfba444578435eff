"""Video files, with boxes in a MOT-style file or with a mask clip beside each.

Beside ``NAME.mp4`` (or another video file), or in the folder ``truth``, stands one of

* ``NAME.txt``: rows as in MOT's ``gt.txt``, frames and pixels counted from 1;
* ``NAME/gt/gt.txt``: the same file where MOT has it;
* ``NAME_mask.mp4``: a clip of the same length and size, bright where foreground is (in a folder
  of its own it may be called ``NAME.mp4`` too).

Frames are counted as they decode, whatever the container says (see
:mod:`vidseg.media.clip`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, ClassVar, Protocol

import numpy as np
from pydantic import Field

from vidseg.datasets.base import BoxLabels, MaskLabels, attempt, check_source
from vidseg.datasets.mot import ORIGIN
from vidseg.datasets.mot_rows import (
    FRAME,
    Classes,
    IgnoreClasses,
    LabelRule,
    Visibility,
    read_rows,
    select_rows,
)
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.clip import SUFFIXES, ClipFrames
from vidseg.media.image_folder import content_key, locate, name_of, natural_key
from vidseg.types import Image, Labels, Memory, Size, VideoInfo

_READER = "clip 1"
_MASK = "_mask"
_HINT = "put NAME.txt or NAME_mask.mp4 beside NAME.mp4, or give truth="


class Clip:
    """Video files with ground truth: a folder of them, or one.

    Args:
        path: the folder, or one file. A relative one is looked up in the current directory, then
            in VIDSEG_DATA.
        truth: folder of the ground truth, or its file for one clip; without it, it stands beside
            the clips.
        classes: classes that are foreground in box files of 9 columns; see the data set mot.
        ignore_classes: classes that count neither as foreground nor as background; see mot.
        min_visibility: foreground boxes that are visible to a smaller share are ignored; see mot.
        threshold: from this grey value (1 to 255) on, a pixel of a mask clip is foreground.
        include: names of the clips to use (without their suffix), or patterns such as cam2-*;
            without it all.
        exclude: names or patterns of clips to leave out.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        truth: str | None = None,
        classes: Classes = (1,),
        ignore_classes: IgnoreClasses = (),
        min_visibility: Visibility = 0.0,
        threshold: Annotated[int, Field(ge=1, le=255)] = 128,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"clip:{path}"
        self._root = locate(path, what=what, or_file=True)
        self._truth = self._root if self._root.is_dir() else self._root.parent
        if truth is not None:
            self._truth = locate(truth, what=f"{what},truth={truth}", or_file=True)
        self._rule = LabelRule.of(classes, ignore_classes, min_visibility)
        self._threshold = threshold
        self._files = Selection(include, exclude, what).of(_find_clips(self._root), _stem)
        if self._truth.is_file() and len(self._files) > 1:
            raise DataError(
                f"one file cannot be the truth of {len(self._files)} clips",
                where=self._truth,
                hint="give their folder, or one clip",
            )

    @property
    def name(self) -> str:
        """Name of the folder, or of the one clip."""
        return name_of(self._root) if self._root.is_dir() else self._root.stem

    def videos(self) -> list[ClipVideo]:
        """Return the clips in natural order; reads box files, no pixel.

        Raises:
            DataError: no ground truth, two of them, or a malformed row.
        """
        return self._videos

    def survey(self) -> list[ClipVideo | DataError]:
        """Return the clips, and the error in place of each that cannot be opened."""
        return [attempt(partial(self._open, file)) for file in self._files]

    @cached_property
    def _videos(self) -> list[ClipVideo]:
        return [self._open(file) for file in self._files]

    def _open(self, file: Path) -> ClipVideo:
        return ClipVideo(file.stem, ClipFrames(file), self._truth_of(file))

    def _truth_of(self, clip: Path) -> _Boxes | _Masks:
        file = self._truth if self._truth.is_file() else _find_truth(clip, self._truth)
        if file.suffix.lower() in SUFFIXES:
            return _Masks(ClipFrames(file), self._threshold)
        return _Boxes(file, self._rule, clip.stem)


class ClipTruth(Protocol):
    """The labels of one clip."""

    @property
    def key(self) -> str:
        """Hash of their content and meaning."""
        ...

    def remember(self, memory: Memory) -> None:
        """Take a place for what costs a decoding to find."""
        ...

    def check(self, clip: Path, info: VideoInfo) -> None:
        """Refuse labels that do not fit the clip.

        Raises:
            DataError: they are longer than the clip, or of another length or size.
        """
        ...

    def at(self, index: int, size: Size) -> Labels:
        """Return the labels of one frame."""
        ...


@dataclass(frozen=True, eq=False)
class ClipVideo:
    """One clip; satisfies :class:`vidseg.types.Video`.

    Attributes:
        name: name of the file without suffix.
        clip: the frames.
        truth: the labels.
    """

    name: str
    clip: ClipFrames
    truth: ClipTruth

    @property
    def group(self) -> str:
        """Every clip is a scene of its own until the content check says otherwise."""
        return self.name

    @property
    def image_key(self) -> str:
        """Hash of the file."""
        return self.clip.key

    @cached_property
    def label_key(self) -> str:
        """Hash of the labels, and of the clip whose size they refer to."""
        return content_key(_READER, self.clip.key, self.truth.key)

    def remember(self, memory: Memory) -> None:
        """Keep the true length of the clip, and of a mask clip, in ``memory``."""
        self.clip.memory = memory
        self.truth.remember(memory)

    def probe(self) -> VideoInfo:
        """Return true length and size; decodes the clip once, and compares the labels with it.

        Raises:
            DataError: the clip does not decode to its end, or the labels do not fit it.
        """
        return self._info

    @cached_property
    def _info(self) -> VideoInfo:
        info = self.clip.probe()
        self.truth.check(self.clip.file, info)
        return info

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames; see :meth:`ClipFrames.frames`."""
        return self.clip.frames(indices)

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Return the boxes or the mask of a frame."""
        check_source(source, self.name)
        info = self.probe()
        if not 0 <= index < info.length:
            raise DataError(f"has no frame {index}, only 0 to {info.length - 1}", where=self.name)
        return self.truth.at(index, info.size)


class _Boxes:
    """A MOT-style file."""

    def __init__(self, file: Path, rule: LabelRule, clip: str) -> None:
        rows, lines = read_rows(file)
        self._file, self._truth = file, select_rows(rows, rule, sequence=clip, file=file)
        self._last = int(rows[:, FRAME].max())
        self._line = lines[int(rows[:, FRAME].argmax())]

    @cached_property
    def key(self) -> str:
        return content_key(*self._truth)

    def remember(self, memory: Memory) -> None:
        """Need nothing: a file of boxes is read in no time."""

    def check(self, clip: Path, info: VideoInfo) -> None:
        if self._last > info.length:
            raise DataError(
                f"label for frame {self._last}, but {clip.name} has only {info.length} frames",
                where=f"{self._file}:{self._line}",
                hint="it belongs to another clip, or to more of this one",
            )

    def at(self, index: int, size: Size) -> BoxLabels:
        return self._truth.at(index, size, ORIGIN)


class _Masks:
    """A clip of masks; decoded once, in order, and kept packed (some kB a frame)."""

    def __init__(self, clip: ClipFrames, threshold: int) -> None:
        self._clip, self._threshold = clip, threshold

    @property
    def key(self) -> str:
        return content_key(self._clip.key, self._threshold)

    def remember(self, memory: Memory) -> None:
        self._clip.memory = memory

    def check(self, clip: Path, info: VideoInfo) -> None:
        own = self._clip.probe()
        for what, here, there in (
            ("frames", own.length, info.length),
            ("size", str(own.size), str(info.size)),
        ):
            if here != there:
                raise DataError(
                    f"the mask clip's {what} {here}, but {there} in {clip.name}",
                    where=self._clip.file,
                    hint="a mask clip shows one mask for each frame of its clip",
                )

    def at(self, index: int, size: Size) -> MaskLabels:
        bits = np.frombuffer(zlib.decompress(self._packed[index]), np.uint8)
        inside = np.unpackbits(bits, count=size.height * size.width).reshape(size)
        return MaskLabels(size, np.where(inside, 1, -1).astype(np.int8))

    @cached_property
    def _packed(self) -> list[bytes]:
        frames = self._clip.frames(range(self._clip.probe().length))
        return [
            zlib.compress(np.packbits(frame.max(axis=2) >= self._threshold).tobytes(), 1)
            for frame in frames
        ]


def _stem(file: Path) -> str:
    return file.stem


def _is_clip(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")


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


def _find_truth(clip: Path, folder: Path) -> Path:
    """Return the one file of ``folder`` that is the truth of ``clip``.

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
    if not found:
        raise DataError(f"no ground truth for {clip.name}", where=folder, hint=_HINT)
    if len(found) > 1:
        names = " and ".join(str(file.relative_to(folder)) for file in found)
        raise DataError(f"several ground truths for {clip.name}: {names}", where=folder)
    return found[0]
