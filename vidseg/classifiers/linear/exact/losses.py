"""The loss of a pixel: squared hinge, and the hinge smoothed to width gamma, in one family.

With the margin deficit ``m = 1 - y s``: the squared hinge (liblinear ``-s 2``) is
``max(0, m)^2``. The smoothed hinge (Huber's; Chapelle 2007, "Training a support vector machine in
the primal") is 0 for ``m <= 0``, ``m^2 / (2 gamma)`` up to gamma and ``m - gamma / 2`` beyond; it
tends to the hinge ``max(0, m)`` (liblinear ``-s 3``) with gamma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch


class Terms(NamedTuple):
    """What the loss of some pixels contributes.

    Attributes:
        value: the sum of cost times (smoothed) loss.
        hinge: the sum of cost times the loss that is meant: unsmoothed.
        excess: what smoothing adds to the duality gap; 0 for the squared hinge. With dual
            variables ``-y dL/ds``, the gap of the hinge is this plus ``||grad||^2 / 2``.
        residual: derivative of the smoothed loss by the score; shape and dtype of the scores.
    """

    value: float
    hinge: float
    excess: float
    residual: torch.Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A convex, once differentiable loss of the margin deficit.

    Attributes:
        gamma: width of the smoothed hinge, above 0; None is the squared hinge.
    """

    gamma: float | None = None

    def terms(self, scores: torch.Tensor, labels: torch.Tensor, costs: torch.Tensor) -> Terms:
        """Return value and derivative.

        Args:
            scores: ``(...)`` float.
            labels: -1, 0 or +1, dtype and shape of ``scores``.
            costs: C_i of each pixel, 0 where it is ignored.
        """
        deficit = deficits(scores, labels).clamp_(min=0)
        if self.gamma is None:
            weighted = deficit * costs
            value = _sum(weighted.mul(deficit))
            return Terms(value, value, 0.0, weighted.mul_(labels).mul_(-2))
        inner = deficit.clamp(max=self.gamma)
        slope = inner * costs / self.gamma
        value = _sum(slope * (deficit - inner / 2))
        excess = _sum(costs * inner * (1 - inner / self.gamma))
        return Terms(value, _sum(costs * deficit), excess, slope.mul_(labels).neg_())

    def curvature(
        self, scores: torch.Tensor, labels: torch.Tensor, costs: torch.Tensor
    ) -> torch.Tensor:
        """Return the second derivative by the score: 0 where the loss is flat or straight."""
        deficit = deficits(scores, labels)
        if self.gamma is None:
            return costs * (deficit > 0) * 2
        return costs * ((deficit > 0) & (deficit < self.gamma)) / self.gamma

    def distance(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return by how much a score would have to change for its loss to be curved; 0 if it is."""
        deficit = deficits(scores, labels)
        if self.gamma is None:
            return deficit.neg_().clamp_(min=0)
        return torch.maximum(-deficit, deficit - self.gamma).clamp_(min=0)


def deficits(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return ``1 - y s``."""
    return scores.mul(labels).neg_().add_(1)


def _sum(values: torch.Tensor) -> float:
    return float(values.sum(dtype=torch.float64))
