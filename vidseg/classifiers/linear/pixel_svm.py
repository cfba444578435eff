"""Linear SVM on EVERY pixel of every frame, exact, without making a hypercolumn (the default)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.path import best_cost
from vidseg.classifiers.linear.exact.problem import Problem, Settings, Solution
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import choose_levels
from vidseg.classifiers.linear.standardise import FLOOR
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet

Cost = Annotated[float, Field(gt=0, le=1e8, allow_inf_nan=False)]


class PixelSvm:
    """Exact linear SVM over all labelled pixels of all training frames.

    Minimises ``||(w, b)||^2 / 2 + sum_i C_i loss(1 - y_i (w . z_i + b B))`` over every pixel:
    liblinear's ``-s 2`` (or ``-s 3``), at a few readings of the features, in memory or from disk.

    Args:
        C: how much the loss weighs against the regularisation. A list is trained in ascending
            order, each from the solution before, and the best mean IoU on inner group folds is
            taken (ties: the smaller).
        C_mode: mean divides C by the sum of the class weights over all pixels, so that it means
            the same for any number of frames; sum is liblinear's literal scale.
        loss: squared_hinge (liblinear -s 2), or hinge (-s 3) by smoothing that vanishes.
        bias: liblinear's -B, the value of the constant feature; 0 or negative trains without bias.
        positive_weight: weight of a foreground pixel; background has 1.
        standardise: standardise each channel over all pixels of the training frames.
        sigma_floor: smallest standard deviation, as a share of the median channel of its level.
        tolerance: relative gap to the optimum, ``(f - f*) / f``, at which training stops.
        max_passes: readings of the features, for each C, after which training stops all the same.
        sample: pixels of which the solver makes hypercolumns at a time; by default 30 to 100 for
            each weight, with the number of pixels. More: fewer readings, more memory.
        levels: levels of the extractor to use; by default the paper's five of a six-level
            VGG16, and all of any other extractor.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(
        self,
        C: Cost | Annotated[list[Cost], Field(min_length=1)] = 1.0,  # noqa: N803
        C_mode: Literal["mean", "sum"] = "mean",  # noqa: N803
        loss: Literal["squared_hinge", "hinge"] = "squared_hinge",
        bias: Annotated[float, Field(le=1e6, allow_inf_nan=False)] = 1.0,
        positive_weight: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0,
        standardise: bool = True,
        sigma_floor: Annotated[float, Field(ge=0, le=1)] = FLOOR,
        tolerance: Annotated[float, Field(ge=1e-12, lt=1)] = 1e-4,
        max_passes: Annotated[int, Field(ge=1)] = 100,
        sample: Annotated[int, Field(ge=64)] | None = None,
        levels: list[int] | None = None,
    ) -> None:
        self.costs = sorted(set(C)) if isinstance(C, list) else [C]
        self.chosen = levels
        self.settings = Settings(
            C_mode,
            loss,
            bias if bias > 0 else None,
            positive_weight,
            standardise,
            sigma_floor,
            tolerance,
            max_passes,
            sample,
        )

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return the levels that were asked for, or the default ones."""
        return choose_levels(handle, self.chosen)

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> LinearHead:
        """Minimise the objective over all pixels.

        Curves, by number of readings: ``objective``, ``gradient_norm``, ``certificate`` (an upper
        bound of the gap), ``gap`` (its estimate), ``passes``, ``bytes_read``; ``path/iou`` and
        ``path/C`` by index for a list of C. Facts: ``points``, ``frames``, ``dimensions``,
        ``data_path`` (0 memory, 1 memory as float16, 2 disk), ``feature_bytes``, ``passes`` (the
        solver's readings), ``bytes_read``, ``objective``, ``gap``, ``certificate``, ``iterations``,
        ``C``, ``seconds``, ``cpu_seconds``.

        Raises:
            DataError: the masks hold one class only; features are not finite, all constant, or of
                another extractor; several C with one group only.
            ResourceError: the memory budget or the disk does not suffice; says the arithmetic.
            UsageError: more processes than frames.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        levels = tuple(self.levels(handle))
        cost = self.costs[0]
        if len(self.costs) > 1:
            cost = best_cost(self.costs, train, handle, levels, self.settings, ctx)
        problem = Problem.open(train, handle, levels, self.settings, ctx)
        outcome = problem.solve(cost, "fit", self._initial(problem, levels, handle, ctx))
        self._record(problem, outcome, cost, ctx)
        ctx.facts |= {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
        weights, bias = self._split(outcome.reading.point)
        return problem.standard.head(weights, bias, levels, handle.fingerprint)

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> LinearHead:
        """Rebuild a fitted head.

        Raises:
            DataError: the state belongs to another extractor.
        """
        return LinearHead.load(state, handle.fingerprint)

    def _split(self, point: Floats) -> tuple[Floats, float]:
        """Return weights and bias on standardised features."""
        bias = self.settings.bias
        return (point, 0.0) if bias is None else (point[:-1], float(point[-1]) * bias)

    def _initial(
        self,
        problem: Problem,
        levels: tuple[int, ...],
        handle: ExtractorHandle,
        ctx: FitContext,
    ) -> Floats | None:
        """Return the point that a declared edge starts from, or None.

        Raises:
            DataError: the model there is of another extractor or other levels.
        """
        if ctx.init is None:
            return None
        head = ctx.init
        if not isinstance(head, LinearHead) or head.fingerprint != handle.fingerprint:
            raise DataError(
                "the model to start from is no linear head of this extractor",
                where="pixel_svm",
                hint="start from a linear classifier with the same extractor and levels",
            )
        if head.levels != levels:
            raise DataError(
                f"the model to start from has levels {head.levels}, not {levels}",
                where="pixel_svm",
                hint="start from a linear classifier with the same levels",
            )
        found = problem.standard.restate(head.warm)
        if found is None:
            return None
        weights, bias = found
        if self.settings.bias is None:
            return weights
        return np.append(weights, bias / self.settings.bias)

    def _record(self, problem: Problem, outcome: Solution, cost: float, ctx: FitContext) -> None:
        reading = outcome.reading
        ctx.facts |= problem.facts | {
            "C": cost,
            "objective": reading.hinge,
            "gap": outcome.gap,
            "certificate": reading.certificate,
            "iterations": float(outcome.iterations),
        }
        share = outcome.gap / reading.hinge
        reason = {
            "certificate": "the certificate (strong convexity) is below the tolerance",
            "estimate": "the estimated gap is below the tolerance",
            "passes": "max_passes is reached: NOT at the optimum",
            "precision": "rounding hides all further descent",
            "stalled": "no descent was found: NOT at the optimum; try a larger sample",
        }[outcome.ending]
        ctx.progress.say(
            f"pixel_svm: {problem.meter.passes} readings, objective {reading.hinge:.6g}, "
            f"estimated relative gap {share:.1e}; {reason}"
        )
