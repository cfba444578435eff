"""The simulated annotator: ground truth replayed as the human, and every box counted.

Two ways of working. *Forward* (the paper's): the human watches a tracker and draws a new box where
it fails. *Key boxes*: boxes every so many frames and on the last, the frames between are filled,
and the worst frame of each gap is mended until none is left; the human finds it by looking at
every frame (``truth``), or looks where the doubt asks (``doubt``); or nobody looks (``nobody``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidseg.labels.true_tracks import TrueTrack, Truth
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.boxes import Boxes, iou, trackable
from vidseg.trackers.fill import DOUBTFUL, Filled, Method, fill
from vidseg.trackers.gaps import Gap, Runs
from vidseg.trackers.run import run_gaps, updates
from vidseg.types import Box, Image, Size, Tracker
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop

Ask = Literal["truth", "doubt", "nobody"]


@dataclass(frozen=True)
class Rules:
    """How the annotator works.

    Attributes:
        threshold: a box is wrong when its IoU with the truth is below it.
        every: frames from one key box to the next, at first.
        doubt: where the doubt asks, it asks above this.
    """

    threshold: float = 0.5
    every: int = 40
    doubt: float = DOUBTFUL


@dataclass
class Tally:
    """What one way of working cost, and what resulted.

    Attributes:
        frames: boxes of the truth.
        objects: tracks of the truth.
        drawn: boxes that the human drew.
        looks: boxes that the human looked at.
        overlap: sum of the IoU of all resulting boxes with the truth; drawn ones have 1.
        wrong: resulting boxes below the threshold.
    """

    frames: int = 0
    objects: int = 0
    drawn: int = 0
    looks: int = 0
    overlap: float = 0.0
    wrong: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.frames + other.frames,
            self.objects + other.objects,
            self.drawn + other.drawn,
            self.looks + other.looks,
            self.overlap + other.overlap,
            self.wrong + other.wrong,
        )


@dataclass
class Made:
    """What a replay leaves behind.

    Attributes:
        boxes: of each track of the truth, ``float64 (n, 4)`` on the frames of the truth.
        looked: frames that the human looked at.
    """

    boxes: list[Boxes] = field(default_factory=list)
    looked: set[int] = field(default_factory=set)

    def begin(self, truth: Truth) -> None:
        """Start with the true boxes: those that are drawn stay."""
        self.boxes = [track.boxes.copy() for track in truth.tracks]

    def fill(self, truth: Truth, gap: Gap, boxes: Boxes) -> None:
        """Take what fills a gap, ``float64 (m, 4)`` on ``gap.frames``."""
        first = truth.tracks[gap.track].first
        self.boxes[gap.track][[frame - first for frame in gap.frames]] = boxes


@dataclass
class KnownRuns:
    """Runs of gaps that were tracked before, so that methods share them."""

    held: dict[Gap, Runs] = field(default_factory=dict)


def replay_forward(
    truth: Truth,
    tracker: TrackerSource,
    rules: Rules,
    progress: Progress,
    made: Made | None = None,
) -> Tally:
    """Return what the paper's way costs: track, and draw a box where the tracker fails.

    Args:
        truth: what is replayed.
        tracker: follows the objects.
        rules: how the annotator works.
        progress: where to tell how far it is.
        made: takes what results.
    """
    tally = Tally(truth.frames, len(truth.tracks), looks=truth.frames)
    starts: dict[int, list[_Follower]] = {}
    for number, track in enumerate(truth.tracks):
        starts.setdefault(track.first, []).append(_Follower(number, track, tracker, truth.size))
    active: list[_Follower] = []
    wanted = truth.seen
    if made is not None:
        made.begin(truth)
        made.looked.update(wanted)
    with progress.task(f"{truth.video.name}: forward", len(wanted)) as bar:
        for frame, image in zip(wanted, truth.video.frames(wanted), strict=True):
            check_stop()
            active += starts.get(frame, [])
            for one in active:
                overlap = one.overlap(frame, image)
                if overlap < rules.threshold:
                    one.draw(frame, image)
                    tally.drawn += 1
                    overlap = 1.0
                tally.overlap += overlap
                if made is not None:
                    made.boxes[one.number][frame - one.track.first] = one.box
            active = [one for one in active if frame + 1 < one.track.first + len(one.track)]
            bar.advance()
    return tally


class _Follower:
    """One object that is tracked forward."""

    def __init__(
        self, number: int, track: TrueTrack, tracker: Callable[[], Tracker], size: Size
    ) -> None:
        self.number, self.track, self._make, self._size = number, track, tracker, size
        self._tracker: Tracker | None = None
        self.box: Box | None = None

    def overlap(self, frame: int, image: Image) -> float:
        """Return the IoU of the tracked box with the truth; below 0 before the first box."""
        if self.box is None:
            return -1.0
        if self._tracker is not None:
            self.box = self._tracker.update(image)[0]
        return float(iou(np.array(self.box), np.array(self.track.box(frame))))

    def draw(self, frame: int, image: Image) -> None:
        """Begin anew with the true box."""
        self.box, self._tracker = self.track.box(frame), None
        if trackable(self.box, self._size):
            self._tracker = self._make()
            self._tracker.start(image, self.box)


def replay_keys(
    truth: Truth,
    tracker: TrackerSource,
    method: Method,
    ask: Ask,
    rules: Rules,
    progress: Progress,
    known: KnownRuns | None = None,
    made: Made | None = None,
) -> Tally:
    """Return what key boxes and mended gaps cost.

    With ``doubt`` the human looks at the frame of a gap that is most in doubt, draws a box where it
    is wrong, and leaves the gap where it is right.

    Args:
        truth: what is replayed.
        tracker: makes the runs; ``linear`` asked by ``truth`` needs none.
        method: how gaps are filled.
        ask: who finds the frame to mend.
        rules: how the annotator works.
        progress: where to tell how far it is.
        known: shared by calls with one tracker and truth.
        made: takes what results.
    """
    tally = Tally(truth.frames, len(truth.tracks), looks=truth.frames if ask == "truth" else 0)
    waiting, tally.drawn = first_gaps(truth, rules.every)
    tally.overlap += tally.drawn
    tally.looks += 0 if ask == "truth" else tally.drawn
    known = known or KnownRuns()
    if made is not None:
        made.begin(truth)
        keys = {frame for track in truth.tracks for frame in first_keys(track, rules.every)}
        made.looked.update(truth.seen if ask == "truth" else keys)
    title = f"{truth.video.name}: {method}, asked by {ask}"
    while waiting:
        then: list[Gap] = []
        tracked = method != "linear" or ask == "doubt"
        for gap, runs in _runs(
            truth, waiting, tracker if tracked else None, known, title, progress
        ):
            then += _mended(truth, gap, fill(gap, runs, method), ask, rules, tally, made)
        waiting = then
    return tally


def first_gaps(truth: Truth, every: int) -> tuple[list[Gap], int]:
    """Return the gaps between key boxes, and how many boxes were drawn for them."""
    gaps, drawn = [], 0
    for number, track in enumerate(truth.tracks):
        frames = first_keys(track, every)
        drawn += len(frames)
        gaps += [
            Gap(number, a, b, track.box(a), track.box(b)) for a, b in pairwise(frames) if b - a > 1
        ]
    return gaps, drawn


def first_keys(track: TrueTrack, every: int) -> list[int]:
    """Return the frames of an object's first key boxes: ``every`` frames apart, and its last."""
    last = track.first + len(track) - 1
    return sorted({*range(track.first, last, every), last})


def _mended(
    truth: Truth,
    gap: Gap,
    filled: Filled,
    ask: Ask,
    rules: Rules,
    tally: Tally,
    made: Made | None,
) -> list[Gap]:
    """Count a gap whose boxes stay, or draw its worst one; return what is to be filled then."""
    track = truth.tracks[gap.track]
    rows = slice(gap.first - track.first, gap.last + 1 - track.first)
    overlaps = iou(filled.boxes, track.boxes[rows])
    row = _asked(overlaps, filled.doubt, ask, rules)
    if ask == "doubt" and row is not None:
        tally.looks += 1
        if made is not None:
            made.looked.add(gap.first + row)
    if row is None or overlaps[row] >= rules.threshold:
        tally.overlap += float(overlaps[gap.filled].sum())
        tally.wrong += int((overlaps[gap.filled] < rules.threshold).sum())
        if made is not None:
            made.fill(truth, gap, filled.boxes[gap.filled])
        return []
    frame = gap.first + row
    box = track.box(frame)
    tally.drawn += 1
    tally.overlap += 1.0
    halves = (
        Gap(gap.track, gap.first, frame, gap.start, box),
        Gap(gap.track, frame, gap.last, box, gap.end),
    )
    return [half for half in halves if len(half) > 2]


def _asked(
    overlaps: npt.NDArray[np.float64], doubt: npt.NDArray[np.float64], ask: Ask, rules: Rules
) -> int | None:
    """Return the row that the human looks at next; None where nothing asks."""
    if ask == "nobody":
        return None
    if ask == "truth":
        return int(overlaps[1:-1].argmin()) + 1
    row = int(doubt[1:-1].argmax()) + 1
    return row if doubt[row] > rules.doubt else None


def _runs(
    truth: Truth,
    gaps: Sequence[Gap],
    tracker: TrackerSource | None,
    known: KnownRuns,
    title: str,
    progress: Progress,
) -> Iterator[tuple[Gap, Runs | None]]:
    if tracker is None:
        yield from ((gap, None) for gap in gaps)
        return
    new = [gap for gap in gaps if gap not in known.held]
    if new:
        with progress.task(title, updates(new)) as bar:
            known.held.update(run_gaps(truth.video.frames, new, tracker, truth.size, bar=bar))
    yield from ((gap, known.held[gap]) for gap in gaps)


def by_hand(truth: Truth, rules: Rules) -> Mapping[str, Tally]:
    """Return what it costs to draw every box, and the key boxes alone."""
    frames, objects = truth.frames, len(truth.tracks)
    drawn = first_gaps(truth, rules.every)[1]
    return {
        "every frame": Tally(frames, objects, frames, frames, float(frames)),
        "key frames": Tally(frames, objects, drawn, drawn, float(drawn)),
    }
