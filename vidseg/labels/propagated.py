"""True boxes of every n-th frame, carried to the frames between by a tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.labels.effort import Effort, Price, key_frame_seconds
from vidseg.labels.key_boxes import KeyTrack, Objects, key_frames, key_tracks, track_gaps
from vidseg.labels.made_boxes import MadeBoxes, Rows, rounded
from vidseg.trackers.base import DEFAULT, TrackerSource
from vidseg.trackers.fill import Method, fill
from vidseg.trackers.gaps import Gap, Runs
from vidseg.trackers.run import run_gaps, updates
from vidseg.types import Video, labelled_frames
from vidseg.utils.hashing import digest
from vidseg.utils.progress import ProgressBar

_RULE = "propagated 3"

Seconds = Annotated[float, Field(ge=0, le=86400)]


class Propagated:
    """Train on what a tracker makes of the true boxes of some frames.

    Labels are known on every ``every``-th frame and on the last; a tracker fills the frames
    between, and nobody looks at them. An object that is on one of two such frames only is taken to
    come or go half way.

    Args:
        every: frames from one key frame to the next; labelled frames that are nearer to each other
            are passed over. 1 takes all labelled frames.
        tracker: fills the frames between, such as lk or dsst; a spec in quotes may have parameters.
        method: auto, linear, blend or forward.
        objects: ids takes boxes of one identity as one object; linked takes boxes, or connected
            parts of masks, that overlap from one labelled frame to the next, as a human would see
            what is one; one takes the box around all foreground of a frame; auto is ids where the
            labels have them, else linked.
        budget: choose ``every`` for each video: the least with which no more seconds are spent
            than on drawing every box of every ``budget``-th frame by hand.
        seconds_per_box, seconds_per_look: for ``budget``: what a box drawn and a frame looked at
            take; 7 and 1 where they are not given.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 20,
        tracker: str = DEFAULT,
        method: Method = "auto",
        objects: Objects = "auto",
        budget: Annotated[int, Field(ge=1)] | None = None,
        seconds_per_box: Seconds | None = None,
        seconds_per_look: Seconds | None = None,
    ) -> None:
        self._every, self._method, self._objects = every, method, objects
        self._tracker = TrackerSource.of(tracker, where="train_labels tracker")
        self._budget, self._price = budget, Price.of(seconds_per_box, seconds_per_look)

    def of(self, video: Video) -> PropagatedLabels:
        """Return the labels of a video; nothing is tracked before it is needed."""
        every = self._every
        if self._budget is not None:
            every = affordable(video, self._budget, self._price, self._objects)
        return PropagatedLabels(video, every, self._tracker, self._method, self._objects)


def affordable(video: Video, budget: int, price: Price, objects: Objects) -> int:
    """Return the least distance of key frames that costs no more than drawing by hand.

    The last frame is a key frame as well, which by hand it need not be.

    Args:
        video: the video.
        budget: distance of the frames whose boxes are drawn by hand.
        price: what a box and a look take.
        objects: what an object is.
    """
    labelled, most = labelled_frames(video), key_frame_seconds(video, budget, price)
    longest = max(1, labelled[-1] - labelled[0]) if labelled else 1
    every = max(1, budget // 2)
    while every < longest:
        if price.seconds(_drawn(video, key_frames(labelled, every), objects)) <= most:
            break
        every += 1
    return every


def _drawn(video: Video, keys: Sequence[int], objects: Objects) -> Effort:
    tracks = key_tracks(video, keys, objects)
    drawn = sum(len(track.keys) for track in tracks if not track.ignored)
    return Effort(drawn, len(keys), bool(keys) and video.labels(keys[0]).boxes is None)


class PropagatedLabels(MadeBoxes):
    """The propagated boxes of one video; a :class:`vidseg.labels.base.VideoLabels`."""

    def __init__(
        self, video: Video, every: int, tracker: TrackerSource, method: Method, objects: Objects
    ) -> None:
        super().__init__(video, every, tracker, method, objects)
        self.every, self._tracker, self._method, self._objects = every, tracker, method, objects

    @cached_property
    def key(self) -> str:
        """Hash of the labels and frames that it is made of, and of how."""
        made = "linear" if self._method == "linear" else self._tracker.key
        keys = self.video.label_key, self.video.image_key
        return digest([_RULE, *keys, self.every, made, self._method, self._objects])

    @cached_property
    def _keys(self) -> list[int]:
        return key_frames(labelled_frames(self.video), self.every)

    def labelled(self) -> Sequence[int]:
        """Return the frames from the first key frame to the last."""
        return range(self._keys[0], self._keys[-1] + 1) if self._keys else ()

    def effort(self, indices: Sequence[int]) -> Effort:
        """Return the boxes of the key frames, and the key frames: nobody looks at the others."""
        return _drawn(self.video, self._keys, self._objects)

    def steps(self) -> int:
        """Return how often a tracker is asked."""
        return updates(track_gaps(self._tracks, self._keys))

    @cached_property
    def _tracks(self) -> list[KeyTrack]:
        return key_tracks(self.video, self._keys, self._objects)

    def make(self, bar: ProgressBar, stop: Callable[[], None]) -> tuple[Rows, Effort]:
        """Return every known and propagated box."""
        gaps = track_gaps(self._tracks, self._keys)
        found: list[tuple[Gap, Runs | None]] = [(gap, None) for gap in gaps]
        if self._method != "linear":
            size = self.video.probe().size
            found = list(run_gaps(self.video.frames, gaps, self._tracker, size, bar=bar, stop=stop))
        rows = [
            [frame, track.id, track.ignored, *rounded(box)]
            for track in self._tracks
            for frame, box in track.keys.items()
        ]
        for gap, runs in found:
            track, boxes = self._tracks[gap.track], fill(gap, runs, self._method).boxes[gap.filled]
            for frame, box in zip(gap.frames, boxes, strict=True):
                rows.append([frame, track.id, track.ignored, *rounded(box)])
        return sorted(rows), self.effort(())
