"""Boxes that are made of a video's frames and some of its labels: once, then remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from threading import Lock
from typing import Any

import numpy as np

from vidseg.datasets.base import BoxLabels, VideoBoxes, no_boxes
from vidseg.labels.effort import Effort
from vidseg.types import Memory, Video
from vidseg.utils.progress import ProgressBar, Quiet
from vidseg.utils.stop import check_stop

DIGITS = 2
"""Decimals of a pixel that are kept."""

Rows = list[list[float]]
"""Frame, track, ignored and box of every box, by frame."""


class MadeBoxes(ABC):
    """The boxes of one video; a :class:`vidseg.labels.base.VideoLabels`.

    Args:
        video: the video.
        how: what a subclass takes beside it; can be pickled.
    """

    def __init__(self, video: Video, *how: Any) -> None:
        self.video = video
        self._given = video, *how
        self._memory: Memory | None = None
        self._lock = Lock()
        self._boxes: VideoBoxes | None = None
        self._effort: Effort | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the boxes, so that other processes need not make them."""
        return _restored, (type(self), self._given, self._boxes, self._effort)

    def remember(self, memory: Memory) -> None:
        """Keep the boxes in ``memory`` from one process to the next."""
        self._memory = memory

    @property
    @abstractmethod
    def key(self) -> str:
        """Hash of the labels and frames that it is made of, and of how."""

    @abstractmethod
    def make(self, bar: ProgressBar, stop: Callable[[], None]) -> tuple[Rows, Effort]:
        """Return the boxes, sorted, and what a human does for them."""

    def steps(self) -> int:
        """Return how often ``make`` advances its bar."""
        return 1

    def labels(self, index: int) -> BoxLabels:
        """Return the boxes of a frame; makes those of the whole video the first time."""
        return self._made(Quiet(), check_stop).at(index, self.video.probe().size, 0.0)

    def effort(self, indices: Sequence[int]) -> Effort:
        """Return what a human does for the boxes, of all frames at once."""
        self._made(Quiet(), check_stop)
        assert self._effort is not None
        return self._effort

    def prepare(self, indices: Sequence[int], task: ProgressBar, stop: Callable[[], None]) -> None:
        """Make the boxes, if that was not done before.

        Args:
            indices: frames that are wanted; those of the whole video are made all the same.
            task: advanced by one for each of them.
            stop: raises when the user asked to stop.
        """
        self._made(_Shares(task, len(indices), self.steps), stop)

    def _made(self, bar: ProgressBar, stop: Callable[[], None]) -> VideoBoxes:
        with self._lock:
            if self._boxes is None:
                name = f"made {self.key}"
                kept = None if self._memory is None else self._memory.get(name)
                if kept is None:
                    rows, effort = self.make(bar, stop)
                    if self._memory is not None:
                        self._memory.put(name, {"rows": rows, **asdict(effort)})
                else:
                    effort = Effort(kept["boxes"], kept["looks"], kept.get("of_masks", False))
                    rows = kept["rows"]
                self._boxes, self._effort = _of_rows(rows), effort
            return self._boxes


class _Shares:
    """Progress of many small steps, shown as parts of a line that has its own length."""

    def __init__(self, bar: ProgressBar, length: int, steps: Callable[[], int]) -> None:
        self._bar, self._length, self._steps = bar, length, steps
        self._total = 0

    def advance(self, steps: float = 1) -> None:
        self._total = self._total or max(1, self._steps())
        self._bar.advance(steps * self._length / self._total)


def rounded(box: Sequence[float]) -> list[float]:
    """Return a box as it is kept."""
    return [round(float(side), DIGITS) for side in box]


def _of_rows(rows: Sequence[Sequence[float]]) -> VideoBoxes:
    if not rows:
        nothing = np.zeros(0, np.int64)
        return VideoBoxes(nothing, nothing, no_boxes(), np.zeros(0, bool))
    table = np.array(rows, np.float64)
    numbers = table[:, :3].astype(np.int64)
    return VideoBoxes(numbers[:, 0], numbers[:, 1], table[:, 3:], numbers[:, 2] == 1)


def _restored(
    kind: type[MadeBoxes], given: tuple[Any, ...], boxes: VideoBoxes | None, effort: Effort | None
) -> MadeBoxes:
    found = kind(*given)
    found._boxes, found._effort = boxes, effort
    return found
