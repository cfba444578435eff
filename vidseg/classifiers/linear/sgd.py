"""Linear SVM by averaged stochastic gradient descent over a stream of all pixels (scikit-learn)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import choose_levels
from vidseg.classifiers.linear.points import Labels, PointSet
from vidseg.classifiers.linear.standardise import FLOOR, Moments, Standardisation
from vidseg.classifiers.pyramid import Float32, as_tensor
from vidseg.errors import UsageError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet
from vidseg.utils.progress import ProgressBar

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

MOST = 512 * 2**20
"""Bytes of points and native features at hand at once; more would not mix better."""

SAMPLE = 8
"""Every eighth point of a block is scored for the training curve."""


class Sgd:
    """Linear SVM trained by SGD on all (or random) pixels, a few frames in memory at a time.

    Minimises ``mean(w_i loss_i) / mean(w_i) + ||w||^2 / (2 C)``, the objective of ``liblinear``
    divided by C, save that the bias is not regularised. The weights are averaged over all steps,
    whose size is constant (Polyak and Juditsky 1992): the decreasing steps of scikit-learn's
    default (``optimal``) are far too large for the first million pixels of a thousand channels.

    The number of epochs follows the budget rule (``--budget``), as its updates are a budget too.

    Args:
        C: how much the loss weighs against the regularisation.
        C_mode: mean uses C as it is, for any number of frames; sum multiplies it by the sum of
            the class weights over all points, which is liblinear's literal scale.
        loss: hinge or squared_hinge.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        step: size of a step, in units of one over the mean squared norm of a point; by default
            0.3 for hinge and 0.03 for squared_hinge.
        average: average the weights over all steps; without it the last ones are taken.
        positive_weight: class weight of foreground; background has 1.
        standardise: standardise each channel over all pixels of the training frames.
        sigma_floor: smallest standard deviation, as a share of the median channel of its level.
        pixels_per_frame: random labelled pixels of each frame, drawn anew in every epoch; by
            default all of them.
        levels: levels of the extractor to use; by default the paper's five of a six-level
            VGG16, and all of any other extractor.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(
        self,
        C: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] = 10.0,  # noqa: N803
        C_mode: Literal["mean", "sum"] = "mean",  # noqa: N803
        loss: Literal["hinge", "squared_hinge"] = "hinge",
        epochs: Annotated[int, Field(ge=1)] = 16,
        step: Annotated[float, Field(gt=0, le=10)] | None = None,
        average: bool = True,
        positive_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
        standardise: bool = True,
        sigma_floor: Annotated[float, Field(ge=0, le=1)] = FLOOR,
        pixels_per_frame: Annotated[int, Field(ge=1)] | None = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C, self.C_mode, self.loss, self.epochs = C, C_mode, loss, epochs
        self.step = step if step is not None else {"hinge": 0.3, "squared_hinge": 0.03}[loss]
        self.average, self.positive_weight = average, positive_weight
        self.standardise, self.sigma_floor = standardise, sigma_floor
        self.pixels_per_frame, self.chosen = pixels_per_frame, levels

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return the levels that were asked for, or the default ones."""
        return choose_levels(handle, self.chosen)

    def reads(self, images_per_video: float, budget: Budget) -> int:
        """Return how often a fit reads each frame's features: to standardise, then every epoch."""
        return 1 + budget.epochs(images_per_video, self.epochs)

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> LinearHead:
        """Learn from a stream of pixels.

        Logs ``loss`` by epoch: the mean loss of blocks of points just before they are learned.

        Facts: ``epochs`` (finished ones), ``updates``, ``pixels_seen``, ``points``,
        ``sgd_seconds``, ``out_of_time`` (1 when ``ctx.budget.max_time`` ended it).

        Raises:
            DataError: the masks hold one class only, or features are not finite.
            UsageError: ``step`` is so large that the weights overflow.
        """
        began = time.monotonic()
        levels = tuple(self.levels(handle))
        names = tuple(handle.levels[level] for level in levels)
        moments = Moments.measure(train, ctx, names)
        base = Standardisation.identity(moments.channels)
        if self.standardise:
            base = Standardisation.of(moments, self.sigma_floor)
        # points of mean norm 1: the step means the same for any number of channels
        norm = max(base.energy(moments), 1e-12) ** 0.5
        unit = replace(base, scale=base.scale / norm)
        points = PointSet(train, unit, names, ctx.seed, self.pixels_per_frame)
        counts = points.counts(ctx)
        model = self._model(counts, norm, ctx.seed)
        self._descend(model, points, counts, ctx, began)
        weights = model.coef_[0].astype(np.float64) / norm
        return base.head(weights, float(model.intercept_[0]), levels, handle.fingerprint)

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> LinearHead:
        """Rebuild a fitted head.

        Raises:
            DataError: the state belongs to another extractor.
        """
        return LinearHead.load(state, handle.fingerprint)

    def _model(self, counts: tuple[int, int], norm: float, seed: int) -> SGDClassifier:
        from sklearn.linear_model import SGDClassifier

        positive, negative = counts
        weight = positive * self.positive_weight + negative
        alpha = 1 / self.C if self.C_mode == "mean" else 1 / (self.C * weight)
        mean = weight / (positive + negative)
        return SGDClassifier(
            loss=self.loss,
            # points are divided by the norm, so the weights are multiplied by it
            alpha=alpha / norm**2,
            class_weight={1: self.positive_weight / mean, -1: 1 / mean},
            learning_rate="constant",
            eta0=self.step,
            average=self.average,
            random_state=np.random.RandomState(seed % 2**32),
        )

    def _descend(
        self,
        model: SGDClassifier,
        points: PointSet,
        counts: tuple[int, int],
        ctx: FitContext,
        began: float,
    ) -> None:
        train, total = points.train, sum(counts)
        epochs = ctx.budget.epochs(len(train.refs) / train.videos, self.epochs)
        facts = {"epochs": 0.0, "updates": 0.0, "out_of_time": 0.0, "points": float(total)}
        with ctx.progress.task(f"sgd, {epochs} epochs", epochs * total) as task:
            for epoch in range(epochs):
                seen, loss = self._epoch(model, points.at(epoch), ctx, task, began)
                ctx.log("loss", loss, epoch)
                facts["updates"] += seen
                if _over(ctx, began):
                    facts["out_of_time"] = 1.0
                    break
                facts["epochs"] += 1
        facts |= {"pixels_seen": facts["updates"], "sgd_seconds": time.monotonic() - began}
        ctx.facts |= facts

    def _epoch(
        self,
        model: SGDClassifier,
        points: PointSet,
        ctx: FitContext,
        task: ProgressBar,
        began: float,
    ) -> tuple[int, float]:
        """Return the number of points that were learned, and their mean loss before."""
        seen, loss = 0, 0.0
        for x, y in points.stream(ctx, min(ctx.memory_budget // 4, MOST)):
            seen += len(y)
            loss += self._loss(model, x, y) * len(y)
            self._learn(model, x, y)
            task.advance(len(y))
            if _over(ctx, began):
                break
        return seen, loss / seen

    def _learn(self, model: SGDClassifier, x: Float32, y: Labels) -> None:
        try:
            model.partial_fit(x, y, classes=np.array([-1, 1], np.int8))
        except ValueError as error:
            if "overflow" not in str(error):
                raise
            raise UsageError(
                f"the weights overflow with step={self.step:g}", where="sgd", hint="choose less"
            ) from error

    def _loss(self, model: SGDClassifier, x: Float32, y: Labels) -> float:
        if not hasattr(model, "coef_"):
            return 1.0
        weights = model.coef_[0].astype(np.float32)
        scores = (as_tensor(x[::SAMPLE]) @ as_tensor(weights)).numpy() + model.intercept_[0]
        hinge = np.maximum(0.0, 1.0 - y[::SAMPLE] * scores)
        factor = np.where(y[::SAMPLE] > 0, self.positive_weight, 1.0)
        return float(np.average(hinge if self.loss == "hinge" else hinge**2, weights=factor))


def _over(ctx: FitContext, began: float) -> bool:
    limit = ctx.budget.max_time
    return limit is not None and time.monotonic() - began > limit
