"""Objects of labels without identities: boxes, or parts of masks, linked from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache

from vidseg.labels.boxes import boxed
from vidseg.trackers.boxes import Boxes, iou, is_box, visible
from vidseg.types import Box, Labels, Video, labelled_frames

LINKED = 0.2
"""Boxes of neighbouring labelled frames with less IoU are not one object."""

Table = dict[tuple[int, bool], dict[int, Box]]
"""Boxes by frame, of each object: its number, and whether it is ignored."""

_kept: LRUCache[object, Table] = LRUCache(64)
_lock = Lock()


def linked(video: Video) -> Table:
    """Return the objects of a video, whatever identities its labels have.

    The boxes of a labelled frame, or of the connected parts of its mask, are assigned to those of
    the labelled frame before: one to one, so that the sum of their IoU is greatest. What is not
    assigned, or with an IoU below ``LINKED``, begins an object.
    """
    frames = tuple(labelled_frames(video))
    place = video.label_key, frames
    with _lock:
        found = _kept.get(place)
    if found is None:
        found = _linked(video, frames)
        with _lock:
            _kept[place] = found
    return found


class _Seen(NamedTuple):
    """The boxes of one frame, 0 is the first pixel's left (top) edge, and their objects."""

    boxes: Boxes
    numbers: list[int]


def _linked(video: Video, frames: Sequence[int]) -> Table:
    found: Table = {}
    before = {void: _Seen(np.zeros((0, 4)), []) for void in (False, True)}
    count = 0
    for frame in frames:
        both = _divided(video.labels(frame))
        for void, boxes in both.items():
            numbers = _assigned(before[void], boxes)
            for row, box in enumerate(boxes.tolist()):
                if numbers[row] < 0:
                    numbers[row] = count = count + 1
                found.setdefault((numbers[row], void), {})[frame] = tuple(box)
            before[void] = _Seen(boxes, numbers)
    return found


def _divided(labels: Labels) -> dict[bool, Boxes]:
    """Return the boxes of a frame that count, and those that are ignored; empty ones in neither."""
    own = boxed(labels)
    assert own.boxes is not None
    boxes = np.asarray(own.boxes, np.float64).reshape(-1, 4) - (own.origin, own.origin, 0, 0)
    seen = [is_box(box) and min(visible(box, own.size)) > 0 for box in _tuples(boxes)]
    kept = np.array(seen, bool)
    ignored = np.zeros(len(boxes), bool) if own.ignored is None else np.asarray(own.ignored, bool)
    return {void: boxes[kept & (ignored == void)] for void in (False, True)}


def _tuples(boxes: Boxes) -> Iterator[Box]:
    return ((a, b, c, d) for a, b, c, d in boxes.tolist())


def _assigned(before: _Seen, boxes: Boxes) -> list[int]:
    """Return the object of each box; -1 of those that begin one."""
    from scipy.optimize import linear_sum_assignment

    overlap = iou(before.boxes[:, None], boxes[None])
    numbers = [-1] * len(boxes)
    for old, new in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[old, new] >= LINKED:
            numbers[new] = before.numbers[old]
    return numbers
