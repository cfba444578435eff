"""Networks in several processes, and killed in the middle of an epoch."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.helpers.trunks import Logged, context, training
from vidseg.classifiers.base import Budget
from vidseg.classifiers.networks import training as loop
from vidseg.classifiers.networks.descent import Descent
from vidseg.classifiers.networks.unet import UNet
from vidseg.types import FrameRef

# a server that has imported torch: each test's processes start from it at once
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])

FRAMES = tuple(FrameRef(video, index) for video in "ab" for index in (0, 1, 2))[:5]
"""With two crops a step the last step of an epoch has one: a process has none then."""


def fit(folder: Path, **changes: Any) -> tuple[dict[str, Any], Logged, dict[str, float]]:
    log = Logged()
    ctx = context(folder, log=log, budget=Budget("equal-epochs"), **changes)
    network = UNet(epochs=4, batch=2, accumulate=2)
    train = training(refs=FRAMES, ignored=0.3)
    return network.fit(train, train.handle, ctx).export(), log, ctx.facts


def fit_together(folder: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)

    def reduce(array: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(np.array(array))
        dist.all_reduce(tensor)
        return tensor.numpy()

    state, log, facts = fit(folder / "cell", reduce=reduce, rank=rank, world=world)
    pixels = facts["pixels_seen"]
    np.savez(folder / f"{rank}.npz", loss=log.of("loss"), iou=log.of("iou"), pixels=pixels, **state)
    dist.destroy_process_group()


def fit_killed(folder: Path, kill: int) -> None:
    """Fit; die in the middle of the ``kill``-th change of the weights."""
    torch.set_num_threads(1)
    loop.CHECKPOINT_SHARE = 1e9
    step, seen = Descent.step, 0

    def count(self: Descent, pixels: float) -> None:
        nonlocal seen
        step(self, pixels)
        seen += 1
        if seen == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    Descent.step = count  # type: ignore[method-assign]
    fit(folder)


def start(task: Callable[..., None], *arguments: object) -> BaseProcess:
    process = FORKS.Process(target=task, args=arguments)
    process.start()
    return process


def finish(*processes: BaseProcess) -> list[int | None]:
    for process in processes:
        process.join(timeout=300)
        if process.is_alive():
            process.kill()
    return [process.exitcode for process in processes]


def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    assert finish(*(start(fit_together, tmp_path, rank, 2) for rank in (0, 1))) == [0, 0]
    first, second = (np.load(tmp_path / f"{rank}.npz") for rank in (0, 1))
    state, log, facts = fit(tmp_path / "alone")
    assert log.of("loss")[-1] < log.of("loss")[0]
    np.testing.assert_allclose(first["loss"], log.of("loss"), rtol=1e-4)
    np.testing.assert_allclose(first["iou"], log.of("iou"), atol=5e-3)
    assert first["pixels"] == facts["pixels_seen"]
    for name, array in state.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_allclose(first[name], array, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_training_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    assert finish(start(fit_killed, tmp_path / "cell", 5)) == [-signal.SIGKILL]
    (left,) = (tmp_path / "cell").glob("*/checkpoint.safetensors")
    assert left.is_file()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found, log, facts = fit(tmp_path / "cell")
        unbroken, whole, _ = fit(tmp_path / "whole")
    finally:
        torch.set_num_threads(before)
    assert facts["updates"] == 4 * 3
    assert log.of("loss") == whole.of("loss")
    for name, array in unbroken.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
