"""Linear SVM on all pixels in blocks on disk, by dual block minimisation (paper's baseline)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import (
    Bias,
    BoundedWeight,
    Cost,
    CostMode,
    LinearClassifier,
    LinearFit,
    LossName,
    PixelsPerFrame,
    SigmaFloor,
    point_cost,
)
from vidseg.classifiers.linear.blocks import BlockPlan, Blocks, Stored
from vidseg.classifiers.linear.dual import Dual
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.standardise import FLOOR
from vidseg.utils.bytes import format_bytes

SLACK = 1.5
"""The gap is measured exactly once its estimate is below this many tolerances."""


class BlockLiblinear(LinearClassifier):
    """Linear SVM on the hypercolumns of all (or random) pixels, in blocks kept on disk.

    Minimises ``||w||^2 / 2 + sum_i C_i loss(y_i w . z_i)``, liblinear's ``-s 1`` or ``-s 3``, by
    the dual block minimisation of Yu, Hsieh, Chang & Lin (2010): one block of random pixels after
    the other is read, and dual coordinate descent moves its points' dual variables, with the
    weights in memory. The bias is regularised as one more weight.

    Args:
        loss: hinge (liblinear -s 3) or squared_hinge (-s 1).
        tolerance: relative duality gap at which training stops.
        max_passes: readings of all blocks after which training stops all the same.
        inner: visits of the points of a block each time that it is read; from the second on,
            points that stay at their bound are left out.
        blocks: at least so many blocks; by default as few as fit the memory budget.
        stored: type of a value on disk; float16 halves the bytes, and rounds standardised
            features to 3 digits.
    """

    def __init__(
        self,
        C: Cost = 1.0,  # noqa: N803
        C_mode: CostMode = "mean",  # noqa: N803
        loss: LossName = "squared_hinge",
        bias: Bias = 1.0,
        positive_weight: BoundedWeight = 1.0,
        tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-2,
        max_passes: Annotated[int, Field(ge=1)] = 100,
        inner: Annotated[int, Field(ge=1)] = 2,
        blocks: Annotated[int, Field(ge=1)] = 1,
        stored: Stored = "float16",
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        pixels_per_frame: PixelsPerFrame = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C_mode, self.positive_weight = C_mode, positive_weight
        self.standardise, self.sigma_floor, self.chosen = standardise, sigma_floor, levels
        self.C, self.loss, self.bias = C, loss, bias
        self.tolerance, self.max_passes, self.inner = tolerance, max_passes, inner
        self.blocks, self.stored, self.pixels_per_frame = blocks, stored, pixels_per_frame

    def _fit(self, fit: LinearFit) -> LinearHead:
        """Learn block by block.

        Curves, by reading of all blocks: ``objective`` (estimated from the losses met on the
        way), ``dual`` (a lower bound), ``gap`` (relative), ``violation`` (largest minus smallest
        projected gradient), ``visits`` (of points).

        Facts: ``dimensions``, ``blocks``, ``point_bytes`` (in memory), ``disk_bytes``,
        ``bytes_read``, ``passes``, ``updates`` (visits of points), ``objective``,
        ``dual_objective``, ``gap`` (relative, at the returned weights), ``converged``,
        ``out_of_time``.

        Raises:
            ResourceError: dual variables and one frame exceed ``ctx.memory_budget``, or the
                blocks the disk.
        """
        draft = fit.points(self.pixels_per_frame)
        counts = draft.counts(fit.ctx)
        plan = self._plan(sum(counts), fit)
        standard = self.standardisation(fit)
        with _folder(fit.ctx.workdir) as folder:
            blocks = Blocks(folder, plan)
            labels = blocks.write(draft.scaled(standard), fit.ctx)
            unit = point_cost(self.C, self.C_mode, self.weight(counts))
            costs = unit, unit * self.positive_weight
            dual = Dual.zero(self.loss, costs, self.bias, labels, plan.dimensions)
            with fit.solving():
                self._minimise(dual, blocks, fit)
        return fit.head(standard, dual.weights[:-1], float(dual.weights[-1] * dual.bias))

    def _plan(self, points: int, fit: LinearFit) -> BlockPlan:
        native = fit.handle.sizes(fit.train.image_size)
        frame = sum(
            4 * channels * native[level][0] * native[level][1]
            for channels, level in zip(fit.channels, fit.levels, strict=True)
        )
        plan = BlockPlan.of(
            points, sum(fit.channels), self.stored, fit.ctx.memory_budget, frame, self.blocks
        )
        fit.ctx.progress.say(
            f"block_liblinear: {plan.points:,} points x {plan.dimensions:,} values in "
            f"{plan.count} blocks, {format_bytes(plan.disk_bytes)} on disk, "
            f"{format_bytes(plan.memory_bytes)} in memory"
        )
        return plan

    def _minimise(self, dual: Dual, blocks: Blocks, fit: LinearFit) -> None:
        ctx = fit.ctx
        rng = np.random.default_rng(ctx.seed)
        visits, exact, due = 0.0, None, 1
        with ctx.progress.task("block_liblinear", self.max_passes) as task:
            for passes in range(1, self.max_passes + 1):
                found = self._pass(dual, blocks, rng, ctx)
                for name, value in found.items():
                    ctx.log(name, value, passes)
                visits += found["visits"]
                task.advance()
                exact = None
                if passes >= due and found["gap"] <= SLACK * self.tolerance:
                    exact = self._gap(dual, blocks, ctx)
                    # the weights follow the latest block, so the estimate errs to the low side
                    due = passes + 1 + passes // 4
                    if exact.relative <= self.tolerance:
                        break
                if fit.out_of_time:
                    break
        exact = exact or self._gap(dual, blocks, ctx)
        plan, converged = blocks.plan, exact.relative <= self.tolerance
        ctx.facts |= {
            "points": float(plan.points),
            "dimensions": float(plan.dimensions),
            "blocks": float(plan.count),
            "point_bytes": float(plan.memory_bytes),
            "disk_bytes": float(plan.disk_bytes),
            "bytes_read": float(blocks.bytes_read),
            "passes": float(passes),
            "updates": visits,
            "objective": exact.primal,
            "dual_objective": exact.dual,
            "gap": exact.relative,
            "converged": float(converged),
            "out_of_time": float(not converged and fit.out_of_time),
        }

    def _pass(
        self, dual: Dual, blocks: Blocks, rng: np.random.Generator, ctx: FitContext
    ) -> dict[str, float]:
        """Minimise by each block once; return what it found, by the names of the curves."""
        loss, high, low, visits = 0.0, 0.0, 0.0, 0
        for part, points in blocks.read(rng.permutation(blocks.plan.count)):
            order = rng.permutation(len(points))
            bounds = (np.inf, -np.inf)
            for turn in range(self.inner):
                found = dual.visit(points, part, order, bounds, ctx.stop)
                visits += len(order)
                if turn == 0:
                    loss += found.loss
                    high, low = max(high, found.high), min(low, found.low)
                # liblinear's rule: a bound of zero would shrink points that have only just moved
                bounds = (found.high or np.inf, found.low or -np.inf)
                order = rng.permutation(found.kept)
        estimate = Gap(dual.primal(loss), dual.value())
        return {
            "objective": estimate.primal,
            "dual": estimate.dual,
            "gap": estimate.relative,
            "violation": high - low,
            "visits": float(visits),
        }

    def _gap(self, dual: Dual, blocks: Blocks, ctx: FitContext) -> Gap:
        """Return the gap at the present weights, by one reading of all blocks."""
        loss = 0.0
        for part, points in blocks.read(np.arange(blocks.plan.count)):
            ctx.stop()
            loss += dual.losses(points, part)
        return Gap(dual.primal(loss), dual.value())


@dataclass(frozen=True, slots=True)
class Gap:
    """Primal objective and its lower bound, the dual one."""

    primal: float
    dual: float

    @property
    def relative(self) -> float:
        """The gap as a share of the primal objective."""
        return 1 - self.dual / self.primal


@contextmanager
def _folder(workdir: Path) -> Iterator[Path]:
    """Give a folder for blocks; a killed fit's is emptied first, for it cannot be continued."""
    folder = workdir / "blocks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
