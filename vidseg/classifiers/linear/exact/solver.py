"""Few readings of all frames, much work on few pixels: the outer loop of the pixel SVM.

Each iteration reads the frames once: objective and gradient at the trial point, and a sample of the
pixels that shape the objective there. Newton's method then minimises the sample's objective, tilted
so that its gradient is that of all pixels (DANE: Shamir, Srebro & Zhang 2014; here with samples
drawn anew, by importance). The fall of the sample's objective is the estimate of the gap. Where a
trial does not descend, the best step on the line to it is found without another reading, from the
scores of two readings: they are linear in the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar

from vidseg.classifiers.linear.exact.newton import Newton
from vidseg.classifiers.linear.exact.objective import Objective, Reading
from vidseg.classifiers.linear.exact.sample import ALWAYS, Pick, Sample
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import DataError

Places = npt.NDArray[np.int64]
Ending = Literal["certificate", "estimate", "passes", "precision", "stalled"]

FEW = 8
"""This part of the first sample makes the point that its own solution starts from."""

HOLLOW = 0.1
"""A step that wins less than this share of what its sample promised is shortened, ..."""

ROUNDING = 1e-5
"""Relative gaps below this may be hidden by the rounding of float32 scores."""

FULL = 0.9
"""... unless it is nearly the best on its line."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to stop, and how large a sample is.

    Attributes:
        tolerance: relative gap ``(f - f*) / f`` to stop at.
        max_passes: readings after which the solver gives up.
        aim: number of pixels in a sample.
    """

    tolerance: float
    max_passes: int
    aim: int


@dataclass(frozen=True, slots=True)
class Iterate:
    """Where the solver is between two readings: all that a resumed fit needs.

    Attributes:
        trial: the point to be read next.
        pick: the sample to be drawn there.
        best: the latest accepted reading; None before the first.
        gap: estimate of ``f - f*`` at ``best``; infinite before the first.
        iteration: number of accepted readings.
        refused: the latest trial did not descend: ``trial`` lies on the line to it.
    """

    trial: Floats
    pick: Pick
    best: Reading | None = None
    gap: float = np.inf
    iteration: int = 0
    refused: bool = False


class Solver:
    """Minimises an objective.

    Args:
        objective: what to minimise.
        rules: when to stop.
        watch: called between readings with the iterate; for logs and checkpoints.
    """

    def __init__(
        self, objective: Objective, rules: Rules, watch: Callable[[Iterate], None] = lambda _: None
    ) -> None:
        self.objective, self.rules, self.watch = objective, rules, watch
        self._kept: torch.Tensor | None = None
        self._first_pass = objective.meter.passes

    def start(self, point: Floats | None) -> Iterate:
        """Return the first iterate: at ``point``, or at the solution of an even sample."""
        sample = self.objective.sample(self.rules.aim)
        if point is not None:
            scores = sample.points @ torch.from_numpy(point).to(sample.points)
            return Iterate(point, self._following(sample, scores))
        zero = torch.zeros(self.objective.size, dtype=torch.float64, device=sample.points.device)
        count = len(sample.labels)
        rows = np.random.default_rng(self.objective.ctx.seed).permutation(count)[: count // FEW]
        few = sample.part(
            torch.from_numpy(np.sort(rows)).to(zero.device), max(1, len(rows)) / count
        )
        first = Newton(few, self.objective.loss, zero).minimise(zero)
        minimum = Newton(sample, self.objective.loss, zero).minimise(first.point)
        pick = self._following(sample, minimum.scores)
        return Iterate(self._agreed(minimum.point), pick)

    def run(self, iterate: Iterate) -> tuple[Iterate, Ending]:
        """Iterate until the gap is small or the readings are used up.

        Raises:
            DataError: objective or gradient are not finite.
        """
        while True:
            self.watch(iterate)
            ending = self._ending(iterate)
            if ending is not None:
                return iterate, ending
            following = self._step(iterate)
            if following is None:
                assert iterate.best is not None
                return (
                    iterate,
                    "precision" if iterate.gap < ROUNDING * iterate.best.value else "stalled",
                )
            iterate = following

    def _ending(self, iterate: Iterate) -> Ending | None:
        if iterate.best is None:
            return None
        best, smooth = iterate.best, self.objective.loss.gamma is not None
        # a smoothed loss need not be solved further than smoothing itself errs
        limit = max(self.rules.tolerance * best.value * (0.5 if smooth else 1), 0.1 * best.excess)
        if best.certificate - best.excess <= limit:
            return "certificate"
        if iterate.gap <= limit:
            return "estimate"
        read = self.objective.meter.passes - self._first_pass
        return "passes" if read >= self.rules.max_passes else None

    def _step(self, iterate: Iterate) -> Iterate | None:
        """Read the trial; return the iterate after it, or None where no descent is found."""
        reading, sample = self._read(iterate)
        assert sample is not None
        best = iterate.best
        if best is None or _descends(best, reading, 0.0 if iterate.refused else iterate.gap):
            return self._next(reading, sample, iterate)
        if iterate.refused:
            return None
        step = self._best_step(best, reading.point)
        if step > FULL and _descends(best, reading, 0.0):
            return self._next(reading, sample, iterate)
        between = best.point + step * (reading.point - best.point)
        scores = sample.points @ torch.from_numpy(between).to(sample.points)
        pick = self._following(sample, scores, self._witnesses(sample, reading, iterate))
        return Iterate(between, pick, best, iterate.gap, iterate.iteration, refused=True)

    def _witnesses(self, sample: Sample, trial: Reading, iterate: Iterate) -> Places:
        """Return the places of pixels that a refused step had overlooked, and those of earlier.

        They are drawn from now on, so that no later step runs into them again. Only where pixels
        are few: a sample that leaves out most of the near ones will always overlook some.
        """
        scores = sample.points @ torch.from_numpy(trial.point).to(sample.points)
        curved = self.objective.loss.distance(scores, sample.labels) == 0
        new = sample.places[curved & (sample.rates >= ALWAYS)].cpu().numpy()
        limit = self.rules.aim // 2
        return np.union1d(new[:limit], iterate.pick.always[: max(0, limit - len(new))])

    def _read(self, iterate: Iterate) -> tuple[Reading, Sample | None]:
        reading, sample = self.objective.read(iterate.trial, iterate.pick, self.rules.aim)
        if not (np.isfinite(reading.value) and np.isfinite(reading.gradient).all()):
            raise DataError(
                "objective or gradient are not finite",
                where="pixel_svm",
                hint="standardise the features, or choose a smaller C",
            )
        return reading, sample

    def _next(self, reading: Reading, sample: Sample, iterate: Iterate) -> Iterate:
        """Accept the reading; return the iterate whose trial is the sample's solution."""
        self._keep()
        device = sample.points.device
        point = torch.from_numpy(reading.point).to(device)
        loss = self.objective.loss
        terms = loss.terms(sample.points @ point.float(), sample.labels, sample.costs)
        own = (terms.residual @ sample.points).double() + point
        tilt = torch.from_numpy(reading.gradient).to(device) - own
        enough = 0.1 * self.rules.tolerance * reading.value
        minimum = Newton(sample, loss, tilt).minimise(point, enough, most=reading.value)
        pick = self._following(sample, minimum.scores, iterate.pick.always)
        trial = self._agreed(minimum.point)
        gap = float(self._shared(np.array([minimum.decrease]))[0])
        return Iterate(trial, pick, reading, gap, iterate.iteration + 1)

    def _following(
        self, sample: Sample, scores: torch.Tensor, always: Places | None = None
    ) -> Pick:
        pick = sample.following(scores, self.objective.loss, self.rules.aim)
        reach, near, far = self._shared(np.array([pick.reach, pick.near, pick.far]))
        none = np.zeros(0, np.int64)
        return Pick(float(reach), float(near), float(far), none if always is None else always)

    def _agreed(self, point: torch.Tensor) -> Floats:
        return self._shared(point.cpu().numpy())

    def _shared(self, values: Floats) -> Floats:
        """Return the first process's values in all of them, which rounding may not make equal."""
        ctx = self.objective.ctx
        return ctx.reduce(values if ctx.rank == 0 else np.zeros_like(values))

    def _keep(self) -> None:
        """Keep the scores of the latest reading: the next step starts from them."""
        spare = self.objective.blank() if self._kept is None else self._kept
        self._kept, self.objective.scores = self.objective.scores, spare

    def _best_step(self, best: Reading, trial: Floats) -> float:
        """Return the step in (0, 1] to ``trial`` that minimises the objective, from scores."""
        end = self.objective.scores
        if self._kept is None:  # a resumed fit has no scores yet
            self.objective.scores = self.objective.blank()
            self.objective.read(best.point, None, 0)
            self._kept, self.objective.scores = self.objective.scores, end
        loss = self.objective.along(self._kept, end)

        def value(step: float) -> float:
            point = best.point + step * (trial - best.point)
            return loss(step) + 0.5 * float(point @ point)

        found = minimize_scalar(value, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4})
        return float(found.x)


def _descends(best: Reading, trial: Reading, promised: float) -> bool:
    """Return whether ``trial`` is an acceptable step from ``best``.

    It must win a share of what was promised, at least by Armijo's condition; where the objective's
    rounding hides the descent, the slope at the trial decides (Hager & Zhang 2005, approximate
    Wolfe condition).
    """
    step = trial.point - best.point
    slope = float(best.gradient @ step)
    if trial.value <= best.value - max(HOLLOW * promised, -1e-4 * slope):
        return True
    close = trial.value <= best.value + 1e-7 * abs(best.value)
    return close and abs(float(trial.gradient @ step)) <= 0.5 * abs(slope)
