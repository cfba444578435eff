"""What a classifier plugin is: what it is given, what it returns."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Features, FloatImage, FrameRef, Image, Mask, Scores, Size

State = dict[str, npt.NDArray[Any]]
"""A fitted model as named arrays, stored as safetensors. Text goes in as ``uint8`` UTF-8."""

BudgetRule = Literal["paper", "equal-steps", "equal-epochs"]


@runtime_checkable
class Head(Protocol):
    """A fitted model on frozen features."""

    def scores(self, features: Features, size: Size) -> Scores:
        """Return ``float32 (h, w)`` scores of one frame at ``size``; positive is foreground."""
        ...

    def export(self) -> State:
        """Return the state from which the classifier's ``load`` makes an equal model."""
        ...


@runtime_checkable
class Network(Protocol):
    """A fitted model on images (its extractor was trained with it)."""

    def image_scores(self, image: Image, size: Size) -> Scores:
        """Return ``float32 (h, w)`` scores of one image at ``size``."""
        ...

    def export(self) -> State:
        """Return the state from which the classifier's ``load`` makes an equal model."""
        ...


Model = Head | Network


class TrainingSet(Protocol):
    """The training frames of one cell, in the order of the sampler.

    Attributes:
        refs: the frames, each as often as it is seen in one epoch.
        groups: group of each frame's video, aligned with ``refs``.
        videos: number of distinct videos.
        image_size: size of what the extractor sees.
        mask_size: size of the masks; scores are compared with masks at this size.
    """

    @property
    def refs(self) -> Sequence[FrameRef]: ...
    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def videos(self) -> int: ...
    @property
    def image_size(self) -> Size: ...
    @property
    def mask_size(self) -> Size: ...

    def frame(self, ref: FrameRef) -> Image | FloatImage:
        """Return the image of ``ref``, ``uint8 (H, W, 3)`` at ``image_size``.

        With a variant it may be ``float32`` on the same scale, beyond 0..255 as well.
        """
        ...

    def mask(self, ref: FrameRef) -> Mask:
        """Return the mask of ``ref``, ``int8 (h, w)`` at ``mask_size``."""
        ...

    def features(self, ref: FrameRef) -> Features:
        """Return the frozen features of ``ref``: fp16-rounded, one array per chosen level."""
        ...

    def subset(self, groups: Sequence[str]) -> TrainingSet:
        """Return the frames whose video belongs to one of ``groups`` (inner folds)."""
        ...

    def fresh(self, epoch: int) -> TrainingSet:
        """Return the same frames with the random variants of ``epoch`` drawn anew."""
        ...

    def shard(self, rank: int, world: int) -> TrainingSet:
        """Return every ``world``-th frame from ``rank``: one process's part."""
        ...


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


class Task(Protocol):
    """One line of progress."""

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        ...


class Progress(Protocol):
    """Where long work tells how far it is. Knows nothing of terminals."""

    def task(
        self, description: str, total: float | None
    ) -> contextlib.AbstractContextManager[Task]:
        """Open a line of progress for the length of a ``with`` block."""
        ...

    def say(self, text: str) -> None:
        """Tell the user one fact, such as which data path was chosen and why."""
        ...


class Quiet:
    """Progress that nobody watches."""

    @contextlib.contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Quiet]:
        """Do nothing."""
        yield self

    def advance(self, steps: float = 1) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


def _ignore(name: str, value: float, step: int) -> None:
    """Drop a metric that nobody asked for."""


@dataclass
class FitContext:
    """What the experiment offers to a classifier while it fits.

    Attributes:
        seed: seed of the cell; the same seed gives the same model on the CPU.
        device: ``"cpu"`` or ``"cuda"``...
        memory_budget: bytes of anonymous memory that the fit may take.
        workdir: a folder of this cell for checkpoints; it survives a kill. Cleared after the fit.
        budget: how many epochs.
        log: ``log(name, value, step)`` records a training curve (``train/<name>``).
        progress: where to tell how far the fit is.
        stop: raises :class:`vidseg.errors.Stopped` when the user asked to stop; call it often.
        reduce: sums an array over all processes; the identity in one process.
        rank, world: this process and the number of processes.
        init: a fitted model to start from, along a declared edge only.
        facts: what the classifier wants recorded beside the score: epochs, updates, pixels_seen...
    """

    seed: int = 0
    device: str = "cpu"
    memory_budget: int = 8 * 10**9
    workdir: Path = field(default_factory=Path)
    budget: Budget = field(default_factory=Budget)
    log: Callable[[str, float, int], None] = _ignore
    progress: Progress = field(default_factory=Quiet)
    stop: Callable[[], None] = lambda: None
    reduce: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = lambda array: array
    rank: int = 0
    world: int = 1
    init: Model | None = None
    facts: dict[str, float] = field(default_factory=dict)


class Classifier(Protocol):
    """Learns masks from frames (entry-point group ``vidseg.classifiers``).

    Attributes:
        needs: ``{"features"}`` for heads on frozen features, ``{"frames"}`` for networks.
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


def both_classes(counts: tuple[int, int], *, where: str) -> None:
    """Refuse training masks with one class only.

    Args:
        counts: number of foreground and of background pixels.
        where: names the training set in the message.

    Raises:
        DataError: one of the counts is zero.
    """
    positive, negative = counts
    if positive and negative:
        return
    missing = (
        "foreground and background"
        if not (positive or negative)
        else ("background" if positive else "foreground")
    )
    raise DataError(
        f"the training masks hold no {missing} pixel",
        where=where,
        hint="choose other frames or videos, a larger mask_size, or check the labels",
    )
