"""Cases, runs and references of the SVM benchmark, and the processes that solvers run in."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil

from benchmarks import _methods
from benchmarks._frames import Bench
from benchmarks._judge import Floats, Judge
from vidseg.types import Size

GAPS = (1e-2, 1e-3, 1e-4)
ACCURACY = 1e-8
"""Relative gap that the reference optimum is certified to."""

LADDERS: dict[str, dict[str, Sequence[float]]] = {
    "squared_hinge": {
        "pixel_svm": (1e-1, 1e-2, 1e-3, 1e-4),
        "pixel_svm disk": (1e-2, 1e-3, 1e-4),
        "liblinear -s 1": (1.0, 0.1, 0.01),
        "liblinear -s 2": (0.01, 0.001, 0.0001),
        "block_liblinear": (1, 4, 16, 64),
        "LinearSVC": (0.1, 0.01, 0.001, 0.0001),
        "SGDClassifier": (4, 16, 64, 256),
    },
    "hinge": {
        "pixel_svm": (1e-2, 1e-3, 1e-4),
        "liblinear -s 3": (10.0, 1.0, 0.1, 0.01),
        "block_liblinear": (1, 4, 16, 64),
    },
}
"""Tolerances by loss and solver, in its own terms (SGDClassifier: epochs,
block_liblinear: readings of all blocks), loose to tight."""


@dataclass(frozen=True)
class Case:
    """A training set: extractor, size of image and mask, number of frames."""

    extractor: str
    size: str
    frames: int

    def __str__(self) -> str:
        return f"{self.extractor} {self.size} n={self.frames}"

    def judge(self, bench: Bench) -> Judge:
        """Extract the features into the store, and return the judge of the case."""
        return Judge.of(*bench.training(self.extractor, Size.parse(self.size), self.frames))


@dataclass(frozen=True)
class Run:
    """One fit.

    Attributes:
        objective: by the judge.
        cpu, wall: seconds.
        peak: bytes above what the process held before.
        passes: readings of the data, where the solver tells.
        lower: the dual objective, where the solver tells: no objective is lower.
    """

    case: str
    method: str
    loss: str
    cost: float
    rung: float
    turn: int
    objective: float
    cpu: float
    wall: float
    peak: float
    passes: float | None
    lower: float | None


@dataclass(frozen=True)
class Reference:
    """The optimum of a case: objective, and the certified relative error of it."""

    case: str
    loss: str
    cost: float
    optimum: float
    error: float
    points: int
    dimensions: int


def solve(
    bench: Bench, case: Case, method: str, loss: str, cost: float, rungs: Sequence[float],
    limit: float,
) -> Iterator[tuple[float, Floats, dict[str, float]]]:  # fmt: skip
    """Yield (rung, weights, facts) until the ladder, or ``limit`` CPU seconds of a rung, end."""
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["benchmarks._methods"])
    job: dict[str, Any] = {
        "samples": str(bench.samples), "store": str(bench.store), "extractor": case.extractor,
        "size": case.size, "frames": case.frames, "method": method, "loss": loss, "C": cost,
        "rungs": list(rungs),
    }  # fmt: skip
    receive, send = start.Pipe(duplex=False)
    child = start.Process(target=_methods.ladder, args=(job, send), daemon=True)
    child.start()
    send.close()
    try:
        spent = receive.recv()
        while True:
            if receive.poll(0.2):
                yield receive.recv()
                spent = _cpu(child.pid)
            elif _cpu(child.pid) - spent > limit:
                return
    except EOFError:
        return
    finally:
        child.kill()
        child.join()


def _cpu(pid: int | None) -> float:
    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(used.user + used.system)


def median_curve(runs: Iterable[Run], optimum: float) -> list[tuple[float, float]]:
    """Return (median CPU seconds, median relative gap) of each rung, loose to tight."""
    rungs: dict[float, list[Run]] = {}
    for run in runs:
        rungs.setdefault(run.rung, []).append(run)
    return [
        (median(r.cpu for r in found), median(r.objective for r in found) / optimum - 1)
        for found in rungs.values()
    ]


def seconds_to(curve: Sequence[tuple[float, float]], gap: float) -> tuple[float, bool] | None:
    """Return CPU seconds to ``gap``, and whether they are an upper bound; None if never met.

    Args:
        curve: (CPU seconds, relative gap) by rung, loose to tight.
        gap: to be reached.
    """
    before: tuple[float, float] | None = None
    for cpu, found in curve:
        if found <= gap:
            if before is None or before[0] >= cpu:
                return cpu, before is None
            found = max(found, 1e-10)
            share = math.log(before[1] / gap) / math.log(before[1] / found)
            return before[0] * (cpu / before[0]) ** share, False
        before = cpu, found
    return None
