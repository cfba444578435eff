"""COCO's JSON file: read into few bytes, checked, and sorted by frame.

``images`` and ``annotations`` as in COCO (also with ``video_id`` and ``frame_id``, as BDD100K, TAO
and MOT converters write them), or ``videos`` with ``file_names`` and annotations with one
segmentation for each frame (YouTube-VIS).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from vidseg.datasets._coco.regions import Annotation, Compact, Region
from vidseg.datasets.polygons import is_outside
from vidseg.errors import DataError, ResourceError
from vidseg.types import Size

MEMORY_FACTOR = 10.0
"""Bytes of memory that reading takes for each byte of the file: 3 to 5 were measured with outlines,
10 for boxes alone in a file without spaces."""


@dataclass(slots=True)
class CocoFrame:
    """One picture and its regions.

    Attributes:
        file_name: as in the file.
        size: as in the file; None where it states none.
        video: name of its video; None where the file has no videos.
        number: frame number in its video; None where the file states none.
        regions: what is labelled in it.
    """

    file_name: str
    size: Size | None
    video: str | None = None
    number: int | None = None
    regions: list[Region] = field(default_factory=list)


@dataclass(frozen=True)
class CocoFile:
    """The content of a file.

    Attributes:
        frames: all pictures that it lists, in its order.
        categories: name of each by its id.
        notes: what was left out or cut.
    """

    frames: tuple[CocoFrame, ...]
    categories: Mapping[int, str]
    notes: tuple[str, ...]


def read_file(file: Path) -> CocoFile:
    """Read a COCO file.

    Raises:
        ResourceError: it would not fit in the memory that is free.
        DataError: it is no COCO file, or its parts contradict each other.
    """
    check_memory(file.stat().st_size, psutil.virtual_memory().available, file)
    content = _load(file)
    categories = _categories(content, file)
    notes: Counter[str] = Counter()
    by_video = any("file_names" in video for video in content.get("videos") or ())
    frames = _video_frames(content, file) if by_video else _image_frames(content, file)
    _fill(frames, content, categories, notes, file)
    return CocoFile(
        tuple(frames.values()), categories, tuple(f"{what}: {n}" for what, n in notes.items())
    )


def check_memory(size: int, free: int, file: Path) -> None:
    """Refuse a file that would not fit.

    Args:
        size: of the file, bytes.
        free: memory, bytes.
        file: named in the error.

    Raises:
        ResourceError: it would not fit; says how much it needs.
    """
    needed = size * MEMORY_FACTOR
    if needed > free:
        raise ResourceError(
            f"has {size / 1e9:.2f} GB and takes up to {needed / 1e9:.1f} GB of memory to read "
            f"({MEMORY_FACTOR:g} bytes for each), {free / 1e9:.1f} GB are free",
            where=file,
            hint="split it by video or by split, or use a larger machine",
        )


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), object_hook=Compact(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read as text", where=file) from error
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise DataError(f"is no JSON ({error.msg})", where=place) from error
    except RecursionError as error:
        raise DataError("is nested too deeply", where=file) from error
    if isinstance(content, list):
        hint = "give the file of the ground truth, with images and categories"
        raise DataError("is a list of results, no ground truth", where=file, hint=hint)
    if not isinstance(content, dict) or not ("images" in content or "videos" in content):
        raise DataError("has no images", where=file, hint="is it a COCO file?")
    if not isinstance(content.get("annotations"), list):
        hint = "validation and test files are published without: give the file of train"
        raise DataError("has no annotations", where=file, hint=hint)
    for key in ("images", "videos", "categories"):
        listed = content.get(key)
        if listed is not None and not _are_mappings(listed):
            raise DataError(f"{key} is no list of objects", where=file)
    for one in content["annotations"]:
        if not isinstance(one, Annotation):
            what = "is a panoptic file" if "segments_info" in str(one)[:2000] else "is malformed"
            raise DataError(
                f"{what}: an annotation without category_id, bbox or segmentation", where=file
            )
    return content


def _are_mappings(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(one, dict) for one in listed)


def _categories(content: Mapping[str, Any], file: Path) -> dict[int, str]:
    listed = content.get("categories") or []
    found = {}
    for one in listed:
        number = one.get("id")
        if type(number) is not int:
            raise DataError(f"category {one.get('name')!r} has no whole number as id", where=file)
        if number in found:
            raise DataError(f"two categories have the id {number}", where=file, hint="mend one")
        found[number] = str(one.get("name", number))
    return found


def _image_frames(content: Mapping[str, Any], file: Path) -> dict[Any, CocoFrame]:
    images = content.get("images") or []
    videos = {v.get("id"): str(v.get("name", v.get("id"))) for v in content.get("videos") or ()}
    _refuse_doubles((one.get("id") for one in images), "images have the id", file)
    frames: dict[Any, CocoFrame] = {}
    for one in images:
        if not isinstance(one.get("file_name"), str):
            raise DataError(f"image {one.get('id')!r} has no file_name", where=file)
        number = one.get("frame_id", one.get("frame_index"))
        video = one.get("video_id")
        frames[one.get("id")] = CocoFrame(
            one["file_name"],
            _size(one),
            None if video is None else videos.get(video, str(video)),
            number if type(number) is int else None,
        )
    _refuse_doubles((one.file_name for one in frames.values()), "images are called", file)
    return frames


def _video_frames(content: Mapping[str, Any], file: Path) -> dict[Any, CocoFrame]:
    videos = content["videos"]
    _refuse_doubles((one.get("id") for one in videos), "videos have the id", file)
    frames: dict[Any, CocoFrame] = {}
    for one in videos:
        names = one.get("file_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"video {one.get('id')!r} has no file_names", where=file)
        folder = str(Path(names[0].replace("\\", "/")).parent) if names else ""
        name = str(one.get("name", folder.replace("/", "_") or one.get("id")))
        for number, picture in enumerate(names):
            frames[one.get("id"), number] = CocoFrame(picture, _size(one), name, number)
    return frames


def _size(one: Mapping[str, Any]) -> Size | None:
    height, width = one.get("height"), one.get("width")
    whole = type(height) is int and type(width) is int
    return Size(height, width) if whole and height and width else None


def _refuse_doubles(values: Iterable[Any], what: str, file: Path) -> None:
    counts = Counter(map(repr, values))
    twice = [value for value, count in counts.items() if count > 1]
    if twice:
        more = f" (and {len(twice) - 1} more like them)" if len(twice) > 1 else ""
        raise DataError(
            f"two {what} {twice[0]}{more}", where=file, hint="labels need one picture each"
        )


def _fill(
    frames: Mapping[Any, CocoFrame],
    content: Mapping[str, Any],
    categories: Mapping[int, str],
    notes: Counter[str],
    file: Path,
) -> None:
    """Put the annotations into their frames, and count what is left out."""
    ids = Counter(one.number for one in content["annotations"] if one.number is not None)
    doubled = sum(count > 1 for count in ids.values())
    if doubled:
        notes["ids that stand at more than one annotation, all of which are used"] += doubled
    absent = []
    for one in content["annotations"]:
        for key, region in _placed(one):
            if key not in frames or region.category not in categories:
                absent.append((one, key not in frames, region.category))
            else:
                kept, what = _checked(region, frames[key].size)
                notes.update([what] if what else [])
                frames[key].regions += [kept] if kept else []
    if absent:
        one, lost, category = absent[0]
        place = one.image if one.video is None else one.video
        kind = "image" if one.video is None else "video"
        what = f"{kind} {place!r}" if lost else f"category {category}"
        more = f" (and {len(absent) - 1} more like it)" if len(absent) > 1 else ""
        raise DataError(
            f"annotation {one.number} is of {what}, which the file does not list{more}",
            where=file,
            hint="restore it, or delete the annotation",
        )


def _placed(one: Annotation) -> Iterator[tuple[Any, Region]]:
    for number, region in enumerate(one.regions):
        if region is not None:
            yield (one.image if one.video is None else (one.video, number)), region


def _checked(region: Region, size: Size | None) -> tuple[Region | None, str]:
    """Return a region as it is used, None where it is left out, and what a note counts."""
    if region.rle is not None:
        return region, ""
    if any(len(polygon) >= 3 for polygon in region.polygons):
        crosses = size is not None and any(is_outside(own, size) for own in region.polygons)
        what = "outlines that reach over the border of their picture are cut there"
        return region, what if crosses else ""
    if region.box is None or min(region.box[2:]) <= 0:
        return None, "annotations without outline and without a box of positive size are left out"
    what = "annotations with polygons of two points count as their boxes"
    return region._replace(polygons=()), what if region.polygons else ""
