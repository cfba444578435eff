"""`vidseg suite` as a user starts it: killed, refused, at once, without its server."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.end_to_end.test_mlproject import mlflow_run
from tests.helpers.mlflow_fixtures import migrated

__all__ = ["migrated"]

SUITE: dict[str, Any] = {
    "name": "tiny",
    "question": "Does it end with the same?",
    "dataset": "synthetic:videos=3,frames=6,size=64x48",
    "image_size": "32x24",
    "device": "cpu",
    "threads": 1,
    "arms": {
        "one": {"sampler": 1},
        "four": {"sampler": "successive:n=4"},
        "noisy": {"sampler": "noised:base=1,copies=2,window=3"},
    },
    "pipelines": {"s": {"extractor": "filters:octaves=1", "classifier": "sgd:epochs=2"}},
    "comparisons": [{"a": "one", "b": "four"}, {"a": "noisy", "b": "four"}],
}
LASTED: list[float] = []
"""Seconds of the unbroken suite: kills at random moments of it hit all of its stages anywhere."""
RUNS = {"tiny": "FINISHED", "one s": "FINISHED", "four s": "FINISHED", "noisy s": "FINISHED"}


def prepare(folder: Path, migrated: Path, **changes: Any) -> Path:
    """Put the suite and a tracking store that was migrated into a folder."""
    folder.mkdir(exist_ok=True)
    text = yaml.safe_dump({**SUITE, **changes}, sort_keys=False)
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    if not (folder / "mlflow.db").exists():
        shutil.copyfile(migrated, folder / "mlflow.db")
    return folder


def start(folder: Path, *args: str, ledger: str = "ledger", **environment: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "vidseg", "suite", "tiny.yaml", *args],
        cwd=folder,
        env={
            # mlflow leaves the store that was made for all tests in this process's environment
            **{key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
            "PYTHONPATH": str(ROOT),
            "VIDSEG_STORE": str(folder / "store"),
            "VIDSEG_LEDGER": str(folder / ledger),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: Any) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=400)
    return process.returncode, out, err


def found(folder: Path, database: str = "mlflow.db") -> dict[str, Any]:
    """Return everything that a suite left in a tracking store, but times."""
    with contextlib.closing(sqlite3.connect(folder / database)) as db:
        runs = list(db.execute("select run_uuid, name, status, artifact_uri from runs"))
        rows = list(db.execute("select run_uuid, key, value, step from metrics"))
        tags = list(db.execute("select run_uuid, key, value from tags"))
    names = {run[0]: run[1] for run in runs}
    parents = {run: names[value] for run, key, value in tags if key == "mlflow.parentRunId"}
    (suite,) = [run for run in runs if run[0] not in parents]
    folder_of = Path(suite[3].removeprefix("file://"))
    timed = ("seconds", "plan/")
    return {
        "runs": sorted((name, status, parents.get(run)) for run, name, status, _ in runs),
        "metrics": sorted(
            (names[run], key, value, step)
            for run, key, value, step in rows
            if not any(word in key for word in timed)
        ),
        "errors": [value for _, key, value in tags if key == "vidseg.error"],
        "cells": {path.name: cell(path) for path in (folder_of / "cells").glob("*.json")},
        "report": sorted(path.name for path in (folder_of / "report").rglob("*.*")),
    }


def cell(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {key: content[key] for key in ("id", "counts", "score_inputs")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    """What an unbroken suite leaves."""
    folder = prepare(tmp_path_factory.mktemp("whole"), migrated)
    began = time.monotonic()
    code, out, err = finish(start(folder))
    LASTED.append(time.monotonic() - began)
    assert code == 0, err
    assert str(folder / "report-tiny" / "report.html") in out
    result = found(folder)
    assert {name: status for name, status, _ in result["runs"]} == RUNS
    assert len(result["runs"]) == 4
    assert {parent for name, _, parent in result["runs"] if name != "tiny"} == {"tiny"}
    assert len(result["cells"]) == 9
    assert "report.html" in result["report"]
    # 9 cells, 18 frames once each, and 2 copies in each of 3 folds, for 2 videos, in 3 readings
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as db:
        plan = dict(db.execute("select key, value from metrics where key like 'plan/%'"))
    assert plan["plan/forwards"] == plan["plan/forwards_announced"]
    assert (plan["plan/cells"], plan["plan/failed"]) == (9, 0)
    return result


def same(folder: Path, whole: dict[str, Any]) -> None:
    """Assert that a folder's tracking store holds exactly what an unbroken suite leaves."""
    result = found(folder)
    for part in whole:
        assert result[part] == whole[part], part


def kill_when(process: Any, folder: Path, pattern: str, count: int) -> bool:
    """Kill a process as soon as so many files are there; return False when it ended before."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if len(list(folder.glob(pattern))) >= count:
            process.kill()
            break
        time.sleep(0.002)
    finish(process)
    return bool(process.returncode == -signal.SIGKILL)


def test_killed_at_three_places_and_gone_on(
    whole: dict[str, Any], tmp_path: Path, migrated: Path
) -> None:
    prepare(tmp_path, migrated)
    places = [
        ("ledger/*/*/fit.json", 2),
        ("ledger/*/*/score-*.json", 4),
        # in the middle of logging: the first setting's files are there, not yet the last one's
        ("mlruns/*/*/artifacts/per_video.json", 1),
    ]
    for pattern, count in places:
        assert kill_when(start(tmp_path), tmp_path, pattern, count), pattern
    code, _, err = finish(start(tmp_path))
    assert code == 0, err
    assert "9 of 9 cells are in the ledger" in err
    assert "\ncell " not in err, "cells that are read are not told one by one"
    same(tmp_path, whole)


def kills(whole: dict[str, Any], folder: Path, count: int, seed: int, *args: str) -> None:
    """Kill a suite at random moments; then let it end."""
    chance = random.Random(seed)
    for _ in range(count):
        process = start(folder, *args)
        time.sleep(chance.uniform(0, LASTED[0]))
        if process.poll() is None:
            process.kill()
        finish(process)
        if process.returncode == 0:  # it was done: from its beginning, then
            same(folder, whole)
            for name in ("ledger", "store", "mlruns"):
                shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copyfile(folder / "empty.db", folder / "mlflow.db")
    code, _, err = finish(start(folder, *args))
    assert code == 0, err
    same(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "processes:n=2"])
def test_ten_kills(whole: dict[str, Any], tmp_path: Path, migrated: Path, executor: str) -> None:
    prepare(tmp_path, migrated)
    shutil.copyfile(migrated, tmp_path / "empty.db")
    kills(whole, tmp_path, 10, 11, "--executor", executor)


@pytest.mark.slow
@pytest.mark.skipif("VIDSEG_KILLS" not in os.environ, reason="VIDSEG_KILLS names how many")
def test_many_kills(whole: dict[str, Any], tmp_path: Path, migrated: Path) -> None:
    prepare(tmp_path, migrated)
    shutil.copyfile(migrated, tmp_path / "empty.db")
    kills(whole, tmp_path, int(os.environ["VIDSEG_KILLS"]), 100)


def test_failed_cells_and_every_cell_failed(tmp_path: Path, migrated: Path) -> None:
    arms = {"one": {"sampler": 1}, "long": {"sampler": "successive:n=99"}}
    prepare(tmp_path, migrated, arms=arms, comparisons=[{"a": "one", "b": "long"}])
    code, out, err = finish(start(tmp_path, "--only", "long*"))
    assert code == 1
    assert "every cell failed, the first with: video syn01: the sampler" in err
    assert "Traceback" not in err
    result = found(tmp_path)
    assert {(name, status) for name, status, _ in result["runs"]} == {
        ("tiny", "FAILED"),
        ("long s", "FAILED"),
    }
    assert any("every cell failed" in text for text in result["errors"])
    code, out, err = finish(start(tmp_path))
    assert code == 1
    assert "long s/fold 0/seed 0" in out, "the report is there all the same"
    last = err.splitlines()[-1]
    assert "3 of 6 cells failed: 2 cells (long s/fold 1/seed 0, long s/fold 2/seed 0): " in last
    assert "; 1 cell (long s/fold 0/seed 0): video syn01: the sampler" in last
    told = [line for line in err.splitlines() if line.startswith("cell ")]
    assert len(told) == 6, "a line a cell, where there is no terminal"
    assert sum(": iou " in line for line in told) == 3
    assert sum(": failed: video " in line for line in told) == 3
    assert sum(line.startswith("fit ") for line in err.splitlines()) == 3
    told += [line for line in err.splitlines() if line.startswith("fit ")]
    others = [line for line in err.splitlines() if "goes on" not in line and line not in told]
    assert len(others) == 10, err
    result = found(tmp_path)
    assert {name: status for name, status, _ in result["runs"]} == {
        "tiny": "FINISHED",
        "one s": "FINISHED",
        "long s": "FAILED",
    }
    assert all("long s/fold 0" in text for text in result["errors"])
    assert len(result["runs"]) == 3, "filled again, not doubled"


@pytest.mark.slow
def test_two_suites_at_once(whole: dict[str, Any], tmp_path: Path, migrated: Path) -> None:
    prepare(tmp_path, migrated)
    both = [start(tmp_path, "--output", f"report-{i}") for i in range(2)]
    for process in both:
        code, _, err = finish(process)
        assert code == 0, err
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as db:
        runs = dict(db.execute("select run_uuid, name from runs"))
        statuses = {status for (status,) in db.execute("select status from runs")}
        tags = db.execute("select run_uuid, value from tags where key = 'mlflow.parentRunId'")
        children: dict[str, list[str]] = {}
        for run, parent in tags:
            children.setdefault(parent, []).append(runs[run])
        metrics = list(db.execute("select run_uuid, key, value, step from metrics"))
    assert statuses == {"FINISHED"}
    assert len(children) == 2
    assert [sorted(names) for names in children.values()] == [["four s", "noisy s", "one s"]] * 2
    numbers = {(runs[run], key, value, step) for run, key, value, step in metrics
               if "seconds" not in key and "plan/" not in key}  # fmt: skip
    assert sorted(numbers) == whole["metrics"]


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a tracking server of this machine on a folder's store, until it answers."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "mlruns"), "--port", str(port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1"],
        cwd=folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            time.sleep(0.3)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session: it and its workers
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_a_server_that_goes_away_in_the_middle(
    whole: dict[str, Any], tmp_path: Path, migrated: Path
) -> None:
    prepare(tmp_path, migrated)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    with server(tmp_path, port) as running:
        process = start(tmp_path, "--tracking-uri", uri, **quick)
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("ledger/*/*/score-*.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGKILL)
        code, _, err = finish(process)
    assert code == 1
    assert "the results are in the ledger" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert (tmp_path / "report-tiny" / "report.html").is_file()
    assert len(list(tmp_path.glob("ledger/*/*/score-*.json"))) == 9
    with server(tmp_path, port):
        # from a machine that has nothing but what the server holds, and from this one
        code, _, err = finish(start(tmp_path, "--tracking-uri", uri, **quick))
        assert code == 0, err
        assert "9 of 9 cells are in the ledger" in err
        result = served(tmp_path)
        assert result["runs"] == whole["runs"]
        assert result["metrics"] == whole["metrics"]
        code, _, err = finish(start(tmp_path, "--tracking-uri", uri, ledger="other", **quick))
        assert code == 0, err
        assert "9 of 9 cells are in the ledger" in err
    assert served(tmp_path)["runs"] == whole["runs"]


def served(folder: Path) -> dict[str, Any]:
    """Return what a server's store holds; its artifacts are behind it."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as db:
        db.execute("update runs set artifact_uri = '/nowhere'")
    result = found(folder)
    assert len(list((folder / "mlruns").rglob("cells/*.json"))) == 9
    return result


@pytest.mark.slow
def test_mlflow_run_of_a_suite_and_its_report(tmp_path: Path, migrated: Path) -> None:
    prepare(tmp_path, migrated)
    project = str(ROOT)
    given = (f"name={tmp_path / 'tiny.yaml'}", "set=seeds=[0]", f"output={tmp_path / 'out'}")
    done = mlflow_run(tmp_path, project, *given, entry="suite")
    assert done.returncode == 0, done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as db:
        runs = list(db.execute("select run_uuid, name, status from runs"))
        tags = list(db.execute("select run_uuid, key, value from tags"))
    assert sorted((name, status) for _, name, status in runs) == [
        *sorted([("given", "FINISHED"), *((n, s) for n, s in RUNS.items() if n != "tiny")])
    ]
    (parent,) = [run for run, name, _ in runs if name == "given"]
    assert (parent, "vidseg.role", "suite") in tags
    assert sum(key == "mlflow.parentRunId" and value == parent for _, key, value in tags) == 3
    shutil.rmtree(tmp_path / "out")
    again = f"output={tmp_path / 'again'}"
    done = mlflow_run(tmp_path, project, f"run={parent[:8]}", again, entry="report")
    assert done.returncode == 0, done.stderr
    assert "Does it end with the same?" in (tmp_path / "again" / "report.html").read_text()
