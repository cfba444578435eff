"""What share of a reading of all pixels is memory bandwidth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks._frames import Bench
from benchmarks._runs import Case
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import LinearFit
from vidseg.classifiers.linear.exact.problem import Problem
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.types import Size


def measure(bench: Bench, case: Case) -> dict[str, float | str]:
    """Time a copy, a sum and a reading (objective and gradient), on one core, interleaved.

    Returns:
        ``copy`` and ``read`` in bytes per second (a copy moves its bytes twice), ``reading`` in
        seconds, ``bytes`` of features, ``share``: of the reading that streaming its features once
        would take; ``extraction`` in seconds, of the same frames.
    """
    began = time.process_time()
    train, handle = bench.training(case.extractor, Size.parse(case.size), case.frames)
    for ref in train.refs:
        train.features(ref)
    extraction = time.process_time() - began
    with tempfile.TemporaryDirectory(dir=bench.store) as folder:
        settings = PixelSvm(C=1.0, C_mode="sum").settings
        ctx = FitContext(workdir=Path(folder))
        problem = Problem.open(
            LinearFit(train, handle, ctx, tuple(range(len(handle.levels)))), settings
        )
        objective = problem._objective(1.0)
        point = np.random.default_rng(0).normal(0, 0.01, objective.size)
        block = torch.ones(max(2**22, problem.frames.nbytes // 4))
        other = torch.empty_like(block)
        actions: dict[str, Callable[[], object]] = {
            "copy": lambda: other.copy_(block),
            "read": lambda: block.sum(),
            "reading": lambda: objective.read(point, None, 0),
        }
        times: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(7):
            for name, action in actions.items():
                start = time.process_time()
                action()
                times[name].append(time.process_time() - start)
    typical = {name: median(found[1:]) for name, found in times.items()}
    nbytes, read = float(problem.frames.nbytes), block.nbytes / typical["read"]
    return {
        "case": str(case),
        "copy": 2 * block.nbytes / typical["copy"],
        "read": read,
        "reading": typical["reading"],
        "bytes": nbytes,
        "share": nbytes / read / typical["reading"],
        "extraction": extraction,
    }
