"""The true boxes of the objects of a video, as the simulated annotator replays them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vidseg.errors import DataError
from vidseg.labels.key_boxes import KeyTrack, Objects, key_tracks
from vidseg.trackers.boxes import Boxes
from vidseg.types import Box, Size, Video, labelled_frames

STRAIGHT = 0.3
"""A box whose second difference is below it in every side, in pixels, lies on a straight line."""


@dataclass(frozen=True)
class TrueTrack:
    """The true boxes of one object on consecutive frames.

    Attributes:
        first: frame of the first box.
        boxes: ``float64 (n, 4)``.
    """

    first: int
    boxes: Boxes

    def __len__(self) -> int:
        return len(self.boxes)

    def box(self, frame: int) -> Box:
        """Return the box of a frame."""
        left, top, width, height = (float(side) for side in self.boxes[frame - self.first])
        return left, top, width, height


@dataclass(frozen=True)
class Truth:
    """What is replayed of one video.

    Attributes:
        video: the video.
        size: of its frames.
        tracks: all objects; one that goes and comes back is two.
    """

    video: Video
    size: Size
    tracks: Sequence[TrueTrack]

    @property
    def frames(self) -> int:
        """Boxes of the truth: frames, each counted once for every object in it."""
        return sum(map(len, self.tracks))

    @property
    def seen(self) -> list[int]:
        """The frames with an object, ascending."""
        return sorted({f for t in self.tracks for f in range(t.first, t.first + len(t))})

    @property
    def straight(self) -> tuple[int, int]:
        """How many true boxes lie on a straight line through their neighbours, and of how many."""
        bends = [np.abs(np.diff(track.boxes, 2, axis=0)).max(axis=1) for track in self.tracks]
        return sum(int((one < STRAIGHT).sum()) for one in bends), sum(map(len, bends))


def read_truth(video: Video, objects: Objects = "ids") -> Truth:
    """Return the true tracks of a video; ignored objects are left out.

    Raises:
        DataError: no object is on two consecutive labelled frames.
        UsageError: the labels have no identities.
    """
    found = true_tracks(key_tracks(video, list(labelled_frames(video)), objects))
    if not any(len(track) > 1 for track in found):
        raise DataError(
            "no object has true boxes on consecutive frames: nothing can be replayed",
            where=f"video {video.name}",
            hint="the simulated annotator needs truth on every frame",
        )
    return Truth(video, video.probe().size, found)


def true_tracks(tracks: Sequence[KeyTrack]) -> list[TrueTrack]:
    """Return the runs of consecutive frames of tracks; those of ignored ones are left out."""
    return [
        TrueTrack(run[0], np.array([track.keys[frame] for frame in run]))
        for track in tracks
        if not track.ignored
        for run in _consecutive(sorted(track.keys))
    ]


def _consecutive(frames: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for frame in frames:
        if run and frame != run[-1] + 1:
            yield run
            run = []
        run.append(frame)
    if run:
        yield run
