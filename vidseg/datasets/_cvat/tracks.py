"""Tracks frame by frame: what CVAT interpolates between keyframes, and shapes in pixels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vidseg.datasets._cvat.document import CvatTrack, Mark
from vidseg.datasets.polygons import box_polygon, ellipse_polygon, rotated
from vidseg.datasets.shapes import Shape, encode_mask
from vidseg.errors import DataError
from vidseg.types import Size


class Seen(NamedTuple):
    """A shape on a frame.

    Attributes:
        mark: the shape; its frame is the one where it is seen.
        track: number of the track, or -1.
        filled: it stands in no file: it lies between keyframes.
    """

    mark: Mark
    track: int = -1
    filled: bool = False


def holds_keyframes_only(tracks: Sequence[CvatTrack], step: int) -> bool:
    """Return whether frames between the keyframes of a track were left out of the file.

    CVAT itself writes every frame; other tools, and CVAT's own archives, write keyframes.

    Args:
        tracks: of one task.
        step: of the task's frames.
    """
    if not all(mark.keyframe for track in tracks for mark in track.marks):
        return False
    return any(
        not before.outside and after.frame - before.frame > step
        for track in tracks
        for before, after in pairwise(track.marks)
    )


def follow(track: CvatTrack, frames: Sequence[int], *, sparse: bool) -> Iterator[Seen]:
    """Yield the frames of a task on which an object is seen.

    Between two shapes that are not neighbours boxes, ellipses and polygons of equally many corners
    are interpolated linearly, as CVAT does; anything else stays as it was.

    Args:
        track: the object.
        frames: of the task, ascending.
        sparse: the file holds keyframes only: the last shape stays until the task ends.
    """
    marks = track.marks
    for place, mark in enumerate(marks):
        if mark.outside:
            continue
        yield Seen(mark, track.number)
        last = place + 1 == len(marks)
        if last and not sparse:
            return
        first = bisect_right(frames, mark.frame)
        stop = len(frames) if last else bisect_left(frames, marks[place + 1].frame)
        for frame in frames[first:stop]:
            between = mark if last else _between(mark, marks[place + 1], frame)
            yield Seen(between._replace(frame=frame), track.number, filled=True)


def _between(before: Mark, after: Mark, frame: int) -> Mark:
    same = before.kind == after.kind != "mask" and before.points.shape == after.points.shape
    if not same:
        return before
    share = (frame - before.frame) / (after.frame - before.frame)
    turn = (after.rotation - before.rotation + 180) % 360 - 180
    points = before.points + share * (after.points - before.points)
    return before._replace(points=points, rotation=before.rotation + share * turn)


def shape_of(mark: Mark, value: int, size: Size | None, track: int, where: str) -> Shape | None:
    """Return a shape in pixels; None where it has no area.

    Args:
        mark: as in the file.
        value: what it counts as; see :class:`vidseg.datasets.shapes.Shape`.
        size: of the frame; masks need it.
        track: identity, or -1.
        where: named in errors.

    Raises:
        DataError: a mask on a frame of unknown size, or one that reaches out of it.
    """
    if mark.kind == "mask":
        return Shape(
            value, rle=encode_mask(_mask(mark, size, where)), track=track, order=mark.order
        )
    (x, y), (x2, y2) = mark.points[0].tolist(), mark.points[1].tolist()
    if mark.kind == "polygon":
        return Shape(value, polygons=(mark.points,), track=track, order=mark.order)
    if mark.kind == "ellipse":
        if x2 <= 0 or y2 <= 0:
            return None
        outline = rotated(ellipse_polygon(x, y, x2, y2), mark.rotation, (x, y))
        return Shape(value, polygons=(outline,), track=track, order=mark.order)
    if x2 <= x or y2 <= y:
        return None
    if mark.rotation % 360:
        centre = ((x + x2) / 2, (y + y2) / 2)
        outline = rotated(box_polygon(x, y, x2 - x, y2 - y), mark.rotation, centre)
        return Shape(value, polygons=(outline,), track=track, order=mark.order)
    return Shape(value, (x, y, x2 - x, y2 - y), track=track, order=mark.order)


def _mask(
    mark: Mark, size: Size | None, where: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if size is None:
        raise DataError("has masks, and does not say how large the frames are", where=where)
    (left, top), (width, height) = mark.points.astype(int).tolist()
    if left + width > size.width or top + height > size.height:
        raise DataError(f"a mask reaches out of the {size} frame", where=where)
    values = np.arange(len(mark.runs)) % 2 == 1
    inside = np.repeat(values, mark.runs).reshape(height, width)
    drawn = np.zeros(size, bool)
    drawn[top : top + height, left : left + width] = inside
    return drawn
