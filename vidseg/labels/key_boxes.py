"""The boxes of objects on some frames of a video, and the gaps between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from vidseg.errors import UsageError
from vidseg.labels.boxes import SMALLEST_PART, parts
from vidseg.labels.linked import linked
from vidseg.tasks.segmentation.rasterise import FOREGROUND
from vidseg.trackers.boxes import is_box, visible
from vidseg.trackers.gaps import Gap
from vidseg.types import Box, Labels, Video

Objects = Literal["auto", "ids", "linked", "one"]
"""``ids``: boxes of one identity are one object. ``linked``: boxes, or connected parts of masks,
that overlap from one labelled frame to the next. ``one``: all foreground of a frame is one object,
with the box around it. ``auto``: ``ids`` where the labels have them, else ``linked``."""


@dataclass
class KeyTrack:
    """The known boxes of one object.

    Attributes:
        id: identity in the data set.
        ignored: its pixels count as nothing.
        keys: box by frame, in pixels, 0 is the first pixel's left (top) edge.
    """

    id: int
    ignored: bool = False
    keys: dict[int, Box] = field(default_factory=dict)


def key_frames(labelled: Sequence[int], every: int) -> list[int]:
    """Return the labelled frames that are at least ``every`` apart, and the last one.

    Example:
        >>> key_frames(range(50), 20)
        [0, 20, 40, 49]
    """
    chosen = spaced(labelled, every)
    if chosen and chosen[-1] != labelled[-1]:
        chosen.append(labelled[-1])
    return chosen


def spaced(labelled: Sequence[int], every: int) -> list[int]:
    """Return the labelled frames that are at least ``every`` apart.

    Example:
        >>> spaced(range(50), 20)
        [0, 20, 40]
    """
    chosen: list[int] = []
    for frame in labelled:
        if not chosen or frame >= chosen[-1] + every:
            chosen.append(frame)
    return chosen


def key_tracks(video: Video, frames: Sequence[int], objects: Objects = "ids") -> list[KeyTrack]:
    """Return the objects of some labelled frames, by identity; empty boxes are passed over.

    Raises:
        UsageError: ``ids``, and the labels have none; the hint names ``linked`` and ``one``.
    """
    if objects == "linked" or (objects == "auto" and not _identified(video, frames)):
        return _of_linked(video, frames)
    found: dict[tuple[int, bool], KeyTrack] = {}
    for frame in frames:
        labels = video.labels(frame)
        for number, box, ignored in _rows(labels, objects, f"video {video.name}, frame {frame}"):
            if is_box(box) and min(visible(box, labels.size)) > 0:
                track = found.setdefault((number, ignored), KeyTrack(number, ignored))
                track.keys[frame] = box
    return [found[place] for place in sorted(found)]


def _identified(video: Video, frames: Sequence[int]) -> bool:
    """Return whether all boxes of some labelled frames have identities."""
    return all(_has_ids(video.labels(frame)) for frame in frames)


def _has_ids(labels: Labels) -> bool:
    count = -1 if labels.boxes is None else len(labels.boxes)
    return labels.ids is not None and len(labels.ids) == count and min(labels.ids, default=0) >= 0


def _of_linked(video: Video, frames: Sequence[int]) -> list[KeyTrack]:
    wanted = set(frames)
    found = [
        KeyTrack(number, ignored, {frame: box for frame, box in boxes.items() if frame in wanted})
        for (number, ignored), boxes in sorted(linked(video).items())
    ]
    return [track for track in found if track.keys]


def track_gaps(tracks: Sequence[KeyTrack], frames: Sequence[int]) -> list[Gap]:
    """Return the gaps of objects whose boxes are known on ``frames``, ascending.

    ``Gap.track`` is the place in ``tracks``. Where an object is on one of two neighbouring frames
    only, it is taken to come or go half way: the expected error is least.
    """
    found = []
    for number, track in enumerate(tracks):
        for first, last in pairwise(frames):
            start, end = track.keys.get(first), track.keys.get(last)
            if start is None and end is None:
                continue
            if end is None:
                last = (first + last) // 2
            elif start is None:
                first = (first + last + 1) // 2
            if last - first > (start is not None and end is not None):
                found.append(Gap(number, first, last, start, end))
    return found


def _rows(labels: Labels, objects: Objects, where: str) -> Iterator[tuple[int, Box, bool]]:
    """Yield identity, box and whether it is ignored."""
    if objects == "one":
        box = around(labels)
        if box is not None:
            yield 1, box, False
        return
    if not _has_ids(labels):
        kind = "a mask" if labels.boxes is None else "boxes"
        raise UsageError(
            f"{kind} without identities: which object is which in the next frame is not known",
            where=where,
            hint="objects=linked links what overlaps from one labelled frame to the next; "
            "objects=one takes the box around all foreground as one object",
        )
    assert labels.boxes is not None
    assert labels.ids is not None
    ignored = np.zeros(len(labels.ids), bool) if labels.ignored is None else labels.ignored
    rows = zip(labels.ids, labels.boxes, ignored, strict=True)
    for number, (left, top, width, height), void in rows:
        box = float(left) - labels.origin, float(top) - labels.origin, float(width), float(height)
        yield int(number), box, bool(void)


def around(labels: Labels) -> Box | None:
    """Return the box around all foreground of a frame; None where there is none.

    Of a mask, bits that would get no box of their own are left out
    (:func:`vidseg.labels.boxes.parts`).
    """
    if labels.mask is not None:
        kept = parts(labels.mask == FOREGROUND, SMALLEST_PART)
    elif labels.boxes is None:
        return None
    else:
        boxes = labels.boxes if labels.ignored is None else labels.boxes[~labels.ignored]
        kept = boxes - (labels.origin, labels.origin, 0, 0)
    if not len(kept):
        return None
    low, high = kept[:, :2].min(0), (kept[:, :2] + kept[:, 2:]).max(0)
    wide, tall = high - low
    return float(low[0]), float(low[1]), float(wide), float(tall)
