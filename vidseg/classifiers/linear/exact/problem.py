"""One training set as a problem: opened once, solved for any number of costs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.checkpoint import Checkpoint
from vidseg.classifiers.linear.exact.frames import Frames, Source
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.exact.memory_plan import PATHS, DataPath, MemoryPlan
from vidseg.classifiers.linear.exact.objective import Meter, Objective, Reading
from vidseg.classifiers.linear.exact.solver import Ending, Rules, Solver, Stage
from vidseg.classifiers.linear.levels import check_finite
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError, UsageError
from vidseg.extractors.base import ExtractorHandle
from vidseg.tasks.segmentation.masks import both_classes
from vidseg.types import TrainingSet

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

    mode: Literal["mean", "sum"]
    loss: Literal["squared_hinge", "hinge"]
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
        stage: where a fit with another cost may start.
    """

    reading: Reading
    gap: float
    ending: Ending
    iterations: int
    stage: Stage


@dataclass
class Problem:
    """A training set, its standardisation, and its frames as they are read.

    Attributes:
        frames: of this process.
        standard: the standardisation.
        counts: labelled foreground and background pixels, over all processes, repeats counted.
        path: how the frames are read.
        room: the arithmetic of memory.
        settings: what is minimised.
        ctx: of the fit.
        key: what the problem is, for checkpoints.
        meter: counts readings.
    """

    frames: Frames
    standard: Standardisation
    counts: tuple[float, float]
    path: DataPath
    room: MemoryPlan
    settings: Settings
    ctx: FitContext
    key: str
    meter: Meter = field(default_factory=Meter)

    @classmethod
    def open(
        cls,
        train: TrainingSet,
        handle: ExtractorHandle,
        chosen: Sequence[int],
        settings: Settings,
        ctx: FitContext,
    ) -> Problem:
        """Choose the data path, standardise, and read the features into memory if they fit.

        Raises:
            DataError: one class only, features that are not finite, all constant, or of another
                extractor.
            ResourceError: the memory budget does not suffice; says the arithmetic.
            UsageError: more processes than frames.
        """
        if len(train.refs) < ctx.world:
            raise UsageError(f"{ctx.world} processes share {len(train.refs)} frames")
        part = train.shard(ctx.rank, ctx.world) if ctx.world > 1 else train
        source = Source.of(part, handle, chosen, ctx)
        labels = source.labels()
        counts = _counts(labels, source.repeats, ctx)
        parameters = sum(source.channels) + (settings.bias is not None)
        room = MemoryPlan.of(
            source,
            parameters,
            _aim(settings, parameters, sum(counts), ctx.memory_budget),
            ctx.memory_budget,
        )
        path = room.path
        ctx.progress.say(room.reason(path))
        standard = _standardisation(source, settings, ctx)
        frames = room.open(source, labels, standard, path, ctx)
        key = repr((settings, source.levels, handle.fingerprint, source.refs, ctx.seed, ctx.world))
        digest = hashlib.blake2b(labels.cpu().numpy().tobytes() + standard.mean.tobytes())
        return cls(frames, standard, counts, path, room, settings, ctx, key + digest.hexdigest())

    @property
    def weight(self) -> float:
        """Sum of the weights of all labelled pixels."""
        return self.counts[0] * self.settings.positive_weight + self.counts[1]

    def solve(
        self, cost: float, name: str, start: Floats | None = None, after: Stage | None = None
    ) -> Solution:
        """Minimise for ``C = cost``; continues from a checkpoint of the same fit.

        Args:
            cost: C, in the settings' mode.
            name: of the fit, for its checkpoint.
            start: ``float64 (P,)`` to start from; by default the solution of a small sample.
            after: stage of another cost's solution to start from, at no extra reading.
        """
        checkpoint = Checkpoint(self.ctx, name, f"{cost!r} {self.key} {_digest(start, after)}")
        objective = self._objective(cost)
        found = checkpoint.load(objective.size, self.meter)
        stage, phase = found or (None, 0)
        gammas = GAMMAS if self.settings.loss == "hinge" else (None,)
        iterations = 0
        while True:
            objective.loss = Loss(gammas[phase])

            def watch(stage: Stage, phase: int = phase) -> None:
                checkpoint.save(stage, phase, self.meter)
                self._log(stage, name)

            rules = Rules(self.settings.tolerance, self.settings.max_passes, self.room.aim)
            solver = Solver(objective, rules, watch)
            if stage is None:
                stage = _restarted(after, after.best.point) if after and after.best else None
                stage = stage or solver.start(start)
            stage, ending = solver.run(stage)
            assert stage.best is not None
            best, gap = stage.best, stage.gap + stage.best.excess
            iterations += stage.iteration
            if (
                phase + 1 == len(gammas)
                or ending == "passes"
                or gap <= self.settings.tolerance * best.hinge
            ):
                return Solution(best, gap, ending, iterations, stage)
            phase, stage = phase + 1, _restarted(stage, best.point)

    def _objective(self, cost: float) -> Objective:
        unit = cost / self.weight if self.settings.mode == "mean" else cost
        return Objective(
            self.frames,
            (unit, unit * self.settings.positive_weight),
            self.settings.bias,
            Loss(),
            self.ctx,
            sum(self.counts),
            self.room.blanks(self.frames.labels, self.ctx.workdir),
            self.meter,
        )

    def _log(self, stage: Stage, name: str) -> None:
        if stage.best is None or stage.refused:
            return
        step = self.meter.passes
        values = {
            "objective": stage.best.hinge,
            "gradient_norm": float(np.linalg.norm(stage.best.gradient)),
            "certificate": stage.best.certificate,
            "gap": stage.gap + stage.best.excess,
            "passes": float(self.meter.passes),
            "bytes_read": float(self.meter.nbytes),
        }
        for key, value in values.items():
            self.ctx.log(key if name == "fit" else f"{name}/{key}", value, step)

    @property
    def facts(self) -> dict[str, float]:
        """What the problem is, in numbers."""
        return {
            "points": sum(self.counts),
            "dimensions": float(len(self.standard.mean)),
            "frames": float(self.room.frames),
            "data_path": float(PATHS.index(self.path)),
            "feature_bytes": float(self.frames.nbytes),
            "passes": float(self.meter.passes),
            "bytes_read": float(self.meter.nbytes),
        }


def _restarted(stage: Stage, point: Floats) -> Stage:
    return Stage(point, stage.pick)


def _digest(start: Floats | None, after: Stage | None) -> str:
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
    room = budget // (16 * 4 * parameters)
    many = min(100 * parameters, int(pixels) // 50, room)
    return max(4096, 30 * parameters, many)


def _counts(labels: torch.Tensor, repeats: torch.Tensor, ctx: FitContext) -> tuple[float, float]:
    positive = ((labels > 0).flatten(1).sum(1) * repeats.double()).sum()
    negative = ((labels < 0).flatten(1).sum(1) * repeats.double()).sum()
    counts = ctx.reduce(np.array([float(positive), float(negative)]))
    both_classes((int(counts[0]), int(counts[1])), where="pixel_svm")
    return float(counts[0]), float(counts[1])


def _standardisation(source: Source, settings: Settings, ctx: FitContext) -> Standardisation:
    if not settings.standardise:
        for ref in source.refs:
            ctx.stop()
            check_finite(source.read(ref), ref, source.levels)
        return Standardisation.identity(source.channels)
    source.read(source.refs[0])
    standard = Standardisation.compute(source.train, ctx, source.levels, settings.sigma_floor)
    if not (standard.scale > 0).any():
        raise DataError(
            "every feature is constant over the training frames",
            where="pixel_svm",
            hint="choose other frames, or another extractor",
        )
    return standard
