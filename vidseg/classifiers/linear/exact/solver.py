"""Newton's method with the exact Hessian, and quasi-Newton steps (L-BFGS) while it stays good.

Every iteration takes ONE reading of the frames: it computes objective and gradient at the trial
point, and the Hessian when it is due. A trial that does not descend is answered from the scores
that two readings left: they are linear in the step, so the best step is found without reading.
Between refreshes, L-BFGS (Nocedal & Wright, algorithm 7.4) starts from the Cholesky factor of the
last Hessian. Sources: Keerthi & DeCoste 2005 (finite Newton for squared hinge).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from vidseg.classifiers.linear.exact.objective import Objective, Reading
from vidseg.errors import DataError
from vidseg.pyramid import Floats

Ending = Literal["certificate", "estimate", "passes", "precision"]

MEMORY = 12
"""Pairs of steps and gradient changes that L-BFGS keeps."""

STALL = 0.1
"""The Hessian is computed anew when a step left more than this share of the estimated gap."""


@dataclass(frozen=True)
class Rules:
    """When to stop, and what a refresh takes.

    Attributes:
        tolerance: relative gap ``(f - f*) / f`` to stop at.
        max_passes: readings after which the solver gives up.
        share: of the frames that a Hessian is computed from.
    """

    tolerance: float
    max_passes: int
    share: float = 1.0


@dataclass
class State:
    """Where the solver is: all that a resumed fit needs.

    Attributes:
        best: the latest accepted reading.
        factor: lower Cholesky factor of the latest Hessian, ``float64 (P, P)``.
        steps, changes: L-BFGS pairs since then.
        gap: estimate of ``f - f*``.
        iteration: accepted or refused trials so far.
        refresh: compute the Hessian at the next reading.
    """

    best: Reading
    factor: Floats
    steps: list[Floats] = field(default_factory=list)
    changes: list[Floats] = field(default_factory=list)
    gap: float = np.inf
    iteration: int = 0
    refresh: bool = True


class Solver:
    """Minimises an objective, one reading an iteration.

    Args:
        objective: what to minimise.
        rules: when to stop.
        watch: called before each reading with the state; for logs and checkpoints.
    """

    def __init__(
        self, objective: Objective, rules: Rules, watch: Callable[[State], None] = lambda _: None
    ) -> None:
        self.objective, self.rules, self.watch = objective, rules, watch
        self._kept: torch.Tensor | None = None
        self._spare = torch.empty_like(objective.scores)

    def start(self, point: Floats) -> State:
        """Return the state at ``point``: takes one reading, with the Hessian."""
        return self._accepted(None, self._read(point, refresh=True))

    def run(self, state: State) -> tuple[State, Ending]:
        """Iterate until the gap is small or the readings are used up.

        Raises:
            DataError: objective or gradient are not finite.
        """
        while True:
            self.watch(state)
            ending = self._ending(state)
            if ending is not None:
                return state, ending
            following = self._step(state)
            if following is None:
                return state, "precision"
            state = following

    def _ending(self, state: State) -> Ending | None:
        limit = self.rules.tolerance * state.best.value
        if certificate(state.best) <= limit:
            return "certificate"
        if state.gap <= limit:
            return "estimate"
        return "passes" if self.objective.meter.passes >= self.rules.max_passes else None

    def _step(self, state: State) -> State | None:
        best = state.best
        direction = descent(state)
        trial = self._read(best.point + direction, state.refresh)
        if not _descends(best, trial, direction):
            step = self._best_step(best, direction)
            trial = self._read(best.point + step * direction, refresh=True)
            if not _descends(best, trial, step * direction):
                return None
        return self._accepted(state, trial)

    def _best_step(self, best: Reading, direction: Floats) -> float:
        """Return the step in (0, 1] that minimises the objective, from scores alone."""
        end = self.objective.scores
        if self._kept is None:  # a resumed fit
            self._spare, self.objective.scores = end, torch.empty_like(end)
            self.objective.read(best.point)
            self._kept = self.objective.scores
        loss = self.objective.along(self._kept, end)

        def value(step: float) -> float:
            point = best.point + step * direction
            return loss(step) + 0.5 * float(point @ point)

        found = minimize_scalar(value, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-3})
        return float(found.x)

    def _read(self, point: Floats, refresh: bool) -> Reading:
        reading = self.objective.read(point, self.rules.share if refresh else 0.0)
        if not (np.isfinite(reading.value) and np.isfinite(reading.gradient).all()):
            raise DataError("objective or gradient are not finite", where="pixel_svm")
        return reading

    def _accepted(self, state: State | None, trial: Reading) -> State:
        """Return the state at ``trial``; its scores become those that a step starts from."""
        self._kept, self.objective.scores = self.objective.scores, self._kept_or_spare()
        bare = replace_hessian(trial)
        if trial.hessian is not None:
            following = State(bare, factorise(trial.hessian))
        else:
            assert state is not None
            following = State(
                bare,
                state.factor,
                [*state.steps, trial.point - state.best.point][-MEMORY:],
                [*state.changes, trial.gradient - state.best.gradient][-MEMORY:],
            )
        following.iteration = 0 if state is None else state.iteration + 1
        following.gap = -0.5 * float(descent(following) @ trial.gradient)
        following.refresh = state is None or following.gap > STALL * state.gap
        return following

    def _kept_or_spare(self) -> torch.Tensor:
        return self._spare if self._kept is None else self._kept


def replace_hessian(reading: Reading) -> Reading:
    """Return the reading without its Hessian, which the factor replaces."""
    return reading._replace(hessian=None)


def certificate(reading: Reading) -> float:
    """Return ``||grad||^2 / 2``, an upper bound of ``f - f*`` by strong convexity 1.

    It equals the duality gap at the dual point that the residuals make.
    """
    return 0.5 * float(reading.gradient @ reading.gradient)


def factorise(hessian: Floats) -> Floats:
    """Return the lower Cholesky factor; the diagonal is raised where rounding asks for it."""
    matrix, ridge = torch.from_numpy(hessian), 0.0
    while True:
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return np.asarray(factor.numpy())
        ridge = max(10 * ridge, 1e-7 * float(hessian.diagonal().max()))
        matrix = torch.from_numpy(hessian + ridge * np.eye(len(hessian)))


def descent(state: State) -> Floats:
    """Return the quasi-Newton step ``-H^-1 g`` (L-BFGS from the latest Hessian)."""
    q = state.best.gradient.copy()
    pairs = list(zip(state.steps, state.changes, strict=True))
    shares = []
    for step, change in reversed(pairs):
        share = float(step @ q) / float(step @ change)
        q -= share * change
        shares.append(share)
    q = torch.cholesky_solve(torch.from_numpy(q)[:, None], torch.from_numpy(state.factor))
    q = q[:, 0].numpy()
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        q += (share - float(change @ q) / float(step @ change)) * step
    return -q


def _descends(best: Reading, trial: Reading, step: Floats) -> bool:
    """Return whether ``trial`` is an acceptable step from ``best``.

    Armijo's condition; where the objective's rounding hides the descent, the slope at the trial
    decides (Hager & Zhang 2005, approximate Wolfe condition).
    """
    slope = float(best.gradient @ step)
    if trial.value <= best.value + 1e-4 * slope:
        return True
    close = trial.value <= best.value + 1e-7 * abs(best.value)
    return close and abs(float(trial.gradient @ step)) <= 0.5 * abs(slope)
