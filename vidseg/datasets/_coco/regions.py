"""Annotations of a COCO file, made small while the JSON is parsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidseg.datasets.polygons import Polygon
from vidseg.datasets.shapes import Box, Rle, Shape, encode_runs
from vidseg.errors import DataError
from vidseg.types import Size
from vidseg.utils.stop import check_stop

Id = int | str


class Region(NamedTuple):
    """One labelled region of a frame.

    Attributes:
        category: its id.
        crowd: it is a group without outlines, or is to be ignored.
        box: left, top, width, height, or None.
        polygons: corners; none where it is a box or a mask.
        rle: a mask, or None.
        track: identity from frame to frame, or -1.
    """

    category: int
    crowd: bool
    box: Box | None
    polygons: tuple[Polygon, ...]
    rle: Rle | None
    track: int

    def shape(self, value: int) -> Shape:
        """Return the region as a shape of a value."""
        if self.rle is not None or self.polygons:
            return Shape(value, None, self.polygons, self.rle, self.track)
        return Shape(value, self.box, track=self.track)


class Compact:
    """Makes small objects of annotations while the file is parsed: numbers in arrays, not lists."""

    def __init__(self, file: Path) -> None:
        self._file, self._count = file, 0

    def __call__(self, found: dict[str, Any]) -> Any:
        self._count += 1
        if self._count % 4096 == 0:
            check_stop()
        if "counts" in found and "size" in found:
            return _rle(found, self._file)
        if "category_id" in found and found.keys() & {"bbox", "segmentation", "segmentations"}:
            return Annotation.of(found, self._file)
        if "file_name" in found:
            kept = ("id", "file_name", "width", "height", "video_id", "frame_id", "frame_index")
            return {key: found[key] for key in kept if key in found}
        return found


class Annotation(NamedTuple):
    """One annotation.

    Attributes:
        number: its id.
        image: id of its picture, or None where it is of a video.
        video: id of its video, or None where it is of a picture.
        regions: one, or one for each frame of the video, None where it is not seen.
    """

    number: Id | None
    image: Id | None
    video: Id | None
    regions: list[Region | None]

    @classmethod
    def of(cls, found: Mapping[str, Any], file: Path) -> Annotation:
        """Return the annotation in a JSON object.

        Raises:
            DataError: it is malformed; names it.
        """
        where = f"{file}, annotation {found.get('id', 'without id')}"
        outlines, boxes = found.get("segmentations"), found.get("bboxes")
        if outlines is None and not isinstance(boxes, list):
            return cls(
                found.get("id"),
                found.get("image_id"),
                None,
                [_region(found, found.get("segmentation"), found.get("bbox"), where)],
            )
        count = len(outlines if isinstance(outlines, list) else boxes or ())
        outlines = outlines or [None] * count
        boxes = boxes if isinstance(boxes, list) and len(boxes) == count else [None] * count
        shown = [
            _region(found, outline, box, where, found.get("id")) if outline or box else None
            for outline, box in zip(outlines, boxes, strict=True)
        ]
        return cls(found.get("id"), None, found.get("video_id"), shown)


def _region(
    found: Mapping[str, Any], outline: Any, bbox: Any, where: str, track: Any = None
) -> Region:
    category = found["category_id"]
    if type(category) is not int:
        raise DataError(f"category_id {category!r} is no whole number", where=where)
    for key in ("track_id", "instance_id"):
        track = found.get(key, track)
    crowd = bool(found.get("iscrowd") or found.get("ignore"))
    own = track if type(track) is int and -1 <= track < 2**62 else -1
    rle = outline if isinstance(outline, Rle) else None
    polygons = () if rle is not None else _polygons(outline, where)
    box = None if bbox is None else _box(bbox, where)
    return Region(category, crowd, box, polygons, rle, own)


def _polygons(outline: Any, where: str) -> tuple[Polygon, ...]:
    if outline is None or outline == []:
        return ()
    if not isinstance(outline, list) or not all(isinstance(one, list) for one in outline):
        raise DataError("segmentation is neither polygons nor a run-length mask", where=where)
    arrays = [_numbers(one, where) for one in outline]
    if any(len(one) % 2 for one in arrays):
        raise DataError("a polygon has an odd number of coordinates", where=where)
    return tuple(one.reshape(-1, 2) for one in arrays)


def _box(bbox: Any, where: str) -> Box:
    sides = _numbers(bbox, where)
    if len(sides) != 4:
        raise DataError(f"bbox has {len(sides)} numbers, 4 are needed", where=where)
    left, top, width, height = sides.tolist()
    return left, top, width, height


def _numbers(values: Any, where: str) -> Polygon:
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.array([math.nan])
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise DataError("coordinates are no finite numbers", where=where)
    return numbers


def _rle(found: Mapping[str, Any], file: Path) -> Rle:
    size, counts = found["size"], found["counts"]
    whole = isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
    if not whole or not all(0 < side < 1 << 15 for side in size):
        raise DataError(f"a run-length mask has the size {size!r}"[:80], where=file)
    if isinstance(counts, list):
        return encode_runs(counts, Size(*size), str(file))
    if not isinstance(counts, str) or not counts.isascii():
        raise DataError("counts of a run-length mask are neither a list nor text", where=file)
    return Rle(Size(*size), counts.encode())
