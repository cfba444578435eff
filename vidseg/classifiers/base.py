"""What a classifier plugin is: what it is given, what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy.typing as npt

from vidseg.extractors.base import ExtractorHandle
from vidseg.types import FrameRef, Model, Scores, State, TrainingSet
from vidseg.utils.progress import Progress, Quiet
from vidseg.utils.stop import check_stop

BudgetRule = Literal["paper", "equal-steps", "equal-epochs"]


@dataclass(frozen=True)
class Budget:
    """How many epochs an arm may train: the same effort for arms of different size.

    The paper divides the epochs by 4 when the number of frames grows by 20 (section IV.A), so
    ``epochs = ceil(base * 4 ** -log20(n))``, n = training images per video including copies.

    Attributes:
        rule: ``paper``; ``equal-steps`` (epochs proportional to 1/n); ``equal-epochs``.
        base: epochs at one image per video; None leaves it to the classifier.
        max_time: seconds after which training ends with what it has, or None.
    """

    rule: BudgetRule = "paper"
    base: int | None = None
    max_time: float | None = None

    def epochs(self, images_per_video: float, default_base: int) -> int:
        """Return the number of epochs (at least 1) for ``images_per_video`` images."""
        n, base = max(1.0, images_per_video), self.base or default_base
        scale: float = {
            "paper": 4.0 ** -(math.log(n) / math.log(20)),
            "equal-steps": 1.0 / n,
            "equal-epochs": 1.0,
        }[self.rule]
        return max(1, math.ceil(base * scale - 1e-9))


def _ignore(name: str, value: float, step: int) -> None:
    """Drop a metric that nobody asked for."""


def _unseen(ref: FrameRef, scores: Scores, step: int) -> None:
    """Drop a picture that nobody asked for."""


def _unkept(step: int, state: State) -> None:
    """Drop a checkpoint that nobody asked for."""


@dataclass
class FitContext:
    """What the experiment offers to a classifier while it fits.

    Attributes:
        seed: seed of the cell; the same seed gives the same model on the CPU.
        device: ``"cpu"`` or ``"cuda"``, of several GPUs this process's own.
        memory_budget: bytes of anonymous memory that the fit may take, in each process.
        workdir: a folder of this cell for checkpoints, the same in all processes of a team. No
            other command works on the cell meanwhile. It survives a kill, so that the next fit of
            the cell may go on from there, and is removed after the fit.
        budget: how many epochs.
        log: ``log(name, value, step)`` records a training curve (``train/<name>``); of several
            processes the first one's counts. It is in MLflow while the fit goes on.
        show: ``show(ref, scores, step)`` keeps a picture of a frame of the training set beside what
            the model finds in it so far: ``float32 (h, w)`` scores at the mask size; a few in a
            fit, each frame once a step.
        keep: ``keep(step, state)`` keeps the arrays of ``Model.export()`` of the model as it is, to
            be logged beside the one at the end; does nothing for models that are not logged.
        progress: where to tell how far the fit is.
        stop: raises :class:`vidseg.errors.Stopped` when the user asked to stop; call it often.
        reduce: returns the sum of an array over all processes, each of which must call it as often;
            the identity in one process.
        rank, world: this process and the number of processes, 0 and 1 unless the classifier says
            that it is ``distributed`` and a launcher started several. torch.distributed is
            initialised then.
        init: the fitted model to start from (``init_from`` in a suite), or None; a classifier that
            cannot start from its kind raises a DataError.
        facts: what the classifier wants recorded beside the score: epochs, updates, pixels_seen...;
            of several processes the first one's count.
    """

    seed: int = 0
    device: str = "cpu"
    memory_budget: int = 8 * 10**9
    workdir: Path = field(default_factory=Path)
    budget: Budget = field(default_factory=Budget)
    log: Callable[[str, float, int], None] = _ignore
    show: Callable[[FrameRef, Scores, int], None] = _unseen
    keep: Callable[[int, State], None] = _unkept
    progress: Progress = field(default_factory=Quiet)
    stop: Callable[[], None] = check_stop
    reduce: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = lambda array: array
    rank: int = 0
    world: int = 1
    init: Model | None = None
    facts: dict[str, float] = field(default_factory=dict)


class Classifier(Protocol):
    """Learns masks from frames (entry-point group ``vidseg.classifiers``).

    Attributes:
        needs: ``{"features"}`` for heads on frozen features, ``{"frames"}`` for networks.

    Four class attributes may be added. ``distributed = True``: ``fit`` may be called in several
    processes at once, each with its ``ctx.rank``; without it, one process fits. ``takes_init =
    True``: ``fit`` starts from ``ctx.init``; without it, ``init_from`` is refused.
    ``holds_extractor = True``: a model's state holds the weights of its extractor, trained with
    it, so that it is served without those it began with. ``paths = frozenset({"C"})``: a grid of
    one of these parameters (``tune:`` in a suite) is fitted at once on a set of frames by
    ``fit_path(values, train, handle, ctx)``, which returns a model for each value, in order.
    """

    contract: ClassVar[int]
    needs: ClassVar[frozenset[str]]

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return which of the extractor's levels this classifier uses by default."""
        ...

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> Model:
        """Learn from ``train``.

        Raises:
            DataError: the masks hold one class only, or features are not finite.
            ResourceError: the data does not fit ``ctx.memory_budget``; says the arithmetic.
        """
        ...

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> Model:
        """Rebuild the model that :meth:`Model.export` wrote.

        Raises:
            DataError: the state belongs to another extractor.
        """
        ...
