"""YouTube-VOS: frames, palette masks on every fifth of them, and the category of each object.

Layout: ``train/JPEGImages/VIDEO/00000.jpg`` (every fifth frame, or all frames),
``train/Annotations/VIDEO/00000.png`` (every fifth), whose palette indices are object numbers, and
``train/meta.json``::

    {"videos": {VIDEO: {"objects": {"1": {"category": "person", "frames": ["00000", ...]}}}}}

Frames without a mask are not labelled.

Citation: Xu et al. 2018 (arXiv:1809.03327).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vidseg.datasets.base import ClassCount, MaskLabels
from vidseg.datasets.class_choice import ClassChoice, ClassNames
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.mask_meaning import Meaning
from vidseg.datasets.masks import read_mask
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import (
    ImageSequence,
    content_key,
    list_images,
    locate,
    natural_key,
)
from vidseg.types import Size, VideoInfo

_READER = "youtube-vos 1"
_IMAGES, _MASKS, META = "JPEGImages", "Annotations", "meta.json"
_MOST_META = 256 << 20
_VOID = 255


class MetaObject(NamedTuple):
    """One object of a video.

    Attributes:
        number: its palette index.
        category: its class.
        frames: how many frames show it, by ``meta.json``.
    """

    number: int
    category: str
    frames: tuple[str, ...]


class YoutubeVos(FileDataset):
    """Videos with palette masks on some frames, and a category for each object.

    Args:
        path: the folder with JPEGImages, Annotations and meta.json, or the one above it. A relative
            one is looked up in the current directory, then in VIDSEG_DATA.
        split: the folder below path, where path is the one above: train or valid.
        classes: categories that are foreground; without it all are.
        ignore_classes: categories that count neither as foreground nor as background.
        include: names of the videos to use, or patterns; without it all.
        exclude: names or patterns of videos to leave out.
    """

    def __init__(
        self,
        path: str,
        split: Literal["train", "valid", "test"] = "train",
        classes: ClassNames = (),
        ignore_classes: ClassNames = (),
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        self._what = f"youtube-vos:{path}"
        root = locate(path, what=self._what)
        self.root = root if (root / _IMAGES).is_dir() else root / split
        for name in (_IMAGES, _MASKS):
            if not (self.root / name).is_dir():
                hint = "a YouTube-VOS folder has JPEGImages, Annotations and meta.json"
                raise DataError(f"no folder {name}", where=self.root, hint=hint)
        self._wanted = (classes, ignore_classes)
        if any(self._wanted) and not (self.root / META).is_file():
            raise UsageError(
                f"no {META} says which object is of which class",
                where=f"{self._what},classes",
                hint="without it all objects are foreground, or the data set masks takes values",
            )
        self._selection = Selection(include, exclude, self._what)

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each video: lists its files, reads no pixel.

        Raises:
            DataError: there is no video, or ``meta.json`` is malformed.
        """
        return [partial(self._open, name) for name in self._names]

    def classes(self) -> list[ClassCount]:
        """Return the categories; their boxes are objects on frames, as ``meta.json`` lists them."""
        numbers = {name: number for number, name in self._choice.names.items()}
        return self._choice.counted(
            (numbers[one.category], (name, frame))
            for name in self._names
            for one in self._objects.get(name, ())
            for frame in one.frames
        )

    @cached_property
    def _names(self) -> list[str]:
        folders = [one for one in (self.root / _IMAGES).iterdir() if one.is_dir()]
        names = sorted((one.name for one in folders if one.name[0] != "."), key=natural_key)
        if not names:
            raise DataError("holds no folder of frames", where=self.root / _IMAGES)
        return self._selection.of(names, str)

    @cached_property
    def _objects(self) -> Mapping[str, Sequence[MetaObject]]:
        file = self.root / META
        return dict(_read_meta(file)) if file.is_file() else {}

    @cached_property
    def _choice(self) -> ClassChoice:
        found = (one.category for objects in self._objects.values() for one in objects)
        names = dict(enumerate(sorted(set(found))))
        return ClassChoice.of(names, *self._wanted, where=self._what)

    def _open(self, name: str) -> FrameVideo:
        masks = self.root / _MASKS / name
        if not masks.is_dir():
            raise DataError("no masks for this video", where=masks, hint=f"exclude={name}")
        frames, files = list_images(self.root / _IMAGES / name), list_images(masks)
        places = {file.stem: place for place, file in enumerate(frames)}
        alone = [file for file in files if file.stem not in places]
        if alone:
            more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
            raise DataError(f"no frame for this mask{more}", where=alone[0])
        indices = tuple(places[file.stem] for file in files)
        truth = ObjectMasks(ImageSequence(files), indices, self._meaning(name))
        return FrameVideo(name, name, ImageSequence(frames), truth)

    def _meaning(self, name: str) -> Meaning:
        numbers = {category: number for number, category in self._choice.names.items()}
        if name not in self._objects:
            if any(self._wanted):
                raise DataError(f"has no video {name!r}", where=self.root / META)
            return Meaning(None, (_VOID,))
        values: dict[int, list[int]] = {1: [], 0: [_VOID], -1: []}
        for one in self._objects[name]:
            values[self._choice.value(numbers[one.category])].append(one.number)
        return Meaning(tuple(values[1]), tuple(values[0]))


@dataclass(frozen=True, eq=False)
class ObjectMasks(GroundTruth):
    """Palette masks of some frames.

    Attributes:
        masks: the files.
        indices: the frame of each, ascending.
        meaning: which object numbers are foreground, which ignored.
    """

    masks: ImageSequence
    indices: tuple[int, ...]
    meaning: Meaning

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the files, their frames, and what their values mean."""
        return content_key(_READER, self.meaning, self.indices, *self.masks.hashes)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have a mask, ascending."""
        return self.indices

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        """Return how many frames are labelled, where not all are."""
        count = len(self.indices)
        return (f"{count} of {info.length} frames are labelled",) if count < info.length else ()

    def at(self, index: int, size: Size) -> MaskLabels:
        """Return the mask of a labelled frame.

        Raises:
            DataError: a broken file, or another size than the frames.
        """
        return read_mask(self.masks.files[self.indices.index(index)], size, self.meaning)


def _read_meta(file: Path) -> Iterator[tuple[str, list[MetaObject]]]:
    if file.stat().st_size > _MOST_META:
        raise DataError("is larger than 256 MB: no meta.json", where=file)
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("is no JSON", where=file, hint="fetch it again") from error
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, dict):
        raise DataError("has no videos", where=file, hint="is it YouTube-VOS's meta.json?")
    for name, video in videos.items():
        objects = video.get("objects") if isinstance(video, dict) else None
        if not isinstance(objects, dict):
            raise DataError(f"video {name!r} has no objects", where=file)
        yield name, [_object(file, name, number, one) for number, one in objects.items()]


def _object(file: Path, video: str, number: str, found: Any) -> MetaObject:
    frames = found.get("frames", []) if isinstance(found, dict) else None
    category = found.get("category") if isinstance(found, dict) else None
    whole = number.isascii() and number.isdigit() and 0 < int(number[:4]) < _VOID
    listed = isinstance(frames, list) and all(isinstance(one, str) for one in frames)
    if not (whole and listed and isinstance(category, str)):
        raise DataError(f"object {number!r} of video {video!r} is malformed", where=file)
    return MetaObject(int(number), category, tuple(frames or ()))
