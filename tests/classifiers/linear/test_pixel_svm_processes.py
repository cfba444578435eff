"""The exact pixel SVM in several processes, and killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.classifiers.linear.test_pixel_svm import budget_for
from tests.helpers.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.types import Features, FrameRef

# a server that has imported torch: each test's processes start from it at once
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def fit_alone(folder: Path, out: Path, path: str, kill: int, loss: str) -> None:
    """Fit; die at the ``kill``-th reading of a frame, or logged reading in memory."""
    torch.set_num_threads(1)
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def spoil(ref: FrameRef, features: Features) -> Features:
        if path == "disk":
            count()
        return features

    def log(name: str, value: float, step: int) -> None:
        if path == "memory" and name == "objective":
            count()

    svm = PixelSvm(C=30.0, C_mode="sum", tolerance=1e-7, sample=96, loss=loss)
    budget = budget_for(path, TinyTraining(), 96)
    ctx = FitContext(workdir=folder, memory_budget=budget, log=log)
    head = svm.fit(replace(TinyTraining(), spoil=spoil), TinyHandle(), ctx)
    assert ctx.facts["data_path"] == {"memory": 0, "disk": 2}[path]
    np.savez(out, weight=head.warm["weight"], seen=seen)


def fit_together(folder: Path, rank: int, world: int, cost: float, loss: str) -> None:
    """Fit one process's shard; sums go through gloo."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)

    def reduce(array: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(np.array(array))
        dist.all_reduce(tensor)
        return tensor.numpy()

    train = TinyTraining(refs=(*TinyTraining().refs, TinyTraining().refs[0]))
    ctx = FitContext(workdir=folder / "cell", reduce=reduce, rank=rank, world=world)
    tolerance = 1e-8 if loss == "hinge" else 1e-11
    svm = PixelSvm(C=cost, C_mode="sum", tolerance=tolerance, loss=loss)
    head = svm.fit(train, TinyHandle(), ctx)
    np.savez(folder / f"{rank}.npz", weight=head.warm["weight"], **ctx.facts)
    dist.destroy_process_group()


def start(task: Callable[..., None], *arguments: object) -> BaseProcess:
    process = FORKS.Process(target=task, args=arguments)
    process.start()
    return process


def finish(process: BaseProcess) -> int | None:
    process.join(timeout=300)
    return process.exitcode


@pytest.mark.parametrize(("path", "loss"), [("disk", "squared_hinge"), ("memory", "hinge")])
def test_a_killed_fit_continues_to_the_same_bits(tmp_path: Path, path: str, loss: str) -> None:
    whole, mended = tmp_path / "whole.npz", tmp_path / "mended.npz"
    assert finish(start(fit_alone, tmp_path / "whole", whole, path, 0, loss)) == 0
    unbroken = np.load(whole)
    last = int(unbroken["seen"])
    assert last > 3
    first = start(fit_alone, tmp_path / "mended", mended, path, last // 2, loss)
    assert finish(first) == -signal.SIGKILL
    # this one dies soon after it took up the checkpoint of the first
    second = start(
        fit_alone, tmp_path / "mended", mended, path, 2 if path == "memory" else 11, loss
    )
    assert finish(second) == -signal.SIGKILL
    assert finish(start(fit_alone, tmp_path / "mended", mended, path, 0, loss)) == 0
    np.testing.assert_array_equal(np.load(mended)["weight"], unbroken["weight"])
    assert np.load(mended)["seen"] < last


@pytest.mark.parametrize(
    ("cost", "loss"), [(1.0, "squared_hinge"), (1.0, "hinge"), ([0.1, 1.0], "squared_hinge")]
)
def test_two_processes_reach_the_solution_of_one(tmp_path: Path, cost, loss: str) -> None:
    for name, world in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        ranks = [
            start(fit_together, tmp_path / name, rank, world, cost, loss) for rank in range(world)
        ]
        assert [finish(process) for process in ranks] == [0] * world
    one, first, second = (np.load(tmp_path / f) for f in ("one/0.npz", "two/0.npz", "two/1.npz"))
    np.testing.assert_array_equal(first["weight"], second["weight"])
    tolerance = 1e-5 if loss != "hinge" else 5e-3
    np.testing.assert_allclose(first["weight"], one["weight"], atol=tolerance)
    assert first["points"] == one["points"]
    assert first["objective"] == pytest.approx(float(one["objective"]), rel=1e-6)
