"""Linear SVM by averaged SGD on whole frames at native resolution, without hypercolumns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from vidseg.classifiers.base import Budget
from vidseg.classifiers.linear.base import (
    BoundedWeight,
    Cost,
    CostMode,
    LinearFit,
    LossName,
    SigmaFloor,
)
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import check_finite, frame_name
from vidseg.classifiers.linear.preconditioner import Preconditioner
from vidseg.classifiers.linear.standardise import FLOOR, Moments, Standardisation
from vidseg.classifiers.linear.stochastic import StochasticClassifier, step_share
from vidseg.classifiers.pyramid import Pyramid, as_tensor
from vidseg.errors import DataError
from vidseg.types import Features, FrameRef, Mask, Size, TrainingSet
from vidseg.utils.progress import ProgressBar
from vidseg.utils.random import generator

AVERAGED = 0.9
"""Share of the steps after which the weights are averaged."""


class SgdSvm(StochasticClassifier):
    """Linear SVM trained by SGD on mini-batches of frames, every labelled pixel of each.

    Minimises ``mean(w_i loss_i) / mean(w_i) + ||(w, b)||^2 / (2 C)``, the objective of
    ``liblinear`` divided by C. Scores are resized, never features, so a step costs two products
    with the native features of its frames. Features are correlated, so that the loss is hundreds of
    times steeper in one direction than in another: gradients are preconditioned by the second
    moments of a sample of pixels (:mod:`~vidseg.classifiers.linear.preconditioner`). Steps fall
    linearly to zero. Frames with noise or augmentation are made on the fly, drawn anew in every
    epoch.

    The number of epochs follows the budget rule (``--budget``), as its updates are a budget too.

    Args:
        C_mode: mean uses C as it is, for any number of frames; sum multiplies it by the sum of
            the class weights over all pixels, which is liblinear's literal scale.
        loss: hinge or squared_hinge.
        bias: value of the constant feature, whose weight is regularised as liblinear's -B; 0 or
            negative trains without bias.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        batch: frames of one step.
        step: size of the first step, in units of one over the mean squared norm of a pixel's
            preconditioned features; by default 0.4 for hinge and 0.2 for squared_hinge.
        momentum: share of the last step that is repeated.
        average: average the weights over the last tenth of the steps; without it the last ones are
            taken.
    """

    name: ClassVar[str] = "sgd_svm"

    def __init__(
        self,
        C: Cost = 1.0,  # noqa: N803
        C_mode: CostMode = "mean",  # noqa: N803
        loss: LossName = "squared_hinge",
        bias: Annotated[float, Field(le=1e3, allow_inf_nan=False)] = 1.0,
        epochs: Annotated[int, Field(ge=1)] = 64,
        batch: Annotated[int, Field(ge=1)] = 1,
        step: Annotated[float, Field(gt=0, le=1e3)] | None = None,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        average: bool = True,
        positive_weight: BoundedWeight = 1.0,
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        levels: list[int] | None = None,
    ) -> None:
        self.C, self.C_mode, self.loss = C, C_mode, loss
        self.bias, self.epochs, self.batch = max(bias, 0.0), epochs, batch
        self.step = step if step is not None else {"hinge": 0.4, "squared_hinge": 0.2}[loss]
        self.momentum, self.average, self.positive_weight = momentum, average, positive_weight
        self.standardise, self.sigma_floor, self.chosen = standardise, sigma_floor, levels

    def _fit(self, fit: LinearFit) -> LinearHead:
        """Learn from a stream of frames.

        Logs ``loss`` by epoch: the mean loss of frames just before they are learned.

        Facts: ``epochs`` (finished ones), ``updates`` (steps), ``frames_seen``, ``pixels_seen``,
        ``out_of_time`` (1 when ``ctx.budget.max_time`` ended it).
        """
        moments = Moments.measure(fit.train, fit.ctx, fit.names)
        standard = self.standardisation(fit, moments)
        counts = fit.points().counts(fit.ctx)
        fit.ctx.facts["points"] = float(sum(counts))
        learner = self._learner(standard, self.weight(counts), fit)
        self._descend(fit, len(fit.train.refs), partial(self._epoch, learner, fit))
        found = (learner.mean if self.average else learner.point).cpu().numpy()
        return fit.head(standard, found[:-1], float(found[-1]) * self.bias)

    def reads(self, images_per_video: float, budget: Budget) -> int:
        """Return how often a fit reads each frame's features: once more, for the second moments."""
        return 1 + super().reads(images_per_video, budget)

    def _learner(self, standard: Standardisation, weight: float, fit: LinearFit) -> Learner:
        frames = len(fit.train.refs)
        directions = Preconditioner.of(fit.points().scaled(standard), self.bias, fit.ctx)
        return Learner(
            FrameLoss(self.loss, self.positive_weight, frames / weight, self.bias),
            Folded(standard, fit.ctx.device),
            directions,
            self.step / directions.energy,
            self.momentum,
            self._decay(weight),
            self._epochs(fit) * -(-frames // self.batch),
        )

    def _epoch(self, learner: Learner, fit: LinearFit, epoch: int, task: ProgressBar) -> float:
        """Learn one epoch; return the mean loss of its frames before they were learned."""
        drawn, losses = fit.train.with_epoch(epoch), []
        order = generator(fit.ctx.seed, "frames", epoch).permutation(len(drawn.refs))
        for start in range(0, len(order), self.batch):
            fit.ctx.stop()
            refs = [drawn.refs[i] for i in order[start : start + self.batch]]
            losses.append(learner.learn(_frame(drawn, ref, fit.names) for ref in refs))
            task.advance(len(refs))
            if not np.isfinite(losses[-1]):
                raise self._overflow()
            if fit.out_of_time:
                break
        fit.ctx.facts |= learner.facts
        return float(np.mean(losses))


@dataclass(frozen=True)
class FrameLoss:
    """The loss of a frame's pixels, in units in which the mean over all frames is the mean loss.

    Attributes:
        kind: hinge or squared_hinge.
        positive: weight of foreground.
        unit: frames / total weight: what a pixel of weight 1 counts.
        bias: value of the constant feature.
    """

    kind: LossName
    positive: float
    unit: float
    bias: float

    def residual(self, scores: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return the loss and its derivative by the scores.

        Args:
            scores: ``float32 (h, w)``.
            labels: ``float32 (h, w)`` in {-1, 0, +1}; 0 counts nothing.
        """
        weights = torch.where(labels > 0, self.positive, 1.0) * labels.abs() * self.unit
        slack = (1 - labels * scores).clamp_(min=0)
        if self.kind == "hinge":
            return float((weights * slack).sum()), -weights * labels * (slack > 0)
        weighted = weights * slack
        return float((weighted * slack).sum()), -2 * weighted * labels


class Folded:
    """Scores and gradients on standardised features, from raw ones.

    Args:
        standard: the standardisation.
        device: where the products are made.
    """

    def __init__(self, standard: Standardisation, device: str) -> None:
        self.channels = standard.channels
        self.mean, self.scale = (
            torch.from_numpy(v.copy()).to(device) for v in (standard.mean, standard.scale)
        )

    def scores(
        self, maps: Sequence[torch.Tensor], pyramid: Pyramid, point: torch.Tensor, bias: float
    ) -> torch.Tensor:
        """Return ``float32 (h, w)`` scores of a frame.

        Args:
            maps: raw ``float32 (C_l, h_l, w_l)`` each.
            pyramid: of the frame.
            point: ``float64 (C + 1,)``: weights on standardised features, the bias's last.
            bias: value of the constant feature.
        """
        native = point[:-1] * self.scale
        parts = torch.split(native.float(), list(self.channels))
        low = [(w @ f.flatten(1)).view(f.shape[1:]) for w, f in zip(parts, maps, strict=True)]
        scores: torch.Tensor = pyramid.forward(low)
        return scores + float(point[-1] * bias - native @ self.mean)

    def gradient(
        self, maps: Sequence[torch.Tensor], pyramid: Pyramid, residual: torch.Tensor, bias: float
    ) -> torch.Tensor:
        """Return ``float64 (C + 1,)``: the transpose of :meth:`scores` on ``residual``."""
        low = pyramid.adjoint(residual)
        raw = torch.cat(
            [f.flatten(1) @ r.flatten() for f, r in zip(maps, low, strict=True)]
        ).double()
        total = residual.sum(dtype=torch.float64)
        # resizing keeps constants, so each level's residuals have the same sum
        return torch.cat([(raw - self.mean * total) * self.scale, (total * bias)[None]])


@dataclass
class Learner:
    """Preconditioned SGD with momentum, falling steps, an implicit step of the regularisation.

    Attributes:
        loss: of a frame.
        folded: the standardisation.
        directions: what gradients are multiplied by.
        step: size of the first step; the others fall linearly to zero.
        momentum: share of the last step that is repeated.
        decay: weight of the regularisation, ``decay * ||point||^2 / 2``.
        steps: number of steps of the whole fit.
        point: ``float64 (C + 1,)``, on standardised features.
        mean: the average over the last steps; the point itself before them.
    """

    loss: FrameLoss
    folded: Folded
    directions: Preconditioner
    step: float
    momentum: float
    decay: float
    steps: int
    point: torch.Tensor = field(init=False)
    mean: torch.Tensor = field(init=False)
    facts: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        mean = self.folded.mean
        self.point = torch.zeros(len(mean) + 1, dtype=torch.float64, device=mean.device)
        self.mean, self._speed = self.point.clone(), self.point.clone()
        self._averaged = 0
        self.facts = {"updates": 0.0, "frames_seen": 0.0, "pixels_seen": 0.0}

    def learn(self, frames: Any) -> float:
        """Take one step on (features, mask) pairs; return their mean loss before it."""
        gradient, total, count = torch.zeros_like(self.point), 0.0, 0
        for features, mask in frames:
            device = self.point.device
            maps = [as_tensor(level, device) for level in features]
            pyramid = Pyramid.of(features, Size(*mask.shape))
            labels = as_tensor(mask, device)
            scores = self.folded.scores(maps, pyramid, self.point, self.loss.bias)
            loss, residual = self.loss.residual(scores, labels)
            gradient += self.folded.gradient(maps, pyramid, residual, self.loss.bias)
            total, count = total + loss, count + 1
            self.facts["pixels_seen"] += float(np.count_nonzero(mask))
        self.facts["updates"] += 1
        self.facts["frames_seen"] += count
        self._move(gradient / count)
        return total / count

    def _move(self, gradient: torch.Tensor) -> None:
        done = self.facts["updates"] / self.steps
        basis, step = self.directions.basis, self.step * step_share(done - 1 / self.steps)
        stride = step / self.directions.steepness
        self._speed.mul_(self.momentum).sub_(stride * (basis.T @ gradient))
        before = basis.T @ self.point
        # implicit, or a small C would overshoot
        moved = (before + self._speed) / (1 + stride * self.decay)
        self._speed, self.point = moved - before, basis @ moved
        self._averaged += done > AVERAGED
        self.mean = self.mean + (self.point - self.mean) / max(self._averaged, 1)


def _frame(train: TrainingSet, ref: FrameRef, names: Sequence[str]) -> tuple[Features, Mask]:
    features, mask = train.features(ref), train.mask(ref)
    check_finite(features, ref, names)
    if mask.shape != tuple(train.mask_size):
        raise DataError(
            f"the mask is {Size(*mask.shape)}, not {train.mask_size}", where=frame_name(ref)
        )
    return features, mask
