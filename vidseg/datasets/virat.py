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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

from vidseg.datasets import virat_tracks
from vidseg.datasets.base import BoxLabels, VideoBoxes
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.clip import SUFFIXES, ClipFrames
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    list_images,
    locate,
    natural_key,
)
from vidseg.types import Image, Memory, Size, VideoInfo

GROUPS = "virat_groups.csv"
"""Shipped beside this file: sequence, frames, scene, place, what the first frame shows."""

_READER = "virat 1"
_FOLDER = re.compile(r"(.+)gt")
_PICTURES = (".jpg", ".jpeg", ".png")
_SITE = (
    "all public sequences show one site, and neighbouring scenes share its edges: groups=place is "
    "the stricter grouping"
)


class Virat(FileDataset):
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
        self.root = locate(path, what=what)
        self._frames = locate(frames, what=f"{what},frames={frames}") if frames else self.root
        self._first, self._groups = first, groups
        numbers = _find_sequences(self.root)
        self._numbers = Selection(include, exclude, what).of(numbers, _name)

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each sequence: its annotation, and what lists its frames."""
        return [partial(self._open, number) for number in self._numbers]

    def notes(self) -> list[str]:
        """Return what is not as one would expect: absent frames, shared scenes."""
        notes, videos = super().notes(), self.videos()
        lone = [number for number in self._numbers if self._footage(number) is None]
        if lone:
            notes.append(f"only the first frame of {len(lone)} sequences is used")
        unlisted = [video.name for video in videos if video.group == video.name]
        if self._groups != "sequence" and unlisted:
            some = ", ".join(unlisted[:4]) + (", ..." if len(unlisted) > 4 else "")
            notes.append(f"not in the shipped list, each a group of its own: {some}")
        if self._groups == "scene" and len(unlisted) < len(videos):
            notes.append(_SITE)
        return notes

    def _footage(self, number: str) -> ImageSequence | ClipFrames | None:
        return None if self._first else _find_footage(self._frames, number)

    def _open(self, number: str) -> FrameVideo:
        name, folder = _name(number), self.root / f"{number}gt"
        length = virat_tracks.read_length(folder)
        boxes = virat_tracks.read_tracks(folder, length)
        group = _group(number, length, self._groups) or name
        footage = self._footage(number)
        if footage is None:
            first = ImageSequence((_first_frame(self.root, number),))
            return FrameVideo(name, group, first, ViratTruth(boxes, 1))
        truth = ViratTruth(boxes, length)
        if isinstance(footage, ClipFrames):
            return FrameVideo(name, group, ClipStart(footage, length, name), truth)
        images, notes = _fitted(footage, length, folder)
        return FrameVideo(name, group, images, truth, notes, mismatches=notes)


@dataclass(frozen=True, eq=False)
class ViratTruth(GroundTruth):
    """The boxes of all annotated frames, of which some may not be used.

    Attributes:
        boxes: their coordinates begin at 0.
        length: number of used frames.
    """

    boxes: VideoBoxes
    length: int

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the boxes of the used frames, and of these frames."""
        used = self.boxes.frames < self.length
        return content_key(_READER, images.key, *(column[used] for column in self.boxes))

    def at(self, index: int, size: Size) -> BoxLabels:
        """Return the boxes of a frame."""
        return self.boxes.at(index, size, origin=0.0)


@dataclass(frozen=True, eq=False)
class ClipStart:
    """The annotated frames of a clip: its first ones; satisfies ``FrameFiles``.

    Attributes:
        clip: all frames.
        length: how many are used.
        name: of the video, for messages.
    """

    clip: ClipFrames
    length: int
    name: str
    hashes: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """Hash of the clip, and of how much of it is used."""
        return content_key(self.clip.key, self.length)

    def remember(self, memory: Memory) -> None:
        """Keep the true length of the clip in ``memory``."""
        self.clip.remember(memory)

    def probe(self) -> VideoInfo:
        """Return the number of used frames, and their size; decodes the clip once.

        Raises:
            DataError: it does not decode, or is shorter than its annotation.
        """
        found = self.clip.probe()
        if found.length < self.length:
            raise DataError(
                f"annotated for {self.length} frames, the clip has only {found.length}",
                where=self.name,
                hint="give the clip that the annotation was made on",
            )
        return found._replace(length=self.length)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames; see :meth:`ClipFrames.frames`."""
        return self.clip.frames(indices)


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
