"""What the linear classifiers share: parameters and their texts, levels, scaling, C, loading."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy.typing as npt
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import choose_levels
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import Moments, Standardisation
from vidseg.classifiers.pyramid import Floats
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet

LossName = Literal["hinge", "squared_hinge"]
CostMode = Literal["mean", "sum"]

Cost = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
Bias = Annotated[float, Field(le=1e6, allow_inf_nan=False)]
PositiveWeight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
BoundedWeight = Annotated[PositiveWeight, Field(le=1e6)]
SigmaFloor = Annotated[float, Field(ge=0, le=1)]
PixelsPerFrame = Annotated[int, Field(ge=1)] | None


@dataclass(frozen=True)
class LinearFit:
    """One fit of a linear classifier.

    Attributes:
        train, handle, ctx: what the classifier was given.
        levels: indices of the extractor's levels in use.
        began: ``time.monotonic()`` at the start.
    """

    train: TrainingSet
    handle: ExtractorHandle
    ctx: FitContext
    levels: tuple[int, ...]
    began: float = field(default_factory=time.monotonic)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the levels, for messages."""
        return tuple(self.handle.levels[level] for level in self.levels)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.handle.channels[level] for level in self.levels)

    @property
    def out_of_time(self) -> bool:
        """Whether the fit has taken longer than ``ctx.budget.max_time``."""
        limit = self.ctx.budget.max_time
        return limit is not None and time.monotonic() - self.began > limit

    def points(self, per_frame: int | None = None) -> PointSet:
        """Return the labelled pixels, or ``per_frame`` random ones of each frame, unscaled."""
        standard = Standardisation.identity(self.channels)
        return PointSet(self.train, standard, self.names, self.ctx.seed, per_frame)

    @contextmanager
    def solving(self) -> Iterator[None]:
        """Record the wall time of the block as ``solver_seconds``."""
        began = time.perf_counter()
        yield
        self.ctx.facts["solver_seconds"] = time.perf_counter() - began

    def head(self, standard: Standardisation, weights: Floats, bias: float) -> LinearHead:
        """Return the head of ``weights`` and ``bias`` on standardised features."""
        return standard.head(weights, bias, self.levels, self.handle.fingerprint)


class LinearClassifier(ABC):
    """A classifier whose model is a :class:`LinearHead` on frozen features.

    Subclasses state their parameters in ``__init__``, keep them under these names (``levels`` as
    ``chosen``), and implement :meth:`_fit`. A plugin's description takes the texts from here where
    the subclass has no own.

    Args:
        C: how much the loss weighs against the regularisation.
        C_mode: mean divides C by the sum of the class weights over all points, so that it means
            the same for any number of frames; sum is liblinear's literal scale.
        bias: liblinear's -B, the value of the constant feature; 0 or negative trains without bias.
        positive_weight: class weight of foreground; background has 1.
        standardise: standardise each channel over all pixels of the training frames.
        sigma_floor: smallest standard deviation, as a share of the median channel of its level.
        pixels_per_frame: random labelled pixels of each frame; by default all of them.
        levels: levels of the extractor to use; by default the paper's five of a six-level
            VGG16, and all of any other extractor.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    positive_weight: float
    standardise: bool
    sigma_floor: float
    chosen: Sequence[int] | None

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return the levels that were asked for, or the default ones."""
        return choose_levels(handle, self.chosen)

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> LinearHead:
        """Learn from ``train``.

        Facts of every linear classifier: ``points`` (labelled pixels, repeats counted),
        ``solver_seconds`` (wall time of optimising, without standardising, and without making or
        writing points beforehand), ``cpu_seconds`` (of the whole fit, processes that it started
        included).

        Raises:
            DataError: the masks hold one class only, or features are not finite.
            ResourceError: the data does not fit ``ctx.memory_budget`` or the disk; says the
                arithmetic.
            UsageError: a parameter does not go with the data.
        """
        began = _cpu_seconds()
        head = self._fit(LinearFit(train, handle, ctx, tuple(self.levels(handle))))
        ctx.facts["cpu_seconds"] = _cpu_seconds() - began
        return head

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> LinearHead:
        """Rebuild a fitted head.

        Raises:
            DataError: the state belongs to another extractor.
        """
        return LinearHead.load(state, handle.fingerprint)

    @abstractmethod
    def _fit(self, fit: LinearFit) -> LinearHead:
        """Learn; the docstring names the curves and the facts."""

    def weight(self, counts: tuple[int, int]) -> float:
        """Return the sum of the class weights over (foreground, background) points."""
        return total_weight(counts, self.positive_weight)

    def standardisation(self, fit: LinearFit, moments: Moments | None = None) -> Standardisation:
        """Return the transform of the training frames, or the identity with ``standardise=false``.

        Args:
            fit: whose frames.
            moments: theirs, where they are known already.
        """
        if not self.standardise:
            return Standardisation.identity(moments.channels if moments else fit.channels)
        found = moments or Moments.measure(fit.train, fit.ctx, fit.names)
        return Standardisation.of(found, self.sigma_floor)


def total_weight(counts: tuple[float, float], positive_weight: float) -> float:
    """Return the sum of the class weights over (foreground, background) points."""
    return counts[0] * positive_weight + counts[1]


def point_cost(cost: float, mode: CostMode, weight: float) -> float:
    """Return what a background point's loss is multiplied by beside ``||w||^2 / 2``.

    Args:
        cost: C.
        mode: mean divides it by ``weight``; sum takes it as it is.
        weight: sum of the class weights over all points.
    """
    return cost if mode == "sum" else cost / weight


def _cpu_seconds() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
