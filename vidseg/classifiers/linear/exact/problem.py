"""One training set as a problem: opened once, solved for any number of costs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import (
    CostMode,
    LinearFit,
    LossName,
    point_cost,
    total_weight,
)
from vidseg.classifiers.linear.exact.checkpoint import Checkpoint
from vidseg.classifiers.linear.exact.frames import FrameReader, Frames
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.exact.memory_plan import PATHS, DataPath, MemoryPlan
from vidseg.classifiers.linear.exact.objective import Meter, Objective, Reading
from vidseg.classifiers.linear.exact.solver import Ending, Iterate, Rules, Solver
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import check_finite
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError, UsageError
from vidseg.tasks.segmentation.masks import both_classes

GAMMAS = tuple(0.25**k for k in range(13))
"""Widths of the smoothed hinge, one after the other, each started from the last one's solution."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is minimised, and how far; see :class:`vidseg.classifiers.linear.pixel_svm.PixelSvm`.

    Attributes:
        mode: ``mean`` divides the cost by the sum of the weights of all pixels.
        loss: of a pixel.
        bias: the bias feature, or None.
        positive_weight: weight of a foreground pixel; background has 1.
        standardise: whether to standardise.
        sigma_floor: smallest sigma, as a share of the level's median.
        tolerance: relative gap.
        max_passes: readings for each solution.
        sample: pixels in a sample, or None for 30 to 100 a weight.
    """

    mode: CostMode
    loss: LossName
    bias: float | None
    positive_weight: float
    standardise: bool
    sigma_floor: float
    tolerance: float
    max_passes: int
    sample: int | None


@dataclass(frozen=True)
class Solution:
    """A solution.

    Attributes:
        reading: point, objective and gradient.
        gap: estimate of how far the objective is above the optimum, smoothing included.
        ending: why the solver stopped.
        iterations: accepted readings.
        last: where a fit with another cost may start.
    """

    reading: Reading
    gap: float
    ending: Ending
    iterations: int
    last: Iterate


@dataclass
class Problem:
    """A training set, its standardisation, and its frames as they are read.

    Attributes:
        frames: of this process.
        standard: the standardisation.
        counts: labelled foreground and background pixels, over all processes, repeats counted.
        path: how the frames are read.
        memory: the arithmetic of memory.
        settings: what is minimised.
        ctx: of the fit.
        key: what the problem is, for checkpoints.
        meter: counts readings.
    """

    frames: Frames
    standard: Standardisation
    counts: tuple[float, float]
    path: DataPath
    memory: MemoryPlan
    settings: Settings
    ctx: FitContext
    key: str
    meter: Meter = field(default_factory=Meter)

    @classmethod
    def open(cls, fit: LinearFit, settings: Settings) -> Problem:
        """Choose the data path, standardise, and read the features into memory if they fit.

        Raises:
            DataError: one class only, features that are not finite, all constant, or of another
                extractor.
            ResourceError: the memory budget does not suffice; says the arithmetic.
            UsageError: more processes than frames.
        """
        train, ctx = fit.train, fit.ctx
        if len(train.refs) < ctx.world:
            raise UsageError(f"{ctx.world} processes share {len(train.refs)} frames")
        part = train.shard(ctx.rank, ctx.world) if ctx.world > 1 else train
        reader = FrameReader.of(part, fit.handle, fit.levels, ctx)
        labels = reader.labels()
        counts = _counts(labels, reader.repeats, ctx)
        parameters = sum(reader.channels) + (settings.bias is not None)
        aim = _aim(settings, parameters, sum(counts), ctx.memory_budget)
        memory = MemoryPlan.of(reader, parameters, aim, ctx.memory_budget)
        path = memory.path
        ctx.progress.say(memory.reason(path))
        standard = _standardisation(reader, settings, ctx)
        frames = memory.open(reader, labels, standard, path, ctx)
        key = repr(
            (settings, reader.levels, fit.handle.fingerprint, reader.refs, ctx.seed, ctx.world)
        )
        digest = hashlib.blake2b(labels.cpu().numpy().tobytes() + standard.mean.tobytes())
        key += digest.hexdigest()
        return cls(frames, standard, counts, path, memory, settings, ctx, key)

    @property
    def weight(self) -> float:
        """Sum of the weights of all labelled pixels."""
        return total_weight(self.counts, self.settings.positive_weight)

    def solve(
        self, cost: float, name: str, start: Floats | None = None, after: Iterate | None = None
    ) -> Solution:
        """Minimise for ``C = cost``; continues from a checkpoint of the same fit.

        Args:
            cost: C, in the settings' mode.
            name: of the fit, for its checkpoint.
            start: ``float64 (P,)`` to start from; by default the solution of a small sample.
            after: iterate of another cost's solution to start from, at no extra reading.
        """
        checkpoint = Checkpoint(self.ctx, name, f"{cost!r} {self.key} {_digest(start, after)}")
        objective = self._objective(cost)
        found = checkpoint.load(objective.size, self.meter)
        iterate, phase = found or (None, 0)
        gammas = GAMMAS if self.settings.loss == "hinge" else (None,)
        rules = Rules(self.settings.tolerance, self.settings.max_passes, self.memory.aim)
        iterations = 0
        while True:
            objective.loss = Loss(gammas[phase])
            watch = partial(self._watch, checkpoint, phase)
            solver = Solver(objective, rules, watch)
            if iterate is None:
                iterate = _restarted(after) if after and after.best else solver.start(start)
            iterate, ending = solver.run(iterate)
            assert iterate.best is not None
            best, gap = iterate.best, iterate.gap + iterate.best.excess
            iterations += iterate.iteration
            close = gap <= self.settings.tolerance * best.hinge
            if close or ending == "passes" or phase + 1 == len(gammas):
                return Solution(best, gap, ending, iterations, iterate)
            phase, iterate = phase + 1, _restarted(iterate)

    def head(self, solution: Solution, fit: LinearFit) -> LinearHead:
        """Return the head of a solution."""
        point, bias = solution.reading.point, self.settings.bias
        if bias is None:
            return fit.head(self.standard, point, 0.0)
        return fit.head(self.standard, point[:-1], float(point[-1]) * bias)

    def _objective(self, cost: float) -> Objective:
        unit = point_cost(cost, self.settings.mode, self.weight)
        return Objective(
            self.frames,
            (unit, unit * self.settings.positive_weight),
            self.settings.bias,
            Loss(),
            self.ctx,
            sum(self.counts),
            self.memory.blanks(self.frames.labels, self.ctx.workdir),
            self.meter,
        )

    def _watch(self, checkpoint: Checkpoint, phase: int, iterate: Iterate) -> None:
        checkpoint.save(iterate, phase, self.meter)
        if iterate.best is None or iterate.refused:
            return
        step = self.meter.passes
        values = {
            "objective": iterate.best.hinge,
            "gradient_norm": float(np.linalg.norm(iterate.best.gradient)),
            "certificate": iterate.best.certificate,
            "gap": iterate.gap + iterate.best.excess,
            "passes": float(self.meter.passes),
            "bytes_read": float(self.meter.nbytes),
        }
        for key, value in values.items():
            self.ctx.log(
                key if checkpoint.name == "fit" else f"{checkpoint.name}/{key}", value, step
            )

    @property
    def facts(self) -> dict[str, float]:
        """What the problem is, in numbers."""
        return {
            "points": sum(self.counts),
            "dimensions": float(len(self.standard.mean)),
            "frames": float(self.memory.frames),
            "data_path": float(PATHS.index(self.path)),
            "feature_bytes": float(self.frames.nbytes),
            "passes": float(self.meter.passes),
            "bytes_read": float(self.meter.nbytes),
        }


def _restarted(iterate: Iterate) -> Iterate:
    """Return the start of another objective's fit at the best point of this one."""
    assert iterate.best is not None
    return Iterate(iterate.best.point, iterate.pick)


def _digest(start: Floats | None, after: Iterate | None) -> str:
    """Return what identifies the starting point: a resumed fit must have begun at the same."""
    point = start if after is None or after.best is None else after.best.point
    return "" if point is None else hashlib.blake2b(point.tobytes()).hexdigest()


def _aim(settings: Settings, parameters: int, pixels: float, budget: int) -> int:
    """Return the number of pixels in a sample.

    30 a weight for few pixels; of many, every 50th up to 100 a weight, as far as a sixteenth of
    the memory budget holds them.
    """
    if settings.sample is not None:
        return settings.sample
    many = min(100 * parameters, int(pixels) // 50, budget // (16 * 4 * parameters))
    return max(4096, 30 * parameters, many)


def _counts(labels: torch.Tensor, repeats: torch.Tensor, ctx: FitContext) -> tuple[float, float]:
    positive = ((labels > 0).flatten(1).sum(1) * repeats.double()).sum()
    negative = ((labels < 0).flatten(1).sum(1) * repeats.double()).sum()
    counts = ctx.reduce(np.array([float(positive), float(negative)]))
    both_classes((int(counts[0]), int(counts[1])), where="pixel_svm")
    return float(counts[0]), float(counts[1])


def _standardisation(reader: FrameReader, settings: Settings, ctx: FitContext) -> Standardisation:
    if not settings.standardise:
        for ref in reader.refs:
            ctx.stop()
            check_finite(reader.read(ref), ref, reader.levels)
        return Standardisation.identity(reader.channels)
    reader.read(reader.refs[0])
    standard = Standardisation.compute(reader.train, ctx, reader.levels, settings.sigma_floor)
    if not (standard.scale > 0).any():
        raise DataError(
            "every feature is constant over the training frames",
            where="pixel_svm",
            hint="choose other frames, or another extractor",
        )
    return standard
