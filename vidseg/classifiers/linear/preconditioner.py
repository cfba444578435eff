"""Steps that are as long in every direction: the second moments of a sample of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.points import PointSet
from vidseg.errors import DataError

PIXELS = 4
"""Pixels that are drawn, in units of the number of features."""
RIDGE = 0.02
"""What is added to every second moment, as a share of the largest one: no direction is trusted to
be as flat as a sample says, and single frames are steeper than their mean."""


@dataclass(frozen=True)
class Preconditioner:
    """Turns gradients into steps: ``(S + ridge)^-1 g``, ``S`` the mean of ``x x^T`` over pixels.

    Attributes:
        basis: ``float64 (d, d)``: eigenvectors of ``S`` in columns.
        steepness: ``float64 (d,)``: eigenvalues of ``S`` plus the ridge.
        energy: mean of ``x^T (S + ridge)^-1 x``.
    """

    basis: torch.Tensor
    steepness: torch.Tensor
    energy: float

    @classmethod
    def of(cls, points: PointSet, bias: float, ctx: FitContext) -> Preconditioner:
        """Measure on random pixels of every frame; features are read once.

        Args:
            points: standardised; ``per_frame`` is set here.
            bias: value of the constant feature, which comes last.
            ctx: of the fit.

        Raises:
            DataError: features are not finite.
        """
        size = points.dimensions + 1
        per_frame = -(-PIXELS * size // len(points.train.refs))
        drawn = PointSet(points.train, points.standardisation, points.names, ctx.seed, per_frame)
        moments, count = np.zeros((size, size)), 0
        for x, _ in drawn.frames(ctx):
            with_bias = np.column_stack([x, np.full(len(x), bias, np.float32)])
            moments += with_bias.T @ with_bias
            count += len(x)
        if not np.isfinite(moments).all():
            raise DataError(
                "the features are too large to square",
                where="training frames",
                hint="leave standardise=true, or another extractor",
            )
        return cls.from_moments(moments / max(count, 1), ctx.device)

    @classmethod
    def from_moments(
        cls, moments: np.ndarray[tuple[int, int], np.dtype[np.float64]], device: str
    ) -> Preconditioner:
        """Return the preconditioner of second moments, ``float64 (d, d)``."""
        values, vectors = np.linalg.eigh(moments)
        values = np.maximum(values, 0.0)
        steepness = values + max(RIDGE * float(values[-1]), 1e-12)
        return cls(
            torch.from_numpy(vectors).to(device),
            torch.from_numpy(steepness).to(device),
            max(float((values / steepness).sum()), 1e-12),
        )
