"""Dual coordinate descent for the linear SVM (Hsieh et al. 2008), on one block of points.

The dual of ``||w||^2 / 2 + sum_i C_i loss_i`` is ``min a^T (Q + D) a / 2 - sum a`` over
``0 <= a_i <= U_i`` with ``Q_ij = y_i y_j x_i . x_j`` and ``w = sum a_i y_i x_i``. For the hinge
(liblinear ``-s 3``) ``D = 0`` and ``U_i = C_i``; for the squared hinge (``-s 1``)
``D_ii = 1 / (2 C_i)`` and ``U_i`` is infinite. One coordinate is minimised exactly at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.linear.base import LossName
from vidseg.classifiers.linear.points import Signs
from vidseg.classifiers.pyramid import Float32, Floats
from vidseg.utils.compiled import compiled

Rows = npt.NDArray[np.int64]

STRETCH = 1 << 15
"""Points between two calls of ``stop``: a compiled loop cannot be interrupted."""


class Sweep(NamedTuple):
    """What one visit of some points found.

    Attributes:
        loss: sum of ``C_i loss_i``, each taken just before its point was visited.
        high, low: largest and smallest projected gradient; the optimum has 0.
        kept: rows of the points that were not shrunk.
    """

    loss: float
    high: float
    low: float
    kept: Rows


@dataclass
class Dual:
    """The dual variables of all points, and the primal weights that they make.

    Attributes:
        loss: hinge or squared_hinge.
        costs: C of a background and of a foreground point.
        bias: value of the constant feature, 0 without bias; it is regularised, as in liblinear.
        labels: ``int8 (n,)``, +1 and -1.
        alpha: ``float64 (n,)``.
        square: ``float32 (n,)``: ``||x_i||^2`` with the bias; 0 until the point was visited.
        weights: ``float64 (C + 1,)``: ``sum a_i y_i x_i``, the bias feature's last.
    """

    loss: LossName
    costs: tuple[float, float]
    bias: float
    labels: Signs
    alpha: Floats
    square: Float32
    weights: Floats

    BYTES_PER_POINT = 1 + 8 + 4

    @classmethod
    def zero(
        cls, loss: LossName, costs: tuple[float, float], bias: float, labels: Signs, dimensions: int
    ) -> Dual:
        """Return the start: all dual variables 0, hence all weights."""
        alpha, square = np.zeros(len(labels)), np.zeros(len(labels), np.float32)
        return cls(loss, costs, max(bias, 0.0), labels, alpha, square, np.zeros(dimensions + 1))

    def visit(
        self,
        points: Float32,
        part: slice,
        order: Rows,
        bounds: tuple[float, float],
        stop: Callable[[], None],
    ) -> Sweep:
        """Minimise by each point of ``order`` once, in that order.

        Args:
            points: ``float32 (m, C)``, C-contiguous: a block.
            part: which of all points they are.
            order: rows of the block; changed.
            bounds: projected gradients above the first (below the second) are those of points
                that stay at their bound: such points are shrunk (liblinear's rule).
            stop: called now and then.
        """
        labels, alpha, square = self.labels[part], self.alpha[part], self.square[part]
        total, high, low, kept = 0.0, 0.0, 0.0, []
        for start in range(0, len(order), STRETCH):
            stop()
            piece = order[start : start + STRETCH]
            loss, top, bottom, left = _sweep()(
                points, labels, alpha, square, self.weights, piece,
                *self.costs, self.bias, self.loss == "hinge", *bounds,
            )  # fmt: skip
            total, high, low = total + loss, max(high, top), min(low, bottom)
            kept.append(piece[:left])
        return Sweep(total, high, low, np.concatenate(kept))

    def losses(self, points: Float32, part: slice) -> float:
        """Return the sum of ``C_i loss_i`` of a block at the present weights."""
        return float(
            _losses()(
                points, self.labels[part], self.weights,
                *self.costs, self.bias, self.loss == "hinge",
            )
        )  # fmt: skip

    def value(self) -> float:
        """Return the dual objective, a lower bound of the primal one.

        ``sum a - ||w||^2 / 2 - sum a_i^2 D_ii / 2``.
        """
        total = float(self.alpha.sum()) - 0.5 * float(self.weights @ self.weights)
        if self.loss == "hinge":
            return total
        positive = self.labels > 0
        squares = (float((self.alpha[side] ** 2).sum()) for side in (~positive, positive))
        return total - sum(s / (4 * c) for s, c in zip(squares, self.costs, strict=True))

    def primal(self, loss: float) -> float:
        """Return the primal objective, given the sum of the losses."""
        return loss + 0.5 * float(self.weights @ self.weights)


def _visit(
    points: Any, labels: Any, alpha: Any, square: Any, weights: Any, order: Any,
    cost_negative: float, cost_positive: float, bias: float, hinge: bool,
    above: float, below: float,
) -> tuple[float, float, float, int]:  # fmt: skip
    """See :meth:`Dual.visit`; compiled. Changes alpha, square, weights and order."""
    width = points.shape[1]
    loss, high, low = 0.0, 0.0, 0.0
    left = 0
    for place in range(len(order)):
        i = order[place]
        row = points[i]
        sign = float(labels[i])
        cost = cost_positive if sign > 0 else cost_negative
        if square[i] == 0.0:
            norm = bias * bias
            for j in range(width):
                norm += row[j] * row[j]
            # an all-zero point without bias has no weight to change
            square[i] = max(norm, 1e-12)
        score = weights[width] * bias
        for j in range(width):
            score += row[j] * weights[j]
        gradient = sign * score - 1.0
        slack = max(0.0, -gradient)
        loss += cost * slack if hinge else cost * slack * slack
        ridge = 0.0 if hinge else 0.5 / cost
        gradient += alpha[i] * ridge
        projected = gradient
        if alpha[i] == 0.0:
            if gradient > above:
                continue
            projected = min(gradient, 0.0)
        elif hinge and alpha[i] >= cost:
            if gradient < below:
                continue
            projected = max(gradient, 0.0)
        order[place], order[left] = order[left], i
        left += 1
        high, low = max(high, projected), min(low, projected)
        if abs(projected) > 1e-12:
            before = alpha[i]
            after = max(before - gradient / (square[i] + ridge), 0.0)
            alpha[i] = min(after, cost) if hinge else after
            change = (alpha[i] - before) * sign
            for j in range(width):
                weights[j] += change * row[j]
            weights[width] += change * bias
    return loss, high, low, left


def _total(
    points: Any, labels: Any, weights: Any,
    cost_negative: float, cost_positive: float, bias: float, hinge: bool,
) -> float:  # fmt: skip
    """See :meth:`Dual.losses`; compiled."""
    width = points.shape[1]
    loss = 0.0
    for i in range(len(points)):
        row = points[i]
        score = weights[width] * bias
        for j in range(width):
            score += row[j] * weights[j]
        slack = max(0.0, 1.0 - labels[i] * score)
        cost = cost_positive if labels[i] > 0 else cost_negative
        loss += cost * slack if hinge else cost * slack * slack
    return loss


# sums may be reordered, or a dot product would not use vector instructions; NaN stays NaN
_OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract"}}


@functools.cache
def _sweep() -> Callable[..., Any]:
    return compiled(_visit, **_OPTIONS)


@functools.cache
def _losses() -> Callable[..., Any]:
    return compiled(_total, **_OPTIONS)
