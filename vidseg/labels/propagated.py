"""True boxes of every n-th frame, carried to the frames between by a tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from vidseg.datasets.base import BoxLabels, VideoBoxes, no_boxes
from vidseg.labels.key_boxes import KeyTrack, Objects, key_frames, key_tracks, track_gaps
from vidseg.trackers.base import DEFAULT, TrackerSource
from vidseg.trackers.fill import Method, fill
from vidseg.trackers.gaps import Gap, Runs
from vidseg.trackers.run import run_gaps, updates
from vidseg.types import Memory, Video, labelled_frames
from vidseg.utils.hashing import digest
from vidseg.utils.progress import ProgressBar, Quiet
from vidseg.utils.stop import check_stop

_RULE = "propagated 1"
DIGITS = 2
"""Decimals of a pixel that are kept."""


class Propagated:
    """Train on what a tracker makes of the true boxes of some frames.

    Labels are known on every ``every``-th frame and on the last; a tracker fills the frames
    between. An object that is on one of two such frames only is taken to come or go half way.

    Args:
        every: frames from one key frame to the next; labelled frames that are nearer to each other
            are passed over. 1 takes all labelled frames.
        tracker: fills the frames between, such as lk or dsst; a spec in quotes may have parameters.
        method: auto, linear, blend or forward.
        objects: ids takes boxes of one identity as one object; one takes the box around all
            foreground of a frame, for masks of a single object.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 20,
        tracker: str = DEFAULT,
        method: Method = "auto",
        objects: Objects = "ids",
    ) -> None:
        self._every, self._method, self._objects = every, method, objects
        self._tracker = TrackerSource.of(tracker, where="train_labels tracker")

    def of(self, video: Video) -> PropagatedLabels:
        """Return the labels of a video; nothing is tracked before it is needed."""
        return PropagatedLabels(video, self._every, self._tracker, self._method, self._objects)


class PropagatedLabels:
    """The propagated boxes of one video; a :class:`vidseg.labels.base.VideoLabels`."""

    def __init__(
        self, video: Video, every: int, tracker: TrackerSource, method: Method, objects: Objects
    ) -> None:
        self._given = video, every, tracker, method, objects
        self._memory: Memory | None = None
        self._lock = Lock()
        self._boxes: VideoBoxes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the boxes, so that other processes need not track."""
        return _restored, (self._given, self._boxes)

    def remember(self, memory: Memory) -> None:
        """Keep the boxes in ``memory`` from one process to the next."""
        self._memory = memory

    @cached_property
    def key(self) -> str:
        """Hash of the labels and frames that it is made of, and of how."""
        video, every, tracker, method, objects = self._given
        made = "linear" if method == "linear" else tracker.key
        return digest([_RULE, video.label_key, video.image_key, every, made, method, objects])

    @cached_property
    def _keys(self) -> list[int]:
        video, every, *_ = self._given
        return key_frames(labelled_frames(video), every)

    def labelled(self) -> Sequence[int]:
        """Return the frames from the first key frame to the last."""
        return range(self._keys[0], self._keys[-1] + 1) if self._keys else ()

    def labels(self, index: int) -> BoxLabels:
        """Return the boxes of a frame; tracks the whole video the first time."""
        video = self._given[0]
        return self._made(Quiet(), check_stop).at(index, video.probe().size, 0.0)

    def prepare(self, indices: Sequence[int], task: ProgressBar, stop: Callable[[], None]) -> None:
        """Track the video, if that was not done before.

        Args:
            indices: frames that are wanted; the whole video is tracked all the same.
            task: advanced by one for each of them.
            stop: raises when the user asked to stop.
        """
        self._made(_Shares(task, len(indices), self._steps), stop)

    def _steps(self) -> int:
        return updates(track_gaps(self._tracks, self._keys))

    @cached_property
    def _tracks(self) -> list[KeyTrack]:
        video, _, _, _, objects = self._given
        return key_tracks(video, self._keys, objects)

    def _made(self, bar: ProgressBar, stop: Callable[[], None]) -> VideoBoxes:
        with self._lock:
            if self._boxes is None:
                name = f"boxes {self.key}"
                kept = None if self._memory is None else self._memory.get(name)
                rows = self._rows(bar, stop) if kept is None else kept
                if kept is None and self._memory is not None:
                    self._memory.put(name, rows)
                self._boxes = _of_rows(rows)
            return self._boxes

    def _rows(self, bar: ProgressBar, stop: Callable[[], None]) -> list[list[float]]:
        """Return frame, track, ignored and box of every known and propagated box, by frame."""
        video, _, tracker, method, _ = self._given
        gaps = track_gaps(self._tracks, self._keys)
        found: list[tuple[Gap, Runs | None]] = [(gap, None) for gap in gaps]
        if method != "linear":
            size = video.probe().size
            found = list(run_gaps(video.frames, gaps, tracker, size, bar=bar, stop=stop))
        rows = [
            [frame, track.id, track.ignored, *_rounded(box)]
            for track in self._tracks
            for frame, box in track.keys.items()
        ]
        for gap, runs in found:
            track, boxes = self._tracks[gap.track], fill(gap, runs, method).boxes[gap.filled]
            for frame, box in zip(gap.frames, boxes, strict=True):
                rows.append([frame, track.id, track.ignored, *_rounded(box)])
        return sorted(rows)


class _Shares:
    """Progress of many small steps, shown as parts of a line that has its own length."""

    def __init__(self, bar: ProgressBar, length: int, steps: Callable[[], int]) -> None:
        self._bar, self._length, self._steps = bar, length, steps
        self._total = 0

    def advance(self, steps: float = 1) -> None:
        self._total = self._total or max(1, self._steps())
        self._bar.advance(steps * self._length / self._total)


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(float(side), DIGITS) for side in box]


def _of_rows(rows: Sequence[Sequence[float]]) -> VideoBoxes:
    if not rows:
        nothing = np.zeros(0, np.int64)
        return VideoBoxes(nothing, nothing, no_boxes(), np.zeros(0, bool))
    table = np.array(rows, np.float64)
    numbers = table[:, :3].astype(np.int64)
    return VideoBoxes(numbers[:, 0], numbers[:, 1], table[:, 3:], numbers[:, 2] == 1)


def _restored(given: tuple[Any, ...], boxes: VideoBoxes | None) -> PropagatedLabels:
    found = PropagatedLabels(*given)
    found._boxes = boxes
    return found
