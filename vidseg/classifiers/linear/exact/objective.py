"""Objective and gradient of a linear SVM over all pixels of all frames, in one reading.

``f(w, b) = 1/2 (||w||^2 + b^2) + sum_i C_i loss(1 - y_i s_i)`` with ``s_i = w . z_i + b B`` on
standardised hypercolumns z, B the bias feature (liblinear's ``-B``). Scores take one product per
level at native size, the gradient its adjoint; a standardisation that the
features still lack is folded in. float32 within a
chunk of frames, float64 across chunks and processes. The same reading may draw a sample of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.frames import Chunk, Frames
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.exact.sample import Pick, RowBuffer, Sample, fill, gathered
from vidseg.classifiers.pyramid import Floats

TOGETHER = 64
"""Frames whose pixels are worked on together on a GPU."""

Columns = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Labels, costs, rates and places of some pixels."""


class Reading(NamedTuple):
    """What one reading of the frames found at a point.

    Attributes:
        point: ``float64 (P,)``: the weights, then b where there is a bias.
        value: the objective; that of the smoothed loss, where it is smoothed.
        gradient: ``float64 (P,)`` of ``value``.
        hinge: the objective that is meant, with the loss unsmoothed; else ``value``.
        excess: what smoothing adds to the duality gap; else 0.
    """

    point: Floats
    value: float
    gradient: Floats
    hinge: float
    excess: float

    @property
    def certificate(self) -> float:
        """An upper bound of ``f - f*``: ``||grad||^2 / 2`` (strong convexity 1), plus smoothing.

        It is the duality gap at the dual point that the residuals make.
        """
        return 0.5 * float(self.gradient @ self.gradient) + self.excess


@dataclass
class Meter:
    """What was read so far.

    Attributes:
        passes: readings of all frames.
        nbytes: bytes of features read in this process.
        draws: samples drawn; seeds the next one.
    """

    passes: int = 0
    nbytes: int = 0
    draws: int = 0


@dataclass
class Objective:
    """The problem that the solver minimises.

    Attributes:
        frames: this process's frames.
        costs: C_i of a background and of a foreground pixel that is seen once.
        bias: the bias feature B, or None for no bias.
        loss: of a pixel.
        ctx: for ``seed``, ``reduce``, ``rank``, ``world`` and ``stop``.
        pixels: number of pixels with a label, over all processes.
        blank: allocates one score a pixel, ``float32 (n, h, w)``.
        meter: counts readings.
        scores: those of the latest reading.
        buffer: the points of the latest sample.
    """

    frames: Frames
    costs: tuple[float, float]
    bias: float | None
    loss: Loss
    ctx: FitContext
    pixels: float
    blank: Callable[[], torch.Tensor]
    meter: Meter = field(default_factory=Meter)
    scores: torch.Tensor = field(init=False)
    buffer: RowBuffer = field(init=False)

    def __post_init__(self) -> None:
        self.scores = self.blank()
        self.buffer = RowBuffer(self.size, self.scores.device)

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return len(self.frames.standard.mean) + (self.bias is not None)

    @property
    def together(self) -> int:
        """Frames whose pixels are worked on together: on a CPU one stays in its cache."""
        return 1 if self.scores.device.type == "cpu" else TOGETHER

    def read(self, point: Floats, pick: Pick | None, aim: int) -> tuple[Reading, Sample | None]:
        """Read all frames once.

        Args:
            point: ``float64 (P,)``.
            pick: how a sample of pixels is drawn on the way; None draws none.
            aim: how many pixels it should have, in all processes together.

        The sample before is lost: the new one takes its place in memory.
        """
        scalars, gradient = np.zeros(3), np.zeros(len(self.frames.standard.mean) + 1)
        drawn: list[Columns] = []
        self.buffer.clear(self._reserve(aim))
        for chunk in self._chunks():
            scores = self._forward(chunk, point)
            self.scores[chunk.frames] = scores
            labels, costs = self._labels(chunk.frames)
            terms = self.loss.terms(scores, labels, costs)
            scalars += terms.value, terms.hinge, terms.excess
            gradient += self._adjoint(chunk, terms.residual)
            if pick is not None:
                distances = self.loss.distance(scores, labels)
                drawn += self._draw(chunk, pick, distances, labels, costs)
        reading = self._finish(point, self.ctx.reduce(np.concatenate([scalars, gradient])))
        return reading, None if pick is None else self._joined(drawn, aim)

    def sample(self, aim: int) -> Sample:
        """Read all frames once to draw ``aim`` pixels evenly; the sample before is lost."""
        pick, drawn = Pick.uniform(aim, self.pixels), list[Columns]()
        self.buffer.clear(self._reserve(aim))
        for chunk in self._chunks():
            labels, costs = self._labels(chunk.frames)
            drawn += self._draw(chunk, pick, torch.zeros_like(labels), labels, costs)
        return self._joined(drawn, aim)

    def along(self, start: torch.Tensor, end: torch.Tensor) -> Callable[[float], float]:
        """Return the summed loss on the line between two readings, from their scores alone.

        Args:
            start, end: scores as two readings left them; scores are linear in the step.
        """

        def value(step: float) -> float:
            total = 0.0
            for frames in self._runs(len(start)):
                labels, costs = self._labels(frames)
                scores = torch.lerp(start[frames], end[frames], step)
                total += self.loss.terms(scores, labels, costs).value
            return float(self.ctx.reduce(np.array([total]))[0])

        return value

    def _chunks(self) -> Iterator[Chunk]:
        """Yield all frames, counting the reading."""
        for chunk in self.frames.chunks():
            self.ctx.stop()
            yield chunk
        self.meter.passes += 1
        self.meter.nbytes += self.frames.nbytes

    def _forward(self, chunk: Chunk, point: Floats) -> torch.Tensor:
        bias = point[-1] * self.bias if self.bias is not None else 0.0
        weights, offset = self.frames.standard.fold(point[: len(self.frames.standard.mean)], bias)
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
        costs = labels.abs() * ((above + below) / 2) + labels * ((above - below) / 2)
        return labels, costs * self.frames.repeats[frames, None, None]

    def _adjoint(self, chunk: Chunk, maps: torch.Tensor) -> Floats:
        """Return ``X^T r`` on raw hypercolumns X with a last column of ones, ``float64 (C+1,)``."""
        native = self.frames.pyramid.adjoint(maps)
        parts = []
        for level, m in zip(chunk.levels, native, strict=True):
            frames = level.view(len(m), -1, level.shape[1]) if len(m) > 1 else level[None]
            parts.append((m.flatten(1)[:, None] @ frames).sum(dim=(0, 1), dtype=torch.float64))
        total = maps.sum(dtype=torch.float64)
        return torch.cat([*parts, total[None]]).cpu().numpy()

    def _draw(
        self,
        chunk: Chunk,
        pick: Pick,
        distances: torch.Tensor,
        labels: torch.Tensor,
        costs: torch.Tensor,
    ) -> list[Columns]:
        """Put the points that are drawn from a chunk into the buffer; return their columns."""
        columns = []
        for own in self._runs(len(labels)):
            first, count = chunk.frames.start + own.start, own.stop - own.start
            chance = self._chance(first, labels[own].numel())
            always = self._inside(pick.always, first, count)
            pixels, rates = pick.draw(distances[own], costs[own], chance, always)
            if not len(pixels):
                continue
            levels = [
                level.view(len(labels), -1, level.shape[1])[own].flatten(0, 1)
                if len(labels) > count
                else level
                for level in chunk.levels
            ]
            rows = self.buffer.more(len(pixels))
            fill(rows, self.frames.pyramid, levels, pixels, self.frames.standard, self.bias)
            cost = costs[own].ravel()[pixels] / rates
            places = self._places(pixels, first)
            columns.append((labels[own].ravel()[pixels], cost, rates, places))
        return columns

    def _runs(self, stop: int) -> Iterator[slice]:
        """Yield frames that are worked on together."""
        for first in range(0, stop, self.together):
            yield slice(first, min(first + self.together, stop))

    def _chance(self, first: int, count: int) -> torch.Tensor:
        """Return uniform numbers in 0..1, drawn by (seed, sample, process, first frame)."""
        seed = (self.ctx.seed, self.meter.draws, self.ctx.rank, first)
        device = self.scores.device
        if device.type == "cpu":
            return torch.from_numpy(np.random.default_rng(seed).random(count, np.float32))
        drawn = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) >> 1
        return torch.rand(
            count, generator=torch.Generator(device).manual_seed(drawn), device=device
        )

    def _places(self, pixels: torch.Tensor, first: int) -> torch.Tensor:
        """Return the place in the whole training set of pixels of the frames from ``first`` on."""
        size = self.frames.pyramid.pixels
        frame = (first + pixels // size) * self.ctx.world + self.ctx.rank
        return frame * size + pixels % size

    def _inside(self, places: npt.NDArray[np.int64], first: int, count: int) -> torch.Tensor:
        """Return those of some places that lie in ``count`` frames from ``first`` on, there."""
        size = self.frames.pyramid.pixels
        frame, pixel = places // size, places % size
        own = frame // self.ctx.world - first
        mine = (frame % self.ctx.world == self.ctx.rank) & (own >= 0) & (own < count)
        return torch.from_numpy(own[mine] * size + pixel[mine]).to(self.scores.device)

    def _joined(self, drawn: list[Columns], aim: int) -> Sample:
        """Return one sample of all that was drawn, in all processes."""
        none = torch.zeros(0, device=self.scores.device)
        drawn.append((none, none, none, none.long()))
        own = Sample(self.buffer.rows, *(torch.cat(parts) for parts in zip(*drawn, strict=True)))
        own = own.thinned(-(-aim // self.ctx.world), self.ctx.seed + self.meter.draws)
        self.meter.draws += 1
        return gathered(own, self.ctx.reduce, self.ctx.rank) if self.ctx.world > 1 else own

    def _reserve(self, aim: int) -> int:
        """Return the rows that this process's part of a sample hardly ever exceeds."""
        return 3 * aim // (2 * self.ctx.world)

    def _finish(self, point: Floats, sums: Floats) -> Reading:
        """Change to standardised features, and add the regulariser."""
        (loss, hinge, excess), gradient = sums[:3], sums[3:]
        slopes = (
            gradient[:-1] - self.frames.standard.mean * gradient[-1]
        ) * self.frames.standard.scale
        if self.bias is not None:
            slopes = np.append(slopes, self.bias * gradient[-1])
        norm = 0.5 * float(point @ point)
        return Reading(
            point, float(loss) + norm, slopes + point, float(hinge) + norm, float(excess)
        )
