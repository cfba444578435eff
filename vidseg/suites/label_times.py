"""What training labels take that are made: by a tracker, by grabCut, by a model of some frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vidseg.errors import Stopped
from vidseg.experiment.training_labels import TrainingLabels
from vidseg.suites.cells import Cell
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.worker import reraise_fatal
from vidseg.utils.stop import check_stop
from vidseg.utils.stopwatch import Stopwatch

LONG = 1.5
"""Seconds after which a trial ends."""
MASKS = 3
"""Frames whose masks are timed where the labels of a video are made."""


@dataclass
class Order:
    """The labels of one video that cells wait for.

    Attributes:
        labels: the labels.
        frames: whose labels are wanted.
    """

    labels: TrainingLabels
    frames: set[int] = field(default_factory=set)

    @property
    def indices(self) -> list[int]:
        """The frames, ascending."""
        return sorted(self.frames)


class _Enough(Stopped):
    """A trial has taken long enough."""


@dataclass
class _Trial:
    """Making labels for some seconds; the progress bar and the stop of that work.

    Attributes:
        watch: tells the time.
        limit: processor seconds after which it ends.
        done: steps of progress so far.
    """

    watch: Stopwatch
    limit: float
    done: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.watch.clocks()

    def advance(self, steps: float = 1) -> None:
        """Move on."""
        self.done += steps

    def stop(self) -> None:
        """End the trial when it has taken long enough."""
        check_stop()
        if self.watch.since(self._began) >= self.limit:
            raise _Enough("long enough")

    def run(self, order: Order) -> tuple[float, float]:
        """Return the seconds that it took, and which share of the video's labels is there."""
        try:
            order.labels.prepare(order.indices, self, self.stop)
        except _Enough:
            return self.watch.since(self._began), min(self.done / len(order.frames), 1.0)
        return self.watch.since(self._began), 1.0


def time_labels(opened: OpenedSuite, waiting: Sequence[Cell]) -> tuple[float, list[str]]:
    """Return the seconds that making training labels takes, and which of them cannot be timed.

    Of each kind, those of one video are made for a moment; other videos are taken to need as much
    time for as much work. What is made meanwhile is kept where it is kept in a fit.

    Args:
        opened: the opened suite.
        waiting: the cells that are to be done.
    """
    seconds, untimed = 0.0, list[str]()
    for name, orders in _orders(opened, waiting).items():
        config = next(iter(opened.experiments.values())).config
        watch = Stopwatch(config.threads, wall=config.device.startswith("cuda"))
        try:
            found = _kind_seconds(watch, list(orders.values()))
        except Exception as error:  # label sources are anybody's; the fit will say what is wrong
            reraise_fatal(error)
            found = None
        if found is None:
            untimed.append(name)
        else:
            seconds += found
    return seconds, untimed


def _orders(opened: OpenedSuite, waiting: Sequence[Cell]) -> dict[str, Mapping[int, Order]]:
    """Return what is wanted, by kind of labels, each video's once for all cells that share it."""
    found: dict[str, dict[int, Order]] = {}
    for cell in waiting:
        experiment, labelling = opened.experiments[cell.pipeline], cell.setting.labelling
        train = None if labelling.plain else opened.training(cell)
        if train is None or experiment.is_fitted(cell.setting, cell.fold):
            continue
        name = str(labelling.source)
        name += "" if labelling.refine == "box" else f" refine={labelling.refine}"
        kind = found.setdefault(name, {})
        for ref in train.refs:
            if ref.video in train.labelled:
                labels = train.labelled[ref.video].labels
                kind.setdefault(id(labels), Order(labels)).frames.add(ref.index)
    return {name: kind for name, kind in found.items() if kind}


def _kind_seconds(watch: Stopwatch, orders: Sequence[Order]) -> float | None:
    """Return what all labels of one kind take; None where a trial says nothing."""
    left: list[tuple[Order, float]] = []
    there: list[Order] = []
    for order in orders:
        _, share = _Trial(watch, 0.0).run(order)
        if share < 1:
            left.append((order, (1 - share) * order.labels.work(order.indices)))
        else:
            there.append(order)
    seconds = 0.0
    if left:
        order, work = min(left, key=lambda one: one[1])
        before = 1 - work / order.labels.work(order.indices)
        took, share = _Trial(watch, LONG).run(order)
        if share <= before:
            return None
        rate = took / (share - before) / order.labels.work(order.indices)
        seconds = rate * sum(work for _, work in left)
        if share == 1:
            there.append(order)
    return seconds + _mask_seconds(watch, there, sum(len(order.frames) for order in orders))


def _mask_seconds(watch: Stopwatch, there: Sequence[Order], frames: int) -> float:
    """Return what reading masks of made labels takes, as timed on a few frames of one video."""
    if not there:
        return 0.0
    order = there[-1]
    some = order.indices[:: max(len(order.frames) // MASKS, 1)][:MASKS]
    return watch.seconds(lambda: [order.labels.mask(i) for i in some]) / len(some) * frames
