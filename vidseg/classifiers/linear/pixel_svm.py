"""Linear SVM on EVERY pixel of every frame, exact, without making a hypercolumn (the default)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import (
    Bias,
    BoundedWeight,
    CostMode,
    LinearClassifier,
    LinearFit,
    SigmaFloor,
)
from vidseg.classifiers.linear.exact.path import best_cost, path_heads
from vidseg.classifiers.linear.exact.problem import Problem, Settings, Solution
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.standardise import FLOOR
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet

PathCost = Annotated[float, Field(gt=0, le=1e8, allow_inf_nan=False)]


class PixelSvm(LinearClassifier):
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
        positive_weight: weight of a foreground pixel; background has 1.
        tolerance: relative gap to the optimum, ``(f - f*) / f``, at which training stops.
        max_passes: readings of the features, for each C, after which training stops all the same.
        sample: pixels of which the solver makes hypercolumns at a time; by default 30 to 100 for
            each weight, with the number of pixels. More: fewer readings, more memory.
    """

    distributed: ClassVar[bool] = True
    takes_init: ClassVar[bool] = True
    paths: ClassVar[frozenset[str]] = frozenset({"C"})

    def __init__(
        self,
        C: PathCost | Annotated[list[PathCost], Field(min_length=1)] = 1.0,  # noqa: N803
        C_mode: CostMode = "mean",  # noqa: N803
        loss: Literal["squared_hinge", "hinge"] = "squared_hinge",
        bias: Bias = 1.0,
        positive_weight: BoundedWeight = 1.0,
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        tolerance: Annotated[float, Field(ge=1e-12, lt=1)] = 1e-4,
        max_passes: Annotated[int, Field(ge=1)] = 100,
        sample: Annotated[int, Field(ge=64)] | None = None,
        levels: list[int] | None = None,
    ) -> None:
        self.positive_weight, self.chosen = positive_weight, levels
        self.standardise, self.sigma_floor = standardise, sigma_floor
        self.costs = sorted(set(C)) if isinstance(C, list) else [C]
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

    def _fit(self, fit: LinearFit) -> LinearHead:
        """Minimise the objective over all pixels.

        Curves, by number of readings: ``objective``, ``gradient_norm``, ``certificate`` (an upper
        bound of the gap), ``gap`` (its estimate), ``passes``, ``bytes_read``; ``path/iou`` and
        ``path/C`` by index for a list of C. Facts: ``frames``, ``dimensions``, ``data_path``
        (0 memory, 1 memory as float16, 2 disk), ``feature_bytes``, ``passes`` (the solver's
        readings), ``bytes_read``, ``objective``, ``gap``, ``certificate``, ``iterations``, ``C``.

        Raises:
            DataError: the features are all constant, or of another extractor; several C with one
                group only.
            UsageError: more processes than frames.
        """
        cost = self.costs[0] if len(self.costs) == 1 else best_cost(self.costs, self.settings, fit)
        problem = Problem.open(fit, self.settings)
        with fit.solving():
            solution = problem.solve(cost, "fit", self._initial(problem, fit))
        self._record(problem, solution, cost, fit.ctx)
        return problem.head(solution, fit)

    def fit_path(
        self, values: Sequence[Any], train: TrainingSet, handle: ExtractorHandle, ctx: FitContext
    ) -> list[LinearHead]:
        """Return a head for each C, ascending, each trained from the solution before.

        Raises:
            DataError, ResourceError, UsageError: as :meth:`fit`.
        """
        fit = LinearFit(train, handle, ctx, tuple(self.levels(handle)))
        return path_heads([float(value) for value in values], self.settings, fit, 0)

    def _initial(self, problem: Problem, fit: LinearFit) -> Floats | None:
        """Return the point that a declared edge starts from, or None.

        Raises:
            DataError: the model there is of another extractor or other levels.
        """
        head = fit.ctx.init
        if head is None:
            return None
        if not isinstance(head, LinearHead) or head.fingerprint != fit.handle.fingerprint:
            raise DataError(
                "the model to start from is no linear head of this extractor",
                where="pixel_svm",
                hint="start from a linear classifier with the same extractor and levels",
            )
        if head.levels != fit.levels:
            raise DataError(
                f"the model to start from has levels {head.levels}, not {fit.levels}",
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

    def _record(self, problem: Problem, solution: Solution, cost: float, ctx: FitContext) -> None:
        reading = solution.reading
        ctx.facts |= problem.facts | {
            "C": cost,
            "objective": reading.hinge,
            "gap": solution.gap,
            "certificate": reading.certificate,
            "iterations": float(solution.iterations),
        }
        share = solution.gap / reading.hinge
        reason = {
            "certificate": "the certificate (strong convexity) is below the tolerance",
            "estimate": "the estimated gap is below the tolerance",
            "passes": "max_passes is reached: NOT at the optimum",
            "precision": "rounding hides all further descent",
            "stalled": "no descent was found: NOT at the optimum; try a larger sample",
        }[solution.ending]
        ctx.progress.say(
            f"pixel_svm: {problem.meter.passes} readings, objective {reading.hinge:.6g}, "
            f"estimated relative gap {share:.1e}; {reason}"
        )
