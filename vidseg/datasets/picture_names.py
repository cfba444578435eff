"""Which pictures are frames of one video, by their names.

YOLO and COCO files list pictures, not videos. Frames of one video must never stand on both sides of
a split, so they have to be found. Names that exporters give them:

* ``cam1_000123.jpg``, ``cam1-frame-12.png``, ``000123_left.png``: the video is what is left of the
  name without the last number;
* ``cam1/000123.jpg``, ``cam1/frames/frame_12.jpg``: the video is the folder;
* ``cam1_mp4-12_jpg.rf.0a1b2c.jpg`` (Roboflow): the same after its suffix and hash are cut off.

Folders that name a split (``train``, ``val``, ...) do not separate videos, unless one frame number
stands in several of them: then their numbers are of different videos.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from vidseg.media.image_folder import natural_key
from vidseg.utils.text import plural

SPLITS = frozenset({"train", "val", "valid", "validation", "test", "trainval"})
"""Names of folders that stand for a split."""
_LEVELS = SPLITS | {
    "images",
    "img",
    "img1",
    "imgs",
    "frames",
    "data",
    "jpegimages",
    "obj_train_data",
}
_ROBOFLOW = re.compile(
    r"(?P<name>.+?)[._](?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]{6,64}", re.I
)
_MOVIE = re.compile(r"[._](?:mp4|m4v|mov|avi|mkv|webm|mpe?g)$", re.I)
_NUMBER = re.compile(r"(?P<before>.*?)(?P<frame>[0-9]{1,18})(?P<after>[^0-9]*)", re.S)
_FRAME_WORD = re.compile(r"(?:^|[-_. ])(?:frame|frm|image|img|pic|f)$", re.I)
_EDGES = "-_. "

_LONGEST_NAME = 1024
_LONGEST_PATTERN = 200
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*(?:[*+|]|\{[0-9]*,)(?:[^()\\]|\\.)*\)(?:[*+]|\{)")


def _checked(pattern: str) -> str:
    if pattern in ("name", "folder", "picture"):
        return pattern
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"a pattern has at most {_LONGEST_PATTERN} characters")
    if _NESTED.search(pattern):
        raise ValueError("a repeated group that holds a repeat or a choice could take for ever")
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if "video" not in groups:
        raise ValueError("it has no group (?P<video>...); or write name, folder or picture")
    return pattern


VideoPattern = Annotated[str, AfterValidator(_checked)]
"""The option ``pattern``: ``name``, ``folder``, ``picture``, or a regular expression with the
groups ``video`` and, optional, ``frame``, searched in the path below the pictures' folder."""


class Named(NamedTuple):
    """What a picture's name says.

    Attributes:
        video: parts of the video's name; none where the name is a number only.
        split: the folder of a split that it lies in, or "".
        frame: its number, or None.
        name: sorts pictures without number.
    """

    video: tuple[str, ...]
    split: str
    frame: int | None
    name: str


@dataclass(frozen=True)
class FoundVideo:
    """Pictures that are frames of one video.

    Attributes:
        name: unique among those found together.
        pictures: indices into the list of names, in the order of time.
        frames: the number in each name, or None where one has none.
        copies: how many of the pictures have a number that another one has.
    """

    name: str
    pictures: tuple[int, ...]
    frames: tuple[int, ...] | None
    copies: int = 0


def find_videos(names: Sequence[str], pattern: str = "name", *, default: str) -> list[FoundVideo]:
    """Group pictures into videos, by name.

    Args:
        names: path of each picture below the pictures' folder, with ``/``.
        pattern: see :data:`VideoPattern`. Pictures that a regular expression does not fit
            are videos of their own.
        default: name of the video whose pictures have numbers only.

    Returns:
        The videos in natural order of their names.
    """
    reader = _reader(pattern)
    read = [reader(name[-_LONGEST_NAME:]) for name in names]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, one in enumerate(read):
        groups[one.video].append(place)
    found: dict[str, list[int]] = {}
    for video, places in groups.items():
        for split, own in _by_split(places, read).items():
            parts = [*([split] if split else []), *video]
            found[_free("_".join(parts) or default, found)] = own
    videos = [_video(name, places, read) for name, places in found.items()]
    return sorted(videos, key=lambda video: natural_key(video.name))


def describe(videos: Sequence[FoundVideo], pattern: str) -> list[str]:
    """Return how many videos were found and how, and what of it may be wrong."""
    pictures = sum(len(video.pictures) for video in videos)
    how = {
        "name": "by the number at the end of their names",
        "folder": "by their folders",
        "picture": "each picture its own video",
    }.get(pattern, "by pattern=")
    counts = f"{len(videos)} {plural('video', len(videos))} in {pictures} "
    notes = [f"{counts}{plural('picture', pictures)}, found {how}"]
    single = sum(len(video.pictures) == 1 for video in videos)
    if pattern != "picture" and single > len(videos) / 2 and pictures > 1:
        notes.append(
            f"{single} of the videos have one picture only: where several are of one video, "
            "say it with pattern=(?P<video>...)(?P<frame>[0-9]+)"
        )
    if copies := sum(video.copies for video in videos):
        notes.append(
            "pictures with the frame number of another one (augmented copies?) are frames of the "
            f"same video: {copies}"
        )
    return notes


def _video(name: str, places: Sequence[int], read: Sequence[Named]) -> FoundVideo:
    numbers = [read[place].frame for place in places]
    if None in numbers:
        order = sorted(places, key=lambda place: natural_key(read[place].name))
        return FoundVideo(name, tuple(order), None)
    ranked = sorted(zip(numbers, places, strict=True), key=lambda p: (p[0], read[p[1]].name))
    frames = tuple(int(number) for number, _ in ranked if number is not None)
    return FoundVideo(name, tuple(p for _, p in ranked), frames, len(frames) - len(set(frames)))


def _by_split(places: Sequence[int], read: Sequence[Named]) -> dict[str, list[int]]:
    """Return the pictures under "", or under each split where their numbers overlap."""
    splits: dict[str, list[int]] = defaultdict(list)
    for place in places:
        splits[read[place].split].append(place)
    numbers = [{read[place].frame for place in own} - {None} for own in splits.values()]
    apart = sum(map(len, numbers)) == len(set().union(*numbers))
    return {"": list(places)} if apart or len(splits) == 1 else splits


def _free(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken."""
    taken = set(taken)
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in names if one not in taken)


def _reader(pattern: str) -> Callable[[str], Named]:
    if pattern == "name":
        return _by_name
    if pattern == "folder":
        return lambda name: _by_name(name)._replace(video=_folders(name)[0])
    if pattern == "picture":
        return lambda name: Named(PurePosixPath(name).with_suffix("").parts, "", None, name)
    return lambda name: _by_pattern(re.compile(pattern), name)


def _by_pattern(pattern: re.Pattern[str], name: str) -> Named:
    match = pattern.search(name)
    if match is None or match["video"] is None:
        return Named(PurePosixPath(name).with_suffix("").parts, "", None, name)
    frame = match["frame"] if "frame" in pattern.groupindex else None
    number = int(frame) if frame and re.fullmatch(r"[0-9]{1,18}", frame) else None
    return Named((match["video"].strip(_EDGES + "/").replace("/", "_"),), "", number, name)


def _folders(name: str) -> tuple[tuple[str, ...], str]:
    """Return the folders that name a video, and the one that names a split."""
    folders = PurePosixPath(name).parts[:-1]
    split = next((one for one in folders if one.lower() in SPLITS), "")
    return tuple(one for one in folders if one.lower() not in _LEVELS), split


def _by_name(name: str) -> Named:
    folders, split = _folders(name)
    file = PurePosixPath(name).name
    match = _ROBOFLOW.match(file)
    stem = match["name"] if match else PurePosixPath(file).stem
    number = _NUMBER.fullmatch(_last_number_kept(stem))
    if number is None:
        return Named((*folders, stem), split, None, name)
    before = _FRAME_WORD.sub("", number["before"].rstrip(_EDGES)).rstrip(_EDGES)
    before = _MOVIE.sub("", before)
    rest = "_".join(part for part in (before, number["after"].strip(_EDGES)) if part)
    video = (*folders, rest) if rest else folders
    return Named(video, split, int(number["frame"]), name)


def _last_number_kept(stem: str) -> str:
    """Return the name; hexadecimal hashes are no numbers."""
    return re.sub(r"[0-9a-f]{16,}", lambda m: m[0] if m[0].isdigit() else "", stem)
