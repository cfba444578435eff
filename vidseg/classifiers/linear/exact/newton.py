"""Newton's method on a sample: its Hessian is small enough to be factorised.

Minimises ``1/2 ||p||^2 + sum_i c_i loss_i(z_i . p) + tilt . p``. The Gram matrix is updated by the
pixels whose curvature changed, and steps are found exactly on the sample's scores (finite Newton
with exact line search: Keerthi & DeCoste 2005, "A modified finite Newton method").
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch

from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.exact.sample import Sample

ENOUGH = 0.01
"""Stop when the next step predicts less than this share of the decrease so far."""

MAX_STEPS = 40

ROWS = 4096
"""Rows that are weighted at a time: they stay in the processor's cache."""

BLOCKS = 4
"""The Gram matrix is made in as many block columns: 5/8 of the products of a full one."""


class Minimum(NamedTuple):
    """Where Newton's method ended.

    Attributes:
        point: ``float64 (P,)``.
        scores: ``float32 (m,)`` of the sample there.
        decrease: by how much the sample's objective fell, what the last step promised included;
            at least what the first step promised, where rounding hides the fall.
    """

    point: torch.Tensor
    scores: torch.Tensor
    decrease: float


@dataclass
class Newton:
    """A sample, and what is minimised on it.

    Attributes:
        sample: the pixels.
        loss: of a pixel.
        tilt: ``float64 (P,)``: gradient of all pixels minus that of the sample; makes both agree
            at the starting point (Shamir, Srebro & Zhang 2014, DANE).
        exact: the Gram matrix in float64; set when float32 leaves it indefinite.
    """

    sample: Sample
    loss: Loss
    tilt: torch.Tensor
    exact: bool = False

    def minimise(
        self, point: torch.Tensor, enough: float = 0.0, most: float = float("inf")
    ) -> Minimum:
        """Iterate from ``point`` until a step promises less than ``enough``.

        A sample that lets the objective fall by more than ``most``, which is more than there is,
        holds no longer: then the first step is returned, with what it won.
        """
        labels, costs = self.sample.labels, self.sample.costs
        scores = self.sample.points @ point.float()
        start = self._value(point, scores)
        curvature, gram = torch.zeros_like(costs), None
        promised = first = 0.0
        single: Minimum | None = None
        for _ in range(MAX_STEPS):
            gradient = self._gradient(point, scores)
            latest = self.loss.curvature(scores, labels, costs)
            gram, step = self._direction(gram, latest, curvature, gradient)
            curvature = latest
            promised = -0.5 * float(gradient @ step)
            first = first or promised
            won = start - self._value(point, scores)
            if single is None and won > 0:
                single = Minimum(point, scores, max(first, won))
            if single is not None and won + promised > most:
                return single
            if promised <= max(enough, ENOUGH * won):
                break
            change = self.sample.points @ step.float()
            length = self._length(point, step, scores, change)
            point, scores = point + length * step, scores + length * change
        decrease = max(first, start - self._value(point, scores) + promised)
        return Minimum(point, scores, decrease)

    def _value(self, point: torch.Tensor, scores: torch.Tensor) -> float:
        loss = self.loss.terms(scores, self.sample.labels, self.sample.costs).value
        return 0.5 * float(point @ point) + loss + float(self.tilt @ point)

    def _gradient(self, point: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        terms = self.loss.terms(scores, self.sample.labels, self.sample.costs)
        return (terms.residual @ self.sample.points).double() + point + self.tilt

    def _updated(self, gram: torch.Tensor | None, change: torch.Tensor) -> torch.Tensor:
        """Return the Gram matrix with the changed curvatures added, ``(P, P)``, as below."""
        points = self.sample.points
        if gram is None:
            width = points.shape[1]
            kind = torch.float64 if self.exact else points.dtype
            gram = points.new_zeros(width, width, dtype=kind)
        for rows in torch.split(change.nonzero()[:, 0], ROWS):
            _add_gram(gram, points[rows].to(gram), change[rows, None].to(gram))
        return gram

    def _direction(
        self,
        gram: torch.Tensor | None,
        latest: torch.Tensor,
        before: torch.Tensor,
        gradient: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the Gram matrix of the ``latest`` curvatures, and Newton's step."""
        gram = self._updated(gram, latest - before)
        step, settled = self._step(gram, gradient)
        if not settled:  # rounding left the Gram matrix indefinite: once more, in float64
            self.exact = True
            gram = self._updated(None, latest)
            step, _ = self._step(gram, gradient)
        return gram, step

    def _step(self, gram: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Return ``-H^-1 g``, and whether H was positive definite without help."""
        hessian, ridge = gram.clone(), 0.0
        hessian.diagonal().add_(1)
        while True:
            factor, failed = torch.linalg.cholesky_ex(hessian)
            if not failed:
                step = torch.cholesky_solve(-gradient[:, None].to(factor), factor)[:, 0]
                return step.double(), True
            if not self.exact:
                return gradient, False
            ridge = max(10 * ridge, 1e-12 * float(gram.diagonal().max()))
            hessian.diagonal().add_(ridge)

    def _length(
        self, point: torch.Tensor, step: torch.Tensor, scores: torch.Tensor, change: torch.Tensor
    ) -> float:
        """Return the step length that minimises the sample's objective, to 1 % of the slope."""
        labels, costs = self.sample.labels, self.sample.costs
        straight, bend = float(step @ (point + self.tilt)), float(step @ step)

        def slope(t: float) -> float:
            residual = self.loss.terms(scores + t * change, labels, costs).residual
            return float(residual @ change) + straight + t * bend

        first, low, high, length = abs(slope(0.0)), 0.0, float("inf"), 1.0
        for _ in range(25):
            at = slope(length)
            if abs(at) <= 1e-2 * first:
                break
            low, high = (low, length) if at > 0 else (length, high)
            curved = self.loss.curvature(scores + length * change, labels, costs)
            guess = length - at / (float(curved @ (change * change)) + bend)
            middle = 2 * length if high == float("inf") else 0.5 * (low + high)
            length = guess if low < guess < high else middle
        return length


def _add_gram(gram: torch.Tensor, points: torch.Tensor, weights: torch.Tensor) -> None:
    """Add ``X^T diag(d) X`` to ``gram``; only what is on the diagonal and below is right."""
    width = points.shape[1]
    edges = [width * i // BLOCKS for i in range(BLOCKS + 1)]
    weighted = points * weights
    for start, end in itertools.pairwise(edges):
        gram[start:, start:end].addmm_(points[:, start:].T, weighted[:, start:end])
