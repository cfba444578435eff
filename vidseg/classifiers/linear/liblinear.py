"""Linear SVM or logistic regression on pixels in memory, by liblinear (the paper's baseline)."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import (
    Cost,
    CostMode,
    LinearClassifier,
    LinearFit,
    PixelsPerFrame,
    PositiveWeight,
    SigmaFloor,
    point_cost,
)
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.points import PointSet, require_disk, require_memory
from vidseg.classifiers.linear.standardise import FLOOR
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import ResourceError
from vidseg.utils.bytes import format_bytes

PER_VALUE = 24
"""Peak bytes per value: 16 in liblinear's nodes, 4 of column index, 4 of mapped points."""

CHILD = Path(__file__).with_name("liblinear_child.py")
BLOCK = 16384


class Liblinear(LinearClassifier):
    """Linear classifier on the hypercolumns of all (or random) pixels, held in memory.

    Minimises ``||w||^2 / 2 + sum_i C_i loss(y_i w . z_i)`` with liblinear (Fan et al. 2008), which
    regularises the bias as one more weight. Trains in a process of its own.

    Args:
        solver: liblinear's -s: 0 logistic primal, 1 squared hinge dual, 2 squared hinge primal,
            3 hinge dual, 5 squared hinge with L1 regularisation, 6 logistic with L1, 7 logistic
            dual. (4 is multi-class, 11 and above are no classifiers.)
        bias: liblinear's -B, the value of the constant feature; negative trains without bias.
        epsilon: liblinear's -e, the stopping tolerance; by default liblinear's own by solver.
    """

    def __init__(
        self,
        C: Cost = 1.0,  # noqa: N803
        C_mode: CostMode = "mean",  # noqa: N803
        solver: Literal[0, 1, 2, 3, 5, 6, 7] = 2,
        bias: Annotated[float, Field(allow_inf_nan=False)] = 1.0,
        epsilon: Annotated[float, Field(gt=0, lt=1)] | None = None,
        positive_weight: PositiveWeight = 1.0,
        standardise: bool = True,
        sigma_floor: SigmaFloor = FLOOR,
        pixels_per_frame: PixelsPerFrame = None,
        levels: list[int] | None = None,
    ) -> None:
        self.C_mode, self.positive_weight = C_mode, positive_weight
        self.standardise, self.sigma_floor, self.chosen = standardise, sigma_floor, levels
        self.C, self.solver, self.bias, self.epsilon = C, solver, bias, epsilon
        self.pixels_per_frame = pixels_per_frame

    def _fit(self, fit: LinearFit) -> LinearHead:
        """Learn from all pixels at once.

        Facts: ``dimensions``, ``point_bytes``, ``peak_bytes`` (of the solver's process),
        ``iterations``, ``objective`` (recomputed from the points).

        Raises:
            ResourceError: the solver was killed, or did not end within ``ctx.budget.max_time``.
        """
        draft = fit.points(self.pixels_per_frame)
        counts = draft.counts(fit.ctx)
        needed = require_memory(
            points=sum(counts),
            dimensions=draft.dimensions + 2,  # liblinear's nodes of the bias and the row's end
            per_value=PER_VALUE,
            budget=fit.ctx.memory_budget,
            frames=len(fit.train.refs),
            classifier="liblinear",
        )
        points = draft.scaled(self.standardisation(fit))
        fit.ctx.facts |= {
            "points": float(sum(counts)),
            "dimensions": float(points.dimensions),
            "point_bytes": float(needed),
        }
        return fit.head(points.standardisation, *self._solve(points, counts, fit))

    def cost(self, counts: tuple[int, int]) -> float:
        """Return liblinear's ``-c``, the cost of a background point.

        Args:
            counts: number of foreground and of background points.
        """
        return point_cost(self.C, self.C_mode, self.weight(counts))

    def _solve(
        self, points: PointSet, counts: tuple[int, int], fit: LinearFit
    ) -> tuple[Floats, float]:
        """Return weights and bias on standardised features."""
        ctx, cost = fit.ctx, self.cost(counts)
        options = ["-s", str(self.solver), "-c", repr(cost), "-B", repr(self.bias)]
        options += ["-w1", repr(self.positive_weight)]
        options += ["-e", repr(self.epsilon)] if self.epsilon is not None else []
        ctx.workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="liblinear-", dir=ctx.workdir) as name:
            folder = Path(name)
            write_points(folder, points, sum(counts), ctx)
            (folder / "job.json").write_text(json.dumps({"bias": self.bias, "options": options}))
            with fit.solving(), ctx.progress.task(f"liblinear -s {self.solver}", None):
                run_child(folder, ctx)
            with np.load(folder / "result.npz") as result:
                weights, bias = result["weights"], float(result["bias"])
                ctx.facts["peak_bytes"] = float(result["peak_bytes"])
            ctx.facts |= iterations((folder / "log.txt").read_text(errors="replace"))
            ctx.facts["objective"] = self._objective(folder, weights, bias, cost)
        return weights, bias

    def _objective(self, folder: Path, weights: Floats, bias: float, cost: float) -> float:
        """Return the objective of liblinear's scale at its solution, from the points."""
        y = np.fromfile(folder / "labels.i8", np.int8)
        x = np.memmap(folder / "points.f32", np.float32, mode="r").reshape(len(y), -1)
        loss = 0.0
        for start in range(0, len(y), BLOCK):
            part = slice(start, start + BLOCK)
            margin = y[part] * (np.einsum("ij,j->i", x[part], weights) + bias)
            factor = np.where(y[part] > 0, self.positive_weight, 1.0)
            loss += float((factor * point_loss(self.solver, margin)).sum())
        every = np.append(weights, bias / self.bias if self.bias > 0 else 0.0)
        norm = np.abs(every).sum() if self.solver in (5, 6) else every @ every / 2
        return float(norm + cost * loss)


def point_loss(solver: int, margin: Floats) -> Floats:
    """Return each point's loss by liblinear's solver number; ``margin`` is ``y (w . z + b)``."""
    if solver in (0, 6, 7):
        return np.logaddexp(0.0, -margin)
    hinge = np.maximum(0.0, 1.0 - margin)
    return hinge if solver == 3 else hinge**2


def write_points(folder: Path, points: PointSet, count: int, ctx: FitContext) -> None:
    """Write ``points.f32`` and ``labels.i8``, frame after frame.

    Raises:
        ResourceError: the disk cannot hold them.
    """
    needed = count * points.dimensions * 4
    full = ResourceError(
        f"{format_bytes(needed)} of points do not fit the disk",
        where=folder.parent,
        hint="free space there, or choose a smaller pixels_per_frame",
    )
    with (
        require_disk(needed, folder, full),
        (folder / "points.f32").open("wb") as x,
        (folder / "labels.i8").open("wb") as y,
    ):
        for block, labels in points.frames(ctx):
            x.write(block.data)
            y.write(labels.data)


def run_child(folder: Path, ctx: FitContext) -> None:
    """Run the solver's process to its end; stopping or failing here ends it too.

    Raises:
        Stopped: as ``ctx.stop`` raises it.
        ResourceError: it was killed, failed, left no result, or took longer than
            ``ctx.budget.max_time``.
    """
    limit = ctx.budget.max_time
    began = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", str(CHILD), str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while child.poll() is None:
                ctx.stop()
                if limit is not None and time.monotonic() - began > limit:
                    raise ResourceError(
                        f"liblinear did not end within max_time={limit:g} seconds, and has no "
                        "solution before it ends",
                        where="liblinear",
                        hint="allow more time, a larger epsilon, fewer pixels_per_frame, or "
                        "choose sgd",
                    )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
        finally:
            child.kill()
            child.communicate()
    ctx.stop()  # a signal to all processes of a terminal ends the child first
    if child.returncode or not (folder / "result.npz").exists():
        raise _failure(child.returncode, (folder / "log.txt").read_text(errors="replace"))


def _failure(code: int, log: str) -> ResourceError:
    last = (log.strip().splitlines() or ["no message"])[-1]
    if code == -9 or "MemoryError" in log:
        return ResourceError(
            f"the system ended the solver's process ({last}), most likely for its memory",
            where="liblinear",
            hint="choose a smaller pixels_per_frame, or sgd",
        )
    ended = f"with {code}" if code else "without a result"
    return ResourceError(f"the solver's process ended {ended}: {last}", where="liblinear")


def iterations(log: str) -> dict[str, float]:
    """Return ``iterations`` and ``converged`` as far as liblinear's log has them."""
    counts = re.findall(r"^iter\s+(\d+)|#iter = (\d+)", log, re.MULTILINE)
    if not counts:
        return {}
    last = max(int(first or second) for first, second in counts)
    return {"iterations": float(last), "converged": float("reaching max" not in log)}
