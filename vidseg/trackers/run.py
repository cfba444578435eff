"""Trackers over the gaps of many objects: each frame is read once, in order.

A gap is tracked forward while its frames are read, and backward from those that are still in
memory when its last one is there. Frames in memory and trackers at work are bounded: gaps that are
too long or too many wait for a further pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vidseg.errors import DataError
from vidseg.trackers.base import sure_of
from vidseg.trackers.boxes import trackable
from vidseg.trackers.gaps import Gap, Runs
from vidseg.types import Box, Image, Size, Tracker
from vidseg.utils.progress import ProgressBar, Quiet
from vidseg.utils.stop import check_stop

Frames = Callable[[Sequence[int]], Iterator[Image]]
"""Yields the frames of ascending indices, such as ``video.frames``."""

MEMORY = 512 * 2**20
"""Bytes of frames in memory."""
AT_ONCE = 256
"""Objects followed at the same time; dlib keeps 2 to 3 MB for each."""


def run_gaps(
    frames: Frames,
    gaps: Iterable[Gap],
    tracker: Callable[[], Tracker],
    size: Size,
    *,
    bar: ProgressBar | None = None,
    stop: Callable[[], None] = check_stop,
    memory: int = MEMORY,
    at_once: int = AT_ONCE,
) -> Iterator[tuple[Gap, Runs]]:
    """Yield each gap with its two runs as soon as they are finished.

    Args:
        frames: of the video.
        gaps: of any objects, in any order.
        tracker: makes one for an object.
        size: of the frames.
        bar: advanced by one for each frame of each gap and direction, see :func:`updates`.
        stop: raises when the user asked to stop.
        memory: bytes of frames that may be held.
        at_once: objects that may be followed at the same time.

    Raises:
        DataError: a frame cannot be read, or the video ends before the last gap.
    """
    held = max(2, memory // (3 * size.height * size.width))
    work = _Work(frames, tracker, size, bar or Quiet(), stop)
    waiting = sorted(gaps, key=lambda gap: (gap.first, gap.last, gap.track))
    long = [gap for gap in waiting if len(gap) > held]
    waiting = [gap for gap in waiting if len(gap) <= held]
    while waiting:
        taken, waiting = _one_pass(waiting, at_once)
        yield from work.sweep(taken)
    for at in range(0, len(long), at_once):
        yield from work.by_parts(long[at : at + at_once], held)


def updates(gaps: Iterable[Gap]) -> int:
    """Return how many steps of progress the gaps are."""
    return sum(2 * (len(gap) - 1) for gap in gaps)


def _one_pass(gaps: Sequence[Gap], at_once: int) -> tuple[list[Gap], list[Gap]]:
    """Divide gaps, sorted by their first frame, in those of the next pass and the rest."""
    taken: list[Gap] = []
    rest: list[Gap] = []
    active: list[int] = []
    for gap in gaps:
        active = [last for last in active if last > gap.first]
        if len(active) < at_once:
            active.append(gap.last)
            taken.append(gap)
        else:
            rest.append(gap)
    return taken, rest


class _Pair:
    """The two runs of a gap while they are made."""

    def __init__(self, gap: Gap, tracker: Callable[[], Tracker], size: Size) -> None:
        self.gap, self._make, self._size = gap, tracker, size
        self._boxes = np.zeros((2, len(gap), 4))
        self._confidence = np.zeros((2, len(gap)))
        self._trackers: list[Tracker | None] = [None, None]

    @property
    def runs(self) -> Runs:
        return Runs(self._boxes[0], self._boxes[1], self._confidence)

    def begin(self, way: int, image: Image) -> None:
        """Start the run ``way`` (0 forward, 1 backward) on the gap's first or last frame."""
        known = self.gap.end if way else self.gap.start
        row = -1 if way else 0
        other = self._boxes[1 - way, row]
        box: Box = known or (float(other[0]), float(other[1]), float(other[2]), float(other[3]))
        self._boxes[way, row] = box
        self._trackers[way] = None
        if trackable(box, self._size):
            self._trackers[way] = follower = self._make()
            follower.start(image, box)

    def step(self, way: int, frame: int, image: Image) -> None:
        """Go on to ``frame``; a box that no tracker can follow stays where it is."""
        row = frame - self.gap.first
        follower = self._trackers[way]
        if follower is None:
            self._boxes[way, row] = self._boxes[way, row + (1 if way else -1)]
            return
        self._boxes[way, row], confidence = follower.update(image)
        self._confidence[way, row] = confidence / sure_of(follower)

    def end(self, way: int) -> None:
        """Let the tracker go."""
        self._trackers[way] = None


@dataclass
class _Work:
    frames: Frames
    tracker: Callable[[], Tracker]
    size: Size
    bar: ProgressBar
    stop: Callable[[], None]

    def sweep(self, gaps: Sequence[Gap]) -> Iterator[tuple[Gap, Runs]]:
        """Read the frames once; hold those of the gaps that are not finished."""
        begins = defaultdict(list)
        for gap in gaps:
            begins[gap.first].append(gap)
        active: list[_Pair] = []
        held: dict[int, Image] = {}
        for frame, image in self._read(gaps):
            held[frame] = image
            for pair in active:
                self._forward(pair, frame, image)
            for gap in begins[frame]:
                active.append(pair := self._pair(gap))
                if gap.start is not None:
                    pair.begin(0, image)
            for pair in [one for one in active if one.gap.last == frame]:
                self._back(pair, held)
                yield pair.gap, pair.runs
            active = [one for one in active if one.gap.last > frame]
            oldest = min((one.gap.first for one in active), default=frame)
            held = {index: kept for index, kept in held.items() if index >= oldest}

    def by_parts(self, gaps: Sequence[Gap], held: int) -> Iterator[tuple[Gap, Runs]]:
        """Track gaps that are longer than what is held: backward part by part."""
        pairs = [self._pair(gap) for gap in gaps]
        self._onward([pair for pair in pairs if pair.gap.start is not None])
        low, high = min(gap.first for gap in gaps), max(gap.last for gap in gaps)
        for top in range(high, low - 1, -held):
            part = range(max(low, top - held + 1), top + 1)
            images = dict(zip(part, self._images(part), strict=False))
            for frame in reversed(part):
                for pair in pairs:
                    self._backward(pair, frame, images[frame])
        self._onward([pair for pair in pairs if pair.gap.start is None])
        yield from ((pair.gap, pair.runs) for pair in pairs)

    def _onward(self, pairs: Sequence[_Pair]) -> None:
        for frame, image in self._read([pair.gap for pair in pairs]):
            for pair in pairs:
                if pair.gap.first == frame:
                    pair.begin(0, image)
                elif pair.gap.first < frame <= pair.gap.last:
                    self._step(pair, 0, frame, image)

    def _forward(self, pair: _Pair, frame: int, image: Image) -> None:
        if pair.gap.start is not None:
            self._step(pair, 0, frame, image)

    def _back(self, pair: _Pair, held: dict[int, Image]) -> None:
        """Track a gap backward, and forward where it began without a box."""
        gap = pair.gap
        for frame in range(gap.last, gap.first - 1, -1):
            self._backward(pair, frame, held[frame])
        if gap.start is None:
            pair.begin(0, held[gap.first])
            for frame in range(gap.first + 1, gap.last + 1):
                self._step(pair, 0, frame, held[frame])

    def _backward(self, pair: _Pair, frame: int, image: Image) -> None:
        if frame == pair.gap.last:
            pair.begin(1, image)
        elif pair.gap.first <= frame < pair.gap.last:
            self._step(pair, 1, frame, image)

    def _step(self, pair: _Pair, way: int, frame: int, image: Image) -> None:
        self.stop()
        pair.step(way, frame, image)
        self.bar.advance()
        if frame == (pair.gap.first if way else pair.gap.last):
            pair.end(way)

    def _pair(self, gap: Gap) -> _Pair:
        return _Pair(gap, self.tracker, self.size)

    def _read(self, gaps: Sequence[Gap]) -> Iterator[tuple[int, Image]]:
        """Yield the frames of any of the gaps, ascending."""
        wanted = sorted({frame for gap in gaps for frame in range(gap.first, gap.last + 1)})
        yield from zip(wanted, self._images(wanted), strict=False)

    def _images(self, wanted: Sequence[int]) -> Iterator[Image]:
        count = 0
        for image in self.frames(wanted):
            if Size(*image.shape[:2]) != self.size:
                raise DataError(f"is {Size(*image.shape[:2])}, not {self.size}", where="a frame")
            count += 1
            yield image
        if count < len(wanted):
            raise DataError(f"the video ends before frame {wanted[count]}")
