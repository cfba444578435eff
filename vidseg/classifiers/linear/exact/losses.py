"""The loss of a pixel: squared hinge, and the hinge smoothed to width gamma, in one family.

With the margin deficit ``m = 1 - y s``: the squared hinge (liblinear ``-s 2``) is
``max(0, m)^2``. The smoothed hinge (Huber; Chapelle 2007, "Training a support vector machine in the
primal") is 0 for ``m <= 0``, ``m^2 / (2 gamma)`` up to gamma and ``m - gamma / 2`` beyond; it lies
below the hinge ``max(0, m)`` (``-s 3``) by at most ``gamma / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch


class Terms(NamedTuple):
    """What the loss of some pixels contributes.

    Attributes:
        value: the sum of cost times loss.
        excess: the sum of cost times (hinge - smoothed hinge); 0 for the squared hinge.
        residual: derivative by the score, shape and dtype of the scores.
        curvature: second derivative by the score; 0 on pixels that are not active.
    """

    value: float
    excess: float
    residual: torch.Tensor
    curvature: torch.Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A convex, once differentiable loss of the margin deficit.

    Attributes:
        gamma: width of the smoothed hinge, above 0; None is the squared hinge.
    """

    gamma: float | None = None

    def terms(self, scores: torch.Tensor, labels: torch.Tensor, costs: torch.Tensor) -> Terms:
        """Return value and derivatives.

        Args:
            scores: ``(...)`` float.
            labels: -1, 0 or +1, dtype and shape of ``scores``.
            costs: C_i of each pixel, 0 where it is ignored.
        """
        deficit = scores.mul(labels).neg_().add_(1).clamp_(min=0)
        if self.gamma is None:
            weighted = deficit * costs
            value = float((weighted * deficit).sum(dtype=_double()))
            curvature = costs * (deficit > 0) * 2
            return Terms(value, 0.0, weighted.mul_(labels).mul_(-2), curvature)
        inner = deficit.clamp(max=self.gamma)
        slope = inner * costs / self.gamma
        value = float((slope * (deficit - inner / 2)).sum(dtype=_double()))
        hinge = float((costs * deficit).sum(dtype=_double()))
        curvature = costs * ((deficit > 0) & (deficit < self.gamma)) / self.gamma
        return Terms(value, hinge - value, slope.mul_(labels).neg_(), curvature)

    def value(self, scores: torch.Tensor, labels: torch.Tensor, costs: torch.Tensor) -> float:
        """Return the sum of cost times loss; arguments as in :meth:`terms`."""
        return self.terms(scores, labels, costs).value


def _double() -> torch.dtype:
    import torch

    return torch.float64
