"""Who solves the pixel SVM, how fast, in how much memory; and do all pixels pay?

Real features of real clips (generated ones where the samples are absent), every solver in a process
of its own on one core, every solution judged by the same independent code against one certified
optimum. CPU seconds count from features in the store to weights: standardising, making points,
converting, solving; not decoding, extracting, importing or compiling.

    python -m benchmarks.svm [--quick] [--json FILE] [--plot FILE] [--samples FOLDER] [--minutes 15]

A solver is run at a ladder of tolerances, each from the start. CPU seconds to a gap are
interpolated on the ladder, linearly in log gap and log seconds, between the last rung above the gap
and the first one below it. "<": the loosest rung met the gap already; ">": the slowest rung that
ended was still above it (a rung that exceeds the limit of CPU seconds ends the ladder). Rounds are
interleaved; medians over rounds.
"""

from __future__ import annotations

import os

# before NumPy and torch load: one core for everybody
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import _alternative, _bandwidth, _tables
from benchmarks._frames import Bench
from benchmarks._judge import Judge
from benchmarks._runs import ACCURACY, LADDERS, Case, Reference, Run, solve
from benchmarks._samples import samples_folder

COSTS = (0.01, 1.0, 100.0)
QUICK = (Case("squeezenet", "64x48", 4),)
FULL = (
    Case("squeezenet", "160x120", 2),
    Case("squeezenet", "160x120", 8),
    Case("squeezenet", "320x240", 2),
    Case("vgg16", "160x120", 2),
)


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small case, under a minute")
    parser.add_argument("--json", type=Path, help="where to write every run")
    parser.add_argument("--plot", type=Path, help="where to draw gap against CPU seconds")
    parser.add_argument("--samples", help="folder of real samples (else VIDSEG_SAMPLES)")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, while time lasts")
    parser.add_argument("--minutes", type=float, default=15.0, help="no run starts after them")
    parser.add_argument("--limit", type=float, default=40.0, help="CPU seconds for a rung")
    parser.add_argument("--methods", nargs="+", help="only these solvers, named as in the tables")
    parser.add_argument("--cases", default="", help="only the cases whose name contains this")
    parser.add_argument("--costs", type=float, nargs="+", default=COSTS, help="values of C")
    parser.add_argument(
        "--part",
        choices=("all", "solvers", "pixels"),
        default="all",
        help="solvers: no random pixels; pixels: nothing else",
    )
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its tables."""
    given = options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="svm-benchmark-") as folder:
        bench = Bench(samples_folder(given.samples).resolve(), Path(folder))
        print(_tables.preamble(bench, sorted({c.extractor for c in FULL})), flush=True)
        result = measure(bench, given)
    print(_tables.everything(result))
    if given.plot:
        _tables.plot(result, given.plot)


def measure(bench: Bench, given: argparse.Namespace) -> dict[str, Any]:
    """Return all runs, references and the other tables, as plain JSON."""
    end = time.monotonic() + 60 * given.minutes
    cases = QUICK if given.quick else tuple(c for c in FULL if given.cases in str(c))
    result: dict[str, Any] = {"limit": 1.5 if given.quick else given.limit}
    if given.part != "solvers":
        result["alternative"] = _alternative.measure(bench, quick=given.quick)
    duel = Duel(bench, result["limit"], given.methods)
    if given.part != "pixels":
        result["bandwidth"] = _bandwidth.measure(bench, cases[0])
        for turn in range(1 if given.quick else given.rounds):
            for case, cost in itertools.product(cases, (0.01,) if given.quick else given.costs):
                if duel.runs and time.monotonic() > end:
                    break
                runs = duel.round(turn, case, cost)
                print(_tables.progress(case, cost, turn, runs), flush=True)
                save(result, duel, given.json)
    save(result, duel, given.json)
    return result


def save(result: dict[str, Any], duel: Duel, path: Path | None) -> None:
    """Put what was measured so far into ``result``, and into a file if one was named."""
    result["runs"] = [asdict(run) for run in duel.runs]
    result["references"] = [asdict(reference) for reference in duel.references]
    if path is not None:
        path.write_text(json.dumps(result, indent=1))


class Duel:
    """All solvers on one case after the other.

    Args:
        bench: videos and features.
        limit: CPU seconds for a rung.
        methods: solvers to run; all by default.
    """

    def __init__(self, bench: Bench, limit: float, methods: Sequence[str] | None = None) -> None:
        self.bench, self.limit, self.methods = bench, limit, methods
        self.runs: list[Run] = []
        self.references: list[Reference] = []
        self._judge: tuple[Case, Judge] | None = None

    def round(self, turn: int, case: Case, cost: float) -> list[Run]:
        """Run every solver once; keep and return its runs, and in round 0 the references."""
        judge = self._judge_of(case)
        found = [
            run
            for loss, ladders in LADDERS.items()
            for method, rungs in ladders.items()
            if not self.methods or method in self.methods
            for run in self._ladder(judge, case, method, loss, cost, rungs, turn)
        ]
        if turn == 0:
            self.references += self._references(judge, case, cost, found)
        self.runs += found
        return found

    def _judge_of(self, case: Case) -> Judge:
        if self._judge is None or self._judge[0] != case:
            self._judge = None  # not two at once
            self._judge = case, case.judge(self.bench)
        return self._judge[1]

    def _ladder(
        self, judge: Judge, case: Case, method: str, loss: str, cost: float,
        rungs: Sequence[float], turn: int,
    ) -> Iterator[Run]:  # fmt: skip
        for rung, point, facts in solve(self.bench, case, method, loss, cost, rungs, self.limit):
            value = judge.objective(point, cost, loss)
            yield Run(
                str(case), method, loss, cost, rung, turn, value, facts["cpu"], facts["wall"],
                facts["peak"], facts.get("passes"), facts.get("dual_objective"),
            )  # fmt: skip

    def _references(
        self, judge: Judge, case: Case, cost: float, runs: Sequence[Run]
    ) -> list[Reference]:
        """Return optima: by Newton's method; of the hinge the best run's, with its dual bound."""
        points, dimensions = judge.points.shape
        near = solve(self.bench, case, "pixel_svm", "squared_hinge", cost, (1e-6,), 5 * self.limit)
        start = next((found for _, found, _ in near), np.zeros(dimensions))
        point, error = judge.optimum(start, cost, ACCURACY)
        squared = judge.objective(point, cost, "squared_hinge")
        hinge = [run for run in runs if run.loss == "hinge"]
        best = min((run.objective for run in hinge), default=float("nan"))
        lower = max((run.lower or 0.0 for run in hinge), default=0.0)
        return [
            Reference(str(case), loss, cost, optimum, wrong, points, dimensions)
            for loss, optimum, wrong in (
                ("squared_hinge", squared, error),
                ("hinge", best, 1 - lower / best),
            )
        ]


if __name__ == "__main__":
    main()
