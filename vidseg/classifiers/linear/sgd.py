"""Linear SVM by averaged stochastic gradient descent over a stream of all pixels (scikit-learn)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import numpy.typing as npt
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
from vidseg.classifiers.linear.stochastic import AVERAGED, StochasticClassifier, step_share
from vidseg.classifiers.pyramid import Float32, as_tensor
from vidseg.utils.progress import ProgressBar
from vidseg.utils.random import generator

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

MOST = 512 * 2**20
"""Bytes of points and native features in memory at once; more would not mix better."""

CHUNK = 512
"""Points, at most, that are learned with one step size."""

CHUNKS = 256
"""Step sizes, at least, in a fit."""

SAMPLE = 8
"""Every eighth point of a block is scored for the training curve."""


class Sgd(StochasticClassifier):
    """Linear SVM trained by SGD on all (or random) pixels, a few frames in memory at a time.

    Minimises ``mean(w_i loss_i) / mean(w_i) + ||(w, b)||^2 / (2 C)``, the objective of
    ``pixel_svm`` and ``liblinear`` divided by C. Steps fall linearly to zero over the budget, and
    the weights are averaged over its second half; steps of constant size would stay away from the
    optimum however many there are.

    The number of epochs follows the budget rule (``--budget``), as its updates are a budget too.

    Args:
        C_mode: mean uses C as it is, for any number of frames; sum multiplies it by the sum of
            the class weights over all points, which is liblinear's literal scale.
        loss: hinge or squared_hinge.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        bias: value of the constant feature, whose weight is regularised as liblinear's -B; 0 or
            negative trains without bias.
        step: size of the first step, in units of one over the mean squared norm of a point; by
            default 0.3 for hinge and 0.03 for squared_hinge.
        average: average the weights over the second half; without it the last ones are taken.
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
        bias: Annotated[float, Field(le=1e3, allow_inf_nan=False)] = 1.0,
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        pixels_per_frame: PixelsPerFrame = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C, self.C_mode, self.loss, self.epochs = C, C_mode, loss, epochs
        self.step = step if step is not None else {"hinge": 0.3, "squared_hinge": 0.03}[loss]
        self.average, self.positive_weight, self.bias = average, positive_weight, max(bias, 0.0)
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
        total = sum(counts) * self._epochs(fit)
        learner = Learner(
            self._model(counts, norm, fit.ctx.seed), self.step, total, self.bias / norm
        )
        fit.ctx.facts |= {"points": float(sum(counts)), "updates": 0.0}
        self._descend(fit, sum(counts), partial(self._epoch, learner, points, fit))
        fit.ctx.facts["pixels_seen"] = fit.ctx.facts["updates"]
        found = learner.found(self.average) / norm
        return fit.head(base, found[:-1], float(found[-1]) * self.bias)

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
            fit_intercept=False,
            random_state=np.random.RandomState(seed % 2**32),
        )

    def _epoch(
        self,
        learner: Learner,
        points: PointSet,
        fit: LinearFit,
        epoch: int,
        task: ProgressBar,
    ) -> float:
        """Learn one epoch; return the mean loss of its points before they were learned."""
        seen, loss = 0, 0.0
        order = generator(fit.ctx.seed, "points", epoch)
        for x, y in points.at(epoch).stream(fit.ctx, min(fit.ctx.memory_budget // 4, MOST)):
            seen += len(y)
            loss += self._loss(learner, x, y) * len(y)
            self._learn(learner, x, y, order.permutation(len(y)))
            task.advance(len(y))
            if fit.out_of_time:
                break
        fit.ctx.facts["updates"] += seen
        return loss / seen

    def _learn(self, learner: Learner, x: Float32, y: Signs, order: npt.NDArray[np.int64]) -> None:
        try:
            learner.learn(x, y, order)
        except ValueError as error:
            if "overflow" not in str(error):
                raise
            raise self._overflow() from error

    def _loss(self, learner: Learner, x: Float32, y: Signs) -> float:
        if not learner.done:
            return 1.0
        weights = learner.last.astype(np.float32)
        scores = (as_tensor(x[::SAMPLE]) @ as_tensor(weights[:-1])).numpy()
        scores += weights[-1] * learner.bias
        hinge = np.maximum(0.0, 1.0 - y[::SAMPLE] * scores)
        factor = np.where(y[::SAMPLE] > 0, self.positive_weight, 1.0)
        return float(np.average(hinge if self.loss == "hinge" else hinge**2, weights=factor))


@dataclass
class Learner:
    """scikit-learn's SGD with falling steps, a constant feature and a late average.

    Attributes:
        model: takes the steps; it has no intercept.
        step: size of the first one.
        total: number of steps of the whole fit.
        bias: value of the constant feature, beside points of mean norm 1.
        done: steps so far.
    """

    model: SGDClassifier
    step: float
    total: int
    bias: float
    done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._chunk = max(1, min(CHUNK, self.total // CHUNKS))
        self._mean: npt.NDArray[np.float64] | None = None
        self._averaged = 0

    @property
    def last(self) -> npt.NDArray[np.float64]:
        """Weights after the last step, the constant feature's last: ``float64 (C + 1,)``."""
        return np.asarray(self.model.coef_[0], np.float64)

    def found(self, average: bool) -> npt.NDArray[np.float64]:
        """Return the averaged weights, or the last ones where the fit ended before its middle."""
        return self._mean if average and self._mean is not None else self.last

    def learn(self, x: Float32, y: Signs, order: npt.NDArray[np.int64]) -> None:
        """Take a step on each point.

        Args:
            x: ``float32 (n, C)``.
            y: ``int8 (n,)`` in {-1, +1}.
            order: permutation of the points.

        Raises:
            ValueError: the weights overflow.
        """
        for start in range(0, len(order), self._chunk):
            taken = order[start : start + self._chunk]
            points = np.empty((len(taken), x.shape[1] + 1), np.float32)
            points[:, :-1], points[:, -1] = x[taken], self.bias
            self.model.set_params(eta0=self.step * step_share(self.done / self.total))
            self.model.partial_fit(points, y[taken], classes=np.array([-1, 1], np.int8))
            self.done += len(taken)
            if self.done > AVERAGED * self.total:
                self._average()

    def _average(self) -> None:
        self._averaged += 1
        before = self.last if self._mean is None else self._mean
        self._mean = before + (self.last - before) / self._averaged
