"""Objective, gradient and exact Hessian of a linear SVM over all pixels of all frames.

``f(w, b) = 1/2 (||w||^2 + b^2) + sum_i C_i loss(1 - y_i s_i)`` with ``s_i = w . z_i + b B`` on
standardised hypercolumns z, B the bias feature (liblinear's ``-B``). One reading of the frames
gives all three: scores by one product per level at native size, the gradient by the adjoint, the
Hessian by banded products (:mod:`vidseg.classifiers.linear.exact.gram`). float32 within a chunk of
frames, float64 across chunks and processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.frames import Chunk, Frames
from vidseg.classifiers.linear.exact.gram import weighted_gram
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.pyramid import Floats


class Reading(NamedTuple):
    """What one reading of the frames found at a point.

    Attributes:
        point: ``float64 (P,)``: the weights, then b where there is a bias.
        value: the objective.
        gradient: ``float64 (P,)``.
        hessian: ``float64 (P, P)`` of all frames, or scaled up from a share of them; None when it
            was not asked for.
        excess: how far the smoothed hinge lies below the hinge, times the costs; 0 otherwise.
    """

    point: Floats
    value: float
    gradient: Floats
    hessian: Floats | None
    excess: float


@dataclass
class Meter:
    """What was read so far.

    Attributes:
        passes: readings of all frames; a part of them counts as that part.
        nbytes: bytes of features read in this process.
    """

    passes: float = 0.0
    nbytes: float = 0.0


class _Sums:
    """Sums over chunks, on raw features, in float64: what a reading adds up."""

    def __init__(self, width: int, hessian: bool) -> None:
        self.scalars = np.zeros(3)  # loss, excess, frames in the Hessian
        self.gradient = np.zeros(width + 1)  # the last is the sum of the residuals
        self.moments = np.zeros((width + 1, width + 1)) if hessian else None


@dataclass
class Objective:
    """The problem that the solver minimises.

    Attributes:
        frames: this process's frames.
        standard: the standardisation, which is folded in and never applied.
        costs: C_i of a background and of a foreground pixel that is seen once.
        bias: the bias feature B, or None for no bias.
        loss: of a pixel.
        ctx: for ``reduce`` and ``stop``.
        scores: ``float32 (n, h, w)``: holds the scores of the latest reading.
        meter: counts readings.
    """

    frames: Frames
    standard: Standardisation
    costs: tuple[float, float]
    bias: float | None
    loss: Loss
    ctx: FitContext
    scores: torch.Tensor
    meter: Meter = field(default_factory=Meter)

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return len(self.standard.mean) + (self.bias is not None)

    def read(self, point: Floats, share: float = 0.0) -> Reading:
        """Read all frames once.

        Args:
            point: ``float64 (P,)``.
            share: of the frames that the Hessian is computed from; 0 computes none.
        """
        sums = _Sums(len(self.standard.mean), share > 0)
        due = 0.0
        for chunk in self.frames.chunks():
            self.ctx.stop()
            count = chunk.frames.stop - chunk.frames.start
            due += share * count
            self._add(sums, chunk, point, with_hessian=due >= 0.5)
            due -= count * (due >= 0.5)
        self.meter.passes += 1
        self.meter.nbytes += self.frames.nbytes
        return self._finish(point, sums)

    def along(self, start: torch.Tensor, end: torch.Tensor) -> Callable[[float], float]:
        """Return the summed loss on the line between two readings, from their scores alone.

        Args:
            start, end: scores as two readings left them; scores are linear in the step.
        """

        def value(step: float) -> float:
            total = 0.0
            for frame in range(len(start)):
                labels, costs = self._labels(slice(frame, frame + 1))
                scores = torch.lerp(start[frame], end[frame], step)[None]
                total += self.loss.value(scores, labels, costs)
            return float(self.ctx.reduce(np.array([total]))[0])

        return value

    def _forward(self, chunk: Chunk, point: Floats) -> torch.Tensor:
        bias = point[-1] * self.bias if self.bias is not None else 0.0
        weights, offset = self.standard.fold(point[: len(self.standard.mean)], bias)
        levels = zip(chunk.levels, weights, self.frames.pyramid.levels, strict=True)
        maps = [
            (level @ torch.from_numpy(weight).to(level.device)).view(-1, *size)
            for level, weight, size in levels
        ]
        return self.frames.pyramid.forward(maps).add(offset)

    def _labels(self, frames: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return labels and costs of some frames, ``float32 (n, h, w)``."""
        labels = self.frames.labels[frames].float()
        below, above = self.costs
        costs = labels.abs() * (above + below) / 2 + labels * ((above - below) / 2)
        return labels, costs * self.frames.repeats[frames, None, None]

    def _add(self, sums: _Sums, chunk: Chunk, point: Floats, *, with_hessian: bool) -> None:
        scores = self._forward(chunk, point)
        self.scores[chunk.frames] = scores
        terms = self.loss.terms(scores, *self._labels(chunk.frames))
        sums.scalars[:2] += terms.value, terms.excess
        sums.gradient += self._adjoint(chunk, terms.residual)
        if sums.moments is None or not with_hessian:
            return
        sums.scalars[2] += float(self.frames.repeats[chunk.frames].sum())
        first = self._adjoint(chunk, terms.curvature)
        sums.moments[-1] += first
        sums.moments[:-1, -1] += first[:-1]
        for frame, weights in enumerate(terms.curvature):
            levels = [level.view(len(scores), -1, level.shape[1])[frame] for level in chunk.levels]
            gram = weighted_gram(self.frames.pyramid, levels, weights)
            sums.moments[:-1, :-1] += gram.cpu().numpy()

    def _adjoint(self, chunk: Chunk, maps: torch.Tensor) -> Floats:
        """Return ``X^T r`` on raw hypercolumns X with a last column of ones, ``float64 (C+1,)``."""
        native = self.frames.pyramid.adjoint(maps)
        parts = [m.flatten() @ level for level, m in zip(chunk.levels, native, strict=True)]
        total = maps.sum(dtype=torch.float64)
        return torch.cat([*(p.double() for p in parts), total[None]]).cpu().numpy()

    def _finish(self, point: Floats, sums: _Sums) -> Reading:
        """Sum over processes, change to standardised features, add the regulariser."""
        everything = self.ctx.reduce(
            np.concatenate([sums.scalars, [float(self.frames.repeats.sum())], sums.gradient])
        )
        (loss, excess, sampled, frames), gradient = everything[:4], everything[4:]
        hessian = None
        if sums.moments is not None:
            hessian = self._standardised(self.ctx.reduce(sums.moments) * (frames / sampled))
            hessian[np.diag_indices_from(hessian)] += 1
        slopes = (gradient[:-1] - self.standard.mean * gradient[-1]) * self.standard.scale
        if self.bias is not None:
            slopes = np.append(slopes, self.bias * gradient[-1])
        value = loss + 0.5 * float(point @ point)
        return Reading(point, value, slopes + point, hessian, float(excess))

    def _standardised(self, moments: Floats) -> Floats:
        """Return ``Z^T diag(d) Z`` from raw moments, with the bias feature as last column."""
        mean, scale = self.standard.mean, self.standard.scale
        first, total = moments[-1, :-1], moments[-1, -1]
        cross = np.outer(first, mean)
        body = moments[:-1, :-1] - cross - cross.T + total * np.outer(mean, mean)
        body *= np.outer(scale, scale)
        if self.bias is None:
            return body
        edge = self.bias * scale * (first - total * mean)
        corner = np.array([[self.bias**2 * total]])
        return np.block([[body, edge[:, None]], [edge[None], corner]])
