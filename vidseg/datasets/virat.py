"""VIRAT aerial sequences with the person tracks of the paper's authors.

For a sequence ``NN`` stand below ``path``:

* ``NNgt/``: ``size.txt`` (number of frames), ``nbtrack.txt`` (number of tracks) and one file for
  each track, ``0.txt``, ``1.txt``, ...: its first frame (counted from 0), its length, then four
  lines for each frame: x, y, width, height;
* ``NN.jpg``: the first frame, the only one that is public;
* optional, ``NN/``, a folder with all frames, or ``NN.mp4``, a clip of them.

The public sequences were cut from a few videos of one site, so several show one scene: a list made
by looking at the first frames groups them.

Source: A. Chan-Hon-Tong, github.com/achanhon/VIRAT-AERIAL-ANNOTATION (research use); videos: Oh et
al. 2011 (CVPR), the VIRAT aerial data set.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

from vidseg.datasets import virat_tracks
from vidseg.datasets.base import BoxLabels, Truth, attempt, check_source
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.clip import SUFFIXES, ClipFrames
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    list_images,
    locate,
    name_of,
    natural_key,
)
from vidseg.types import Image, Memory, VideoInfo

GROUPS = "virat_groups.csv"
"""Shipped beside this file: sequence, frames, scene, place, what the first frame shows."""

_READER = "virat 1"
_FOLDER = re.compile(r"(.+)gt")
_PICTURES = (".jpg", ".jpeg", ".png")
_SITE = (
    "all public sequences show one site, and neighbouring scenes share its edges: groups=place is "
    "the stricter grouping"
)


class Virat:
    """VIRAT aerial sequences with the person tracks of the paper's authors.

    Args:
        path: the folder of the annotation. A relative one is looked up in the current directory,
            then in VIDSEG_DATA.
        frames: folder of the full sequences, as folders NN or clips NN.mp4; without it they are
            looked for beside the annotation.
        first: use only the public first frames, also where more are there.
        groups: which sequences count as one scene: scene (the same ground from any side), place
            (everything whose views overlap), or sequence (each on its own).
        include: names of the sequences to use, such as virat-21, or patterns; without it all.
        exclude: names or patterns of sequences to leave out.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        frames: str | None = None,
        first: bool = False,
        groups: Literal["scene", "place", "sequence"] = "scene",
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"virat:{path}"
        self._root = locate(path, what=what)
        self._frames = locate(frames, what=f"{what},frames={frames}") if frames else self._root
        self._first, self._groups = first, groups
        numbers = _find_sequences(self._root)
        self._numbers = Selection(include, exclude, what).of(numbers, _name)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return name_of(self._root)

    def videos(self) -> list[ViratVideo]:
        """Return the sequences in natural order; reads the annotation, no pixel.

        Raises:
            DataError: a malformed track, a sequence without a frame, or with fewer frames than it
                is annotated for.
        """
        return self._videos

    def notes(self) -> list[str]:
        """Return what is not as one would expect: absent frames, shared scenes."""
        notes = [f"{video.name}: {note}" for video in self._videos for note in video.notes]
        lone = [video for video in self._videos if video.first]
        if lone:
            notes.append(f"only the first frame of {len(lone)} sequences is used")
        unlisted = [video.name for video in self._videos if video.group == video.name]
        if self._groups != "sequence" and unlisted:
            some = ", ".join(unlisted[:4]) + (", ..." if len(unlisted) > 4 else "")
            notes.append(f"not in the shipped list, each a group of its own: {some}")
        if self._groups == "scene" and len(unlisted) < len(self._videos):
            notes.append(_SITE)
        return notes

    def survey(self) -> list[ViratVideo | DataError]:
        """Return the sequences, and the error in place of each that cannot be opened."""
        return [attempt(partial(self._open, number)) for number in self._numbers]

    @cached_property
    def _videos(self) -> list[ViratVideo]:
        return [self._open(number) for number in self._numbers]

    def _open(self, number: str) -> ViratVideo:
        folder = self._root / f"{number}gt"
        length = virat_tracks.read_length(folder)
        truth = virat_tracks.read_tracks(folder, length)
        group = _group(number, length, self._groups) or _name(number)
        footage = None if self._first else _find_footage(self._frames, number)
        if isinstance(footage, ImageSequence):
            footage, notes = _fitted(footage, length, folder)
            return ViratVideo(_name(number), group, footage, truth, length, False, notes)
        if footage is not None:
            return ViratVideo(_name(number), group, footage, truth, length)
        picture = ImageSequence((_first_frame(self._root, number),))
        return ViratVideo(_name(number), group, picture, truth, 1, True)


@dataclass(frozen=True, eq=False)
class ViratVideo:
    """One sequence; satisfies :class:`vidseg.types.Video`.

    Attributes:
        name: ``virat-NN``.
        group: its scene.
        footage: the frames, as files or as a clip.
        truth: the boxes of all annotated frames.
        length: how many frames are used.
        first: True where only the first frame is.
        notes: what the user should know.
    """

    name: str
    group: str
    footage: ImageSequence | ClipFrames
    truth: Truth
    length: int
    first: bool = False
    notes: tuple[str, ...] = ()

    @property
    def mismatches(self) -> tuple[str, ...]:
        """The notes: all of them are about the number of frames."""
        return self.notes

    @property
    def image_key(self) -> str:
        """Hash of the frames' files, or of the clip and how much of it is used."""
        if isinstance(self.footage, ImageSequence):
            return self.footage.key
        return content_key(self.footage.key, self.length)

    @property
    def frame_hashes(self) -> tuple[str, ...]:
        """Hash of each frame's file; none for a clip."""
        return self.footage.hashes if isinstance(self.footage, ImageSequence) else ()

    @cached_property
    def label_key(self) -> str:
        """Hash of the boxes of the used frames, and of the frames that they refer to."""
        used = self.truth.frames < self.length
        return content_key(_READER, self.image_key, *(column[used] for column in self.truth))

    def remember(self, memory: Memory) -> None:
        """Keep the true length of a clip in ``memory``."""
        if isinstance(self.footage, ClipFrames):
            self.footage.memory = memory

    def probe(self) -> VideoInfo:
        """Return the number of used frames, and their size; decodes a clip once.

        Raises:
            DataError: a clip that does not decode, or is shorter than its annotation.
        """
        found = self.footage.probe()
        if found.length < self.length:
            raise DataError(
                f"annotated for {self.length} frames, the clip has only {found.length}",
                where=self.name,
                hint="give the clip that the annotation was made on",
            )
        return found._replace(length=self.length)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames; see :meth:`ImageSequence.frames` and :meth:`ClipFrames.frames`."""
        return self.footage.frames(indices)

    def labels(self, index: int, source: str = "truth") -> BoxLabels:
        """Return the boxes of a frame."""
        check_source(source, self.name)
        if not 0 <= index < self.length:
            raise DataError(f"has no frame {index}, only 0 to {self.length - 1}", where=self.name)
        return self.truth.at(index, self.probe().size, origin=0.0)


def _name(number: str) -> str:
    return f"virat-{number}"


def _find_sequences(root: Path) -> list[str]:
    found = [
        match[1]
        for child in root.iterdir()
        if (match := _FOLDER.fullmatch(child.name)) and (child / "size.txt").is_file()
    ]
    if not found:
        state = "holds no VIRAT annotation" if any(root.iterdir()) else "is empty"
        raise DataError(
            state, where=root, hint="a sequence is a folder NNgt with size.txt and track files"
        )
    return sorted(found, key=natural_key)


def _find_footage(root: Path, number: str) -> ImageSequence | ClipFrames | None:
    """Return the full sequence, or None where it is absent."""
    folder = root / number
    clips = [
        file
        for file in sorted(root.glob(f"{number}.*"))
        if file.suffix.lower() in SUFFIXES and file.is_file()
    ]
    if len(clips) + folder.is_dir() > 1:
        raise DataError(f"sequence {number} is there twice", where=root, hint="keep one of them")
    if clips:
        return ClipFrames(clips[0])
    if not folder.is_dir():
        return None
    images = list_images(folder)
    check_numbering(images)
    return ImageSequence(images)


def _fitted(
    images: ImageSequence, length: int, folder: Path
) -> tuple[ImageSequence, tuple[str, ...]]:
    """Return the annotated frames; a folder with fewer is not the one that was annotated."""
    if len(images) < length:
        raise DataError(
            f"annotated for {length} frames, only {len(images)} are there",
            where=images.files[0].parent,
            hint=f"restore them (see {folder / 'size.txt'}), or take first=true",
        )
    if len(images) == length:
        return images, ()
    note = f"{len(images)} frames are there, the first {length} are annotated and used"
    return ImageSequence(images.files[:length]), (note,)


def _first_frame(root: Path, number: str) -> Path:
    for suffix in _PICTURES:
        if (file := root / f"{number}{suffix}").is_file():
            return file
    raise DataError(
        f"no frame of sequence {number}",
        where=root,
        hint=f"put the folder {number}, a clip {number}.mp4 or the first frame {number}.jpg there",
    )


def _group(number: str, length: int, level: str) -> str | None:
    """Return the group of a public sequence; None for any other, and for level ``sequence``."""
    row = _shipped_groups().get((number, length), {})
    return row.get(level) if level != "sequence" else None


@cache
def _shipped_groups() -> Mapping[tuple[str, int], Mapping[str, str]]:
    """Return the rows of the shipped list by sequence and number of frames.

    The number of frames is part of it: somebody's own sequence 9 is not the public one.
    """
    text = (files("vidseg.datasets") / GROUPS).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["sequence"], int(row["frames"])): row for row in rows}
