"""`vidseg run` as a user starts it: whole processes, generated videos, a tracking store."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

TINY = [
    *("--dataset", "synthetic:videos=3,frames=6,size=64x48", "--image-size", "64x48"),
    *("--sampler", "successive:n=3", "--extractor", "filters"),
    *("--classifier", "sgd", "--epochs", "2", "--threads", "1", "--device", "cpu"),
]


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    environment = {
        # in-process tests leave MLFLOW_TRACKING_URI behind
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "PYTHONPATH": str(ROOT),
        "VIDSEG_STORE": str(folder / "store"),
        "VIDSEG_LEDGER": str(folder / "ledger"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "vidseg", *args],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def runs(folder: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(folder / "mlflow.db") as db:
        return list(db.execute("select run_uuid, status from runs order by start_time"))


def metrics(folder: Path, run_id: str) -> dict[str, float]:
    """Every metric of a run but seconds, which differ from run to run."""
    with sqlite3.connect(folder / "mlflow.db") as db:
        rows = db.execute("select key, value, step from metrics where run_uuid = ?", (run_id,))
        return {
            f"{key}@{step}": value
            for key, value, step in rows
            if "seconds" not in key and not key.startswith("system/")
        }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run."""
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = finish(start(folder, "run", *TINY))
    assert code == 0, err
    assert "mean over groups" in out
    assert "mlflow ui" in out
    return folder


def test_run_logs_scores_baselines_and_model(whole: Path) -> None:
    ((run_id, status),) = runs(whole)
    assert status == "FINISHED"
    found = metrics(whole, run_id)
    assert 0 < found["test/iou@0"] < 1
    assert {"fold/iou@0", "fold/iou@1", "fold/iou@2", "baseline/colour@0"} <= found.keys()
    (artifacts,) = (whole / "mlruns").glob(f"*/{run_id}/artifacts")
    assert {"config.yaml", "per_video.json", "cells", "overlays"} <= {
        path.name for path in artifacts.iterdir()
    }
    table = json.loads((artifacts / "per_video.json").read_text())
    assert table["columns"][:2] == ["video", "iou"]
    assert len(table["data"]) == 3


def test_same_configuration_same_numbers(whole: Path) -> None:
    code, _, err = finish(start(whole, "run", *TINY, "--fresh"))
    assert code == 0, err
    (first, _), (second, _) = runs(whole)[:2]
    assert metrics(whole, first) == metrics(whole, second)


def test_config_file_repeats_the_run(whole: Path) -> None:
    run_id = runs(whole)[0][0]
    (config,) = (whole / "mlruns").glob(f"*/{run_id}/artifacts/config.yaml")
    code, _, err = finish(start(whole, "run", "--config", str(config)))
    assert code == 0, err
    again = runs(whole)[-1][0]
    assert metrics(whole, run_id) == metrics(whole, again)


def test_two_processes_on_one_new_store_and_tracking_store(whole: Path, tmp_path: Path) -> None:
    both = [start(tmp_path, "run", *TINY) for _ in range(2)]
    for process in both:
        code, _, err = finish(process)
        assert code == 0, err
    expected = metrics(whole, runs(whole)[0][0])
    found = runs(tmp_path)
    assert [status for _, status in found] == ["FINISHED", "FINISHED"]
    for run_id, _ in found:
        assert metrics(tmp_path, run_id) == expected


def test_terminated_run_is_marked_and_goes_on(whole: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "run", *TINY)
    wait_for(tmp_path / "ledger", "fit.json", process)
    process.terminate()
    code, _, err = finish(process)
    if code == 0:
        pytest.skip("the run was over before the signal came")
    assert code == 143
    assert "stopped by SIGTERM" in err
    assert "Traceback" not in err
    assert runs(tmp_path)[0][1] == "KILLED"
    code, _, err = finish(start(tmp_path, "run", *TINY))
    assert code == 0, err
    assert metrics(tmp_path, runs(tmp_path)[-1][0]) == metrics(whole, runs(whole)[0][0])


@pytest.mark.slow
def test_ten_kills_then_the_numbers_of_an_unbroken_run(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    killed = 0
    while killed < 10:
        process = start(tmp_path, "run", *TINY)
        time.sleep(chance.uniform(1, 14))
        if process.poll() is not None:
            finish(process)
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
    code, _, err = finish(start(tmp_path, "run", *TINY))
    assert code == 0, err
    found = runs(tmp_path)
    assert {status for _, status in found[:-1]} <= {"KILLED", "FINISHED"}
    assert found[-1][1] == "FINISHED"
    assert metrics(tmp_path, found[-1][0]) == metrics(whole, runs(whole)[0][0])


def wait_for(folder: Path, name: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(folder.rglob(name)):
            return
        time.sleep(0.02)
