"""A simulated annotator on a whole data set: every way of working, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from functools import cache
from typing import Any

from vidseg.labels.key_boxes import Objects
from vidseg.labels.replay import Ask, KnownRuns, Rules, Tally, by_hand, replay_forward, replay_keys
from vidseg.labels.true_tracks import Truth, read_truth
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.fill import Method
from vidseg.types import Memory, Video
from vidseg.utils.hashing import digest
from vidseg.utils.progress import Progress
from vidseg.utils.sources import closure, locate

Row = dict[str, Any]

ASKS: tuple[Ask, ...] = ("truth", "doubt")


@dataclass(frozen=True)
class Simulation:
    """What every way of working cost and gave.

    Attributes:
        settings: data set, tracker, methods and rules.
        rows: one for each way: ``way``, ``ask`` (who finds what is to be mended), ``drawn``,
            ``boxes_per_100`` frames, ``boxes_per_object``, ``looks_per_100``, ``iou`` of what
            results, ``wrong_share`` of boxes below the threshold.
        per_video: the same for each video, with ``video``.
        straight: share of the true boxes that lie on a straight line through their neighbours.
    """

    settings: Row
    rows: list[Row]
    per_video: list[Row] = field(repr=False)
    straight: float

    def to_dict(self) -> Row:
        """Return all of it as plain data; :mod:`vidseg.report` can read it."""
        return {
            "format": "vidseg simulated annotator",
            "version": 1,
            "settings": self.settings,
            "straight_share": self.straight,
            "rows": self.rows,
            "per_video": self.per_video,
        }


def simulate(
    videos: Sequence[Video],
    tracker: TrackerSource,
    methods: Sequence[Method],
    rules: Rules,
    objects: Objects,
    progress: Progress,
    memory: Memory | None = None,
) -> Simulation:
    """Replay the truth of videos in every way of working.

    Args:
        videos: with true boxes on consecutive frames.
        tracker: makes trackers.
        methods: ``forward`` is the paper's way; the others fill gaps between key boxes.
        rules: how the annotator works.
        objects: what an object is.
        progress: where to tell how far it is.
        memory: keeps what each way of working came to on each video, so that a simulation that was
            stopped goes on; a way whose video, tracker, rules or code changed is replayed again.

    Raises:
        VidsegError: the truth cannot be replayed, or a frame cannot be read.
    """
    totals: dict[tuple[str, str], Tally] = {}
    per_video: list[Row] = []
    straight = bends = 0
    replays = _Replays(tracker, rules, objects, progress, memory)
    for video in videos:
        truth = read_truth(video, objects)
        found, of = truth.straight
        straight, bends = straight + found, bends + of
        for way, tally in replays.ways(truth, methods):
            totals[way] = totals.get(way, Tally()) + tally
            per_video.append({"video": video.name, **_row(way, tally)})
    settings = {
        "tracker": str(tracker.spec),
        "methods": list(methods),
        "threshold": rules.threshold,
        "every": rules.every,
        "doubt": rules.doubt,
        "objects": objects,
    }
    rows = [_row(way, tally) for way, tally in totals.items()]
    return Simulation(settings, rows, per_video, straight / bends if bends else float("nan"))


@dataclass(frozen=True)
class _Replays:
    """Replays ways of working, or reads what they came to; attributes as for :func:`simulate`."""

    tracker: TrackerSource
    rules: Rules
    objects: Objects
    progress: Progress
    memory: Memory | None

    def ways(
        self, truth: Truth, methods: Sequence[Method]
    ) -> Iterator[tuple[tuple[str, str], Tally]]:
        """Yield way and ask of each way of working on one video, and what it came to."""
        tracker, rules, progress = self.tracker, self.rules, self.progress
        for name, tally in by_hand(truth, rules).items():
            yield (name, "by hand"), tally
        known = KnownRuns()
        for method in methods:
            if method == "forward":
                way = (method, "truth")
                yield (
                    way,
                    self._kept(truth, way, lambda: replay_forward(truth, tracker, rules, progress)),
                )
                continue
            for ask in ASKS:

                def replayed(method: Method = method, ask: Ask = ask) -> Tally:
                    return replay_keys(truth, tracker, method, ask, rules, progress, known)

                yield (method, ask), self._kept(truth, (method, ask), replayed)

    def _kept(self, truth: Truth, way: tuple[str, str], replay: Callable[[], Tally]) -> Tally:
        """Return what one way came to on one video, replayed where that is not known."""
        if self.memory is None:
            return replay()
        video = truth.video
        content = [video.image_key, video.label_key, self.tracker.key, self.objects, *way]
        key = f"simulated annotator {digest([*content, astuple(self.rules), _code()])}"
        held = self.memory.get(key)
        if held is not None:
            return Tally(**held)
        tally = replay()
        self.memory.put(key, asdict(tally))
        return tally


@cache
def _code() -> str:
    module, package = locate("vidseg.labels.replay")
    return digest(closure(module, {package}))


def _row(way: tuple[str, str], tally: Tally) -> Row:
    filled = tally.drawn if way[0] == "key frames" else tally.frames
    return {
        "way": way[0],
        "ask": way[1],
        "frames": tally.frames,
        "objects": tally.objects,
        "labelled": filled,
        "drawn": tally.drawn,
        "boxes_per_100": 100 * tally.drawn / tally.frames,
        "boxes_per_object": tally.drawn / tally.objects,
        "looks_per_100": 100 * tally.looks / tally.frames,
        "iou": tally.overlap / filled,
        "wrong_share": tally.wrong / filled,
    }
