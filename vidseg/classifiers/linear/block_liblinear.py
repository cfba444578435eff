"""Linear SVM on all pixels in blocks on disk, by dual block minimisation (paper's baseline)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.blocks import Blocks, Plan, Stored
from vidseg.classifiers.linear.dual import Dual, Loss
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import choose_levels
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import FLOOR, Standardisation
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet
from vidseg.utils.bytes import format_bytes

SLACK = 1.5
"""The gap is measured exactly once its estimate is below this many tolerances."""


class BlockLiblinear:
    """Linear SVM on the hypercolumns of all (or random) pixels, in blocks kept on disk.

    Minimises ``||w||^2 / 2 + sum_i C_i loss(y_i w . z_i)``, liblinear's ``-s 1`` or ``-s 3``, by
    the dual block minimisation of Yu, Hsieh, Chang & Lin (2010): one block of random pixels after
    the other is read, and dual coordinate descent moves its points' dual variables, with the
    weights in memory. The bias is regularised as one more weight.

    Args:
        C: how much the loss weighs against the regularisation.
        C_mode: mean divides C by the sum of the class weights over all points, so that it means
            the same for any number of frames; sum is liblinear's literal scale.
        loss: hinge (liblinear -s 3) or squared_hinge (-s 1).
        bias: liblinear's -B, the value of the constant feature; 0 or negative trains without bias.
        positive_weight: class weight of foreground; background has 1.
        tolerance: relative duality gap at which training stops.
        max_passes: readings of all blocks after which training stops all the same.
        inner: visits of the points of a block each time that it is read; from the second on,
            points that stay at their bound are left out.
        blocks: at least so many blocks; by default as few as fit the memory budget.
        stored: type of a value on disk; float16 halves the bytes, and rounds standardised
            features to 3 digits.
        standardise: standardise each channel over all pixels of the training frames.
        sigma_floor: smallest standard deviation, as a share of the median channel of its level.
        pixels_per_frame: random labelled pixels of each frame; by default all of them.
        levels: levels of the extractor to use; by default the paper's five of a six-level
            VGG16, and all of any other extractor.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(
        self,
        C: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] = 1.0,  # noqa: N803
        C_mode: Literal["mean", "sum"] = "mean",  # noqa: N803
        loss: Loss = "squared_hinge",
        bias: Annotated[float, Field(le=1e6, allow_inf_nan=False)] = 1.0,
        positive_weight: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0,
        tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-2,
        max_passes: Annotated[int, Field(ge=1)] = 100,
        inner: Annotated[int, Field(ge=1)] = 2,
        blocks: Annotated[int, Field(ge=1)] = 1,
        stored: Stored = "float16",
        standardise: bool = True,
        sigma_floor: Annotated[float, Field(ge=0, le=1)] = FLOOR,
        pixels_per_frame: Annotated[int, Field(ge=1)] | None = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C, self.C_mode, self.loss = C, C_mode, loss
        self.bias, self.positive_weight = bias, positive_weight
        self.tolerance, self.max_passes, self.inner = tolerance, max_passes, inner
        self.blocks, self.stored = blocks, stored
        self.standardise, self.sigma_floor = standardise, sigma_floor
        self.pixels_per_frame, self.chosen = pixels_per_frame, levels

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return the levels that were asked for, or the default ones."""
        return choose_levels(handle, self.chosen)

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> LinearHead:
        """Learn block by block.

        Curves, by reading of all blocks: ``objective`` (estimated from the losses met on the
        way), ``dual`` (a lower bound), ``gap`` (relative), ``violation`` (largest minus smallest
        projected gradient), ``visits`` (of points).

        Facts: ``points``, ``dimensions``, ``blocks``, ``point_bytes`` (in memory),
        ``disk_bytes``, ``bytes_read``, ``passes``, ``updates`` (visits of points),
        ``objective``, ``dual_objective``, ``gap`` (relative, at the returned weights),
        ``converged``, ``out_of_time``, ``write_seconds``, ``seconds``, ``cpu_seconds``.

        Raises:
            DataError: the masks hold one class only, or features are not finite.
            ResourceError: dual variables and one frame exceed ``ctx.memory_budget``, or the
                blocks the disk.
        """
        began = Clock()
        levels = tuple(self.levels(handle))
        names = tuple(handle.levels[level] for level in levels)
        channels = tuple(handle.channels[level] for level in levels)
        draft = PointSet(
            train, Standardisation.identity(channels), names, ctx.seed, self.pixels_per_frame
        )
        counts = draft.counts(ctx)
        plan = self._plan(sum(counts), channels, handle, train, levels, ctx)
        standard = Standardisation.identity(channels)
        if self.standardise:
            standard = Standardisation.compute(train, ctx, names, self.sigma_floor)
        with _folder(ctx.workdir) as folder:
            blocks = Blocks(folder, plan)
            labels = blocks.write(draft.scaled(standard), ctx)
            ctx.facts["write_seconds"] = began.wall
            dual = Dual.zero(self.loss, self._costs(counts), self.bias, labels, plan.dimensions)
            self._minimise(dual, blocks, ctx, began)
        ctx.facts |= {"seconds": began.wall, "cpu_seconds": began.cpu}
        bias = float(dual.weights[-1] * dual.bias)
        return standard.head(dual.weights[:-1], bias, levels, handle.fingerprint)

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> LinearHead:
        """Rebuild a fitted head.

        Raises:
            DataError: the state belongs to another extractor.
        """
        return LinearHead.load(state, handle.fingerprint)

    def _plan(
        self,
        points: int,
        channels: Sequence[int],
        handle: ExtractorHandle,
        train: TrainingSet,
        levels: Sequence[int],
        ctx: FitContext,
    ) -> Plan:
        sizes = [handle.sizes(train.image_size)[level] for level in levels]
        frame = sum(4 * c * h * w for c, (h, w) in zip(channels, sizes, strict=True))
        plan = Plan.of(points, sum(channels), self.stored, ctx.memory_budget, frame, self.blocks)
        ctx.progress.say(
            f"block_liblinear: {plan.points:,} points x {plan.dimensions:,} values in "
            f"{plan.count} blocks, {format_bytes(plan.disk_bytes)} on disk, "
            f"{format_bytes(plan.memory_bytes)} in memory"
        )
        return plan

    def _costs(self, counts: tuple[int, int]) -> tuple[float, float]:
        """Return C of a background and of a foreground point, for (foreground, background)."""
        total = counts[0] * self.positive_weight + counts[1]
        unit = self.C if self.C_mode == "sum" else self.C / total
        return unit, unit * self.positive_weight

    def _minimise(self, dual: Dual, blocks: Blocks, ctx: FitContext, began: Clock) -> None:
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
                    # the weights follow the block at hand, so the estimate errs to the low side
                    due = passes + 1 + passes // 4
                    if exact.relative <= self.tolerance:
                        break
                if _over(ctx, began):
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
            "out_of_time": float(not converged and _over(ctx, began)),
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


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds on the wall."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of this process's threads."""
        return time.process_time() - self._cpu


def _over(ctx: FitContext, began: Clock) -> bool:
    limit = ctx.budget.max_time
    return limit is not None and began.wall > limit


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
