"""Videos without labels: clips and folders of pictures, found below the paths that a user gives."""

from __future__ import annotations

import configparser
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vidseg.datasets.files import FrameFiles
from vidseg.errors import DataError, UsageError
from vidseg.media.clip import SUFFIXES as CLIPS
from vidseg.media.clip import ClipFrames
from vidseg.media.image_folder import SUFFIXES as PICTURES
from vidseg.media.image_folder import ImageSequence, list_images, name_of, natural_key
from vidseg.types import Image, Labels, Memory, VideoInfo
from vidseg.utils.text import is_printable

PLAIN_NAMES = frozenset({"img1", "img", "imgs", "images", "frames", "rgb"})
"""Folders of frames that are called after the folder above them."""
NOT_FOOTAGE = frozenset(
    {"annotations", "masks", "labels", "gt", "det", "truth", "segmentationclass"}
    | {"segmentationobject"}
)
"""Folders that hold labels in the usual layouts; taken only where they are named themselves."""
DEEPEST = 8
"""Folders below a path that are looked into."""


@dataclass(frozen=True, eq=False)
class Footage:
    """One video without labels; satisfies :class:`vidseg.types.Video`.

    Attributes:
        name: unique among the videos that were found together.
        path: the clip, or the folder of its pictures.
        images: its frames.
        fps: frames a second where the video does not state them.
    """

    name: str
    path: Path
    images: FrameFiles = field(repr=False)
    fps: float | None = None

    label_key = ""

    @property
    def group(self) -> str:
        """Its own name: what shows one scene is found by content."""
        return self.name

    @property
    def image_key(self) -> str:
        """Hash of the frames."""
        return self.images.key

    @property
    def frame_hashes(self) -> tuple[str, ...]:
        """Hash of each picture's file; none of a clip."""
        return self.images.hashes

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what takes a decoding to find."""
        self.images.remember(memory)

    def probe(self) -> VideoInfo:
        """Return true length and size; decodes a clip once.

        Raises:
            DataError: the frames cannot be read.
        """
        return self._info

    @cached_property
    def _info(self) -> VideoInfo:
        length, size, fps = self.images.probe()
        return VideoInfo(length, size, fps or self.fps)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames at native size."""
        return self.images.frames(indices)

    def labelled(self) -> Sequence[int]:
        """Return all frames: each of them may be chosen."""
        return range(self.probe().length)

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Refuse: there are none.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "has no labels", where=f"video {self.name}", hint="choose a sampler that needs none"
        )

    def file(self, index: int) -> Path:
        """Return the file that holds a frame: its picture, or the clip."""
        files = getattr(self.images, "files", None)
        return self.path if files is None else files[index]

    def place(self, index: int) -> str:
        """Return where a frame is: its picture, or ``CLIP#INDEX``."""
        file = self.file(index)
        return f"{file}#{index}" if file == self.path else str(file)


def find_footage(
    paths: Sequence[Path], fps: float | None = None
) -> tuple[list[Footage], list[DataError]]:
    """Return the videos below paths, in natural order, each once, and what cannot be opened.

    A file is a clip. A folder that holds pictures is a video; clips and folders in it are videos
    as well. Folders whose names say that they hold labels are passed over below a path.

    Args:
        paths: clips and folders.
        fps: frames a second of videos that do not state them.

    Raises:
        DataError: there is no such path, or no video below one.
        UsageError: a path is a file that is no clip.
    """
    places: list[Path] = []
    for path in paths:
        found = list(_search(path))
        if not found:
            raise DataError(
                "holds neither clips nor pictures",
                where=path,
                hint="give clips, folders of pictures, or folders of either",
            )
        places += found
    unique = list({place.resolve(): place for place in places}.values())
    videos: list[Footage] = []
    faults: list[DataError] = []
    for name, place in zip(_names(unique), unique, strict=True):
        try:
            videos.append(_open(name, place, fps))
        except DataError as error:
            faults.append(error)
    return videos, faults


def _search(path: Path) -> Iterator[Path]:
    """Yield the clips and folders of pictures at a path and below it."""
    if path.is_file():
        if path.suffix.lower() not in CLIPS:
            hint = "give its folder" if path.suffix.lower() in PICTURES else "give clips or folders"
            raise UsageError("is no clip", where=path, hint=hint)
        yield path
    elif path.is_dir():
        yield from _inside(path, 0)
    else:
        raise DataError("no such file or folder", where=path)


def _inside(folder: Path, depth: int) -> Iterator[Path]:
    try:
        children = [child for child in folder.iterdir() if not child.name.startswith(".")]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=folder) from error
    children.sort(key=lambda child: natural_key(child.name))
    if any(child.suffix.lower() in PICTURES and child.is_file() for child in children):
        yield folder
    for child in children:
        if child.suffix.lower() in CLIPS and child.is_file():
            if not _is_mask(child, children):
                yield child
        elif child.is_dir() and depth < DEEPEST and child.name.lower() not in NOT_FOOTAGE:
            yield from _inside(child, depth + 1)


def _is_mask(clip: Path, beside: Sequence[Path]) -> bool:
    """Return whether a clip is called as the mask clip of another one (``NAME_mask.mp4``)."""
    stem = clip.stem.removesuffix("_mask")
    return stem != clip.stem and any(
        other.stem == stem and other.suffix.lower() in CLIPS for other in beside
    )


def _open(name: str, place: Path, fps: float | None) -> Footage:
    if not is_printable(str(place)):
        raise DataError(
            "the name holds a line break or another control character",
            where=place,
            hint="rename the file or folder",
        )
    if place.is_file():
        return Footage(name, place, ClipFrames(place), fps)
    return Footage(name, place, ImageSequence(list_images(place), _frame_rate(place)), fps)


def _frame_rate(folder: Path) -> float | None:
    """Return what MOT's ``seqinfo.ini`` beside a folder of frames says; None where it does not."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string((folder.parent / "seqinfo.ini").read_text(encoding="utf-8-sig"))
        rate = parser.getfloat("Sequence", "frameRate", fallback=0.0)
    except (OSError, ValueError, configparser.Error):
        return None
    return rate if 0 < rate < 10_000 else None


def _names(places: Sequence[Path]) -> list[str]:
    """Return a short name for each video; those of one name get the folder above in front."""
    names = [_name(place) for place in places]
    twice = {name for name, count in Counter(names).items() if count > 1}
    longer = [
        f"{name_of(_parent(place))}-{name}" if name in twice else name
        for name, place in zip(names, places, strict=True)
    ]
    found: list[str] = []
    for name in longer:
        candidate, place = name, 2
        while candidate in found:
            candidate, place = f"{name}-{place}", place + 1
        found.append(candidate)
    return found


def _name(place: Path) -> str:
    if place.is_file():
        return place.stem
    return name_of(_parent(place) if _is_plain(place) else place)


def _parent(place: Path) -> Path:
    parent = place.resolve().parent
    return parent.parent if place.is_dir() and _is_plain(place) and _is_plain(parent) else parent


def _is_plain(folder: Path) -> bool:
    return name_of(folder).lower() in PLAIN_NAMES
