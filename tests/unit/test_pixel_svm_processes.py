"""The exact pixel SVM in several processes, and killed in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

ALONE = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import numpy as np, torch
from tests.training import TinyHandle, TinyTraining
from tests.unit.test_pixel_svm import budget_for
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.pixel_svm import PixelSvm

torch.set_num_threads(1)
folder, out, path, kill, loss = sys.argv[1:]
seen = 0

def spoil(ref, features):
    global seen
    seen += 1
    if seen == int(kill):
        os.kill(os.getpid(), signal.SIGKILL)
    return features

svm = PixelSvm(C=30.0, C_mode="sum", tolerance=1e-7, sample=96, loss=loss)
budget = budget_for(path, TinyTraining(), 96)
train = replace(TinyTraining(), spoil=spoil)

def log(name, value, step):
    global seen
    if path == "memory" and name == "objective":
        spoil(None, None)

ctx = FitContext(workdir=Path(folder), memory_budget=budget, log=log)
head = svm.fit(train, TinyHandle(), ctx)
assert ctx.facts["data_path"] == {"memory": 0, "disk": 2}[path]
np.savez(out, weight=head.warm["weight"], seen=seen, passes=ctx.facts["passes"])
"""

TOGETHER = """
import sys
from pathlib import Path
import numpy as np, torch
import torch.distributed as dist
from tests.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.pixel_svm import PixelSvm

torch.set_num_threads(1)
folder, rank, world, loss = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)

def reduce(array):
    tensor = torch.from_numpy(np.array(array))
    dist.all_reduce(tensor)
    return tensor.numpy()

train = TinyTraining(refs=(*TinyTraining().refs, TinyTraining().refs[0]))
ctx = FitContext(workdir=Path(folder) / "cell", reduce=reduce, rank=rank, world=world)
cost = [0.1, 1.0] if loss == "path" else 1.0
kind = "hinge" if loss == "hinge" else "squared_hinge"
svm = PixelSvm(C=cost, C_mode="sum", tolerance=1e-8, loss=kind)
head = svm.fit(train, TinyHandle(), ctx)
np.savez(f"{folder}/{rank}", weight=head.warm["weight"], **ctx.facts)
dist.destroy_process_group()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors


@pytest.mark.parametrize(("path", "loss"), [("disk", "squared_hinge"), ("memory", "hinge")])
def test_a_killed_fit_continues_to_the_same_bits(tmp_path: Path, path: str, loss: str) -> None:
    finish(start(ALONE, tmp_path / "unbroken", tmp_path / "unbroken.npz", path, 0, loss))
    unbroken = np.load(tmp_path / "unbroken.npz")
    last = int(unbroken["seen"])
    assert last > 3
    for kill in (last // 2, last // 2, 0):
        # the second start is killed sooner after the checkpoint than the first
        code = -signal.SIGKILL if kill else 0
        resumed = start(ALONE, tmp_path / "killed", tmp_path / "killed.npz", path, kill, loss)
        _, errors = resumed.communicate(timeout=300)
        assert resumed.returncode in (code, 0), errors
    killed = np.load(tmp_path / "killed.npz")
    np.testing.assert_array_equal(killed["weight"], unbroken["weight"])
    assert killed["seen"] < last


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge", "path"])
def test_two_processes_reach_the_solution_of_one(tmp_path: Path, loss: str) -> None:
    for name, world in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        ranks = [start(TOGETHER, tmp_path / name, rank, world, loss) for rank in range(world)]
        for process in ranks:
            finish(process)
    one, first, second = (np.load(tmp_path / f) for f in ("one/0.npz", "two/0.npz", "two/1.npz"))
    np.testing.assert_array_equal(first["weight"], second["weight"])
    tolerance = 1e-5 if loss != "hinge" else 5e-3
    np.testing.assert_allclose(first["weight"], one["weight"], atol=tolerance)
    assert first["points"] == one["points"]
    assert first["objective"] == pytest.approx(float(one["objective"]), rel=1e-6)
