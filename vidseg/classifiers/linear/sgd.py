"""Linear SVM by averaged stochastic gradient descent over a stream of all pixels (scikit-learn)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from vidseg.classifiers.linear.base import (
    Cost,
    CostMode,
    LinearFit,
    LossName,
    PixelsPerFrame,
    PositiveWeight,
    SigmaFloor,
)
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.points import PointSet, Signs
from vidseg.classifiers.linear.standardise import FLOOR, Moments
from vidseg.classifiers.linear.stochastic import StochasticClassifier
from vidseg.classifiers.pyramid import Float32, as_tensor
from vidseg.utils.progress import ProgressBar

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

MOST = 512 * 2**20
"""Bytes of points and native features in memory at once; more would not mix better."""

SAMPLE = 8
"""Every eighth point of a block is scored for the training curve."""


class Sgd(StochasticClassifier):
    """Linear SVM trained by SGD on all (or random) pixels, a few frames in memory at a time.

    Minimises ``mean(w_i loss_i) / mean(w_i) + ||w||^2 / (2 C)``, the objective of ``liblinear``
    divided by C, save that the bias is not regularised. The weights are averaged over all steps,
    whose size is constant (Polyak and Juditsky 1992): the decreasing steps of scikit-learn's
    default (``optimal``) are far too large for the first million pixels of a thousand channels.

    The number of epochs follows the budget rule (``--budget``), as its updates are a budget too.

    Args:
        C_mode: mean uses C as it is, for any number of frames; sum multiplies it by the sum of
            the class weights over all points, which is liblinear's literal scale.
        loss: hinge or squared_hinge.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        step: size of a step, in units of one over the mean squared norm of a point; by default
            0.3 for hinge and 0.03 for squared_hinge.
        average: average the weights over all steps; without it the last ones are taken.
        pixels_per_frame: random labelled pixels of each frame, drawn anew in every epoch; by
            default all of them.
    """

    name: ClassVar[str] = "sgd"

    def __init__(
        self,
        C: Cost = 10.0,  # noqa: N803
        C_mode: CostMode = "mean",  # noqa: N803
        loss: LossName = "hinge",
        epochs: Annotated[int, Field(ge=1)] = 16,
        step: Annotated[float, Field(gt=0, le=10)] | None = None,
        average: bool = True,
        positive_weight: PositiveWeight = 1.0,
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        pixels_per_frame: PixelsPerFrame = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C, self.C_mode, self.loss, self.epochs = C, C_mode, loss, epochs
        self.step = step if step is not None else {"hinge": 0.3, "squared_hinge": 0.03}[loss]
        self.average, self.positive_weight = average, positive_weight
        self.standardise, self.sigma_floor = standardise, sigma_floor
        self.pixels_per_frame, self.chosen = pixels_per_frame, levels

    def _fit(self, fit: LinearFit) -> LinearHead:
        """Learn from a stream of pixels.

        Logs ``loss`` by epoch: the mean loss of blocks of points just before they are learned.

        Facts: ``epochs`` (finished ones), ``updates``, ``pixels_seen``, ``out_of_time`` (1 when
        ``ctx.budget.max_time`` ended it).
        """
        moments = Moments.measure(fit.train, fit.ctx, fit.names)
        base = self.standardisation(fit, moments)
        # points of mean norm 1: the step means the same for any number of channels
        norm = max(base.energy(moments), 1e-12) ** 0.5
        points = fit.points(self.pixels_per_frame).scaled(replace(base, scale=base.scale / norm))
        counts = points.counts(fit.ctx)
        model = self._model(counts, norm, fit.ctx.seed)
        fit.ctx.facts |= {"points": float(sum(counts)), "updates": 0.0}
        self._descend(fit, sum(counts), partial(self._epoch, model, points, fit))
        fit.ctx.facts["pixels_seen"] = fit.ctx.facts["updates"]
        weights = model.coef_[0].astype(np.float64) / norm
        return fit.head(base, weights, float(model.intercept_[0]))

    def _model(self, counts: tuple[int, int], norm: float, seed: int) -> SGDClassifier:
        from sklearn.linear_model import SGDClassifier

        weight = self.weight(counts)
        mean = weight / sum(counts)
        return SGDClassifier(
            loss=self.loss,
            # points are divided by the norm, so the weights are multiplied by it
            alpha=self._decay(weight) / norm**2,
            class_weight={1: self.positive_weight / mean, -1: 1 / mean},
            learning_rate="constant",
            eta0=self.step,
            average=self.average,
            random_state=np.random.RandomState(seed % 2**32),
        )

    def _epoch(
        self,
        model: SGDClassifier,
        points: PointSet,
        fit: LinearFit,
        epoch: int,
        task: ProgressBar,
    ) -> float:
        """Learn one epoch; return the mean loss of its points before they were learned."""
        seen, loss = 0, 0.0
        for x, y in points.at(epoch).stream(fit.ctx, min(fit.ctx.memory_budget // 4, MOST)):
            seen += len(y)
            loss += self._loss(model, x, y) * len(y)
            self._learn(model, x, y)
            task.advance(len(y))
            if fit.out_of_time:
                break
        fit.ctx.facts["updates"] += seen
        return loss / seen

    def _learn(self, model: SGDClassifier, x: Float32, y: Signs) -> None:
        try:
            model.partial_fit(x, y, classes=np.array([-1, 1], np.int8))
        except ValueError as error:
            if "overflow" not in str(error):
                raise
            raise self._overflow() from error

    def _loss(self, model: SGDClassifier, x: Float32, y: Signs) -> float:
        if not hasattr(model, "coef_"):
            return 1.0
        weights = model.coef_[0].astype(np.float32)
        scores = (as_tensor(x[::SAMPLE]) @ as_tensor(weights)).numpy() + model.intercept_[0]
        hinge = np.maximum(0.0, 1.0 - y[::SAMPLE] * scores)
        factor = np.where(y[::SAMPLE] > 0, self.positive_weight, 1.0)
        return float(np.average(hinge if self.loss == "hinge" else hinge**2, weights=factor))
