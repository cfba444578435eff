"""`mlflow run`: the project's command in a run that MLflow started."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def mlflow_run(
    cwd: Path, project: str, *parameters: str, entry: str = "main"
) -> subprocess.CompletedProcess[str]:
    """Run the project with the interpreter of the tests, in ``cwd``."""
    tools = Path(sys.executable).parent
    given = [part for parameter in parameters for part in ("-P", parameter)]
    command = [sys.executable, "-m", "mlflow", "run", project, "--env-manager", "local"]
    command += ["-e", entry]
    return subprocess.run(
        [*command, "--experiment-name", "chosen", "--run-name", "given", *given],
        cwd=cwd,
        env={
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{cwd / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )


SMALL = ("dataset=synthetic:videos=2,frames=8", "image_size=64x48", "refit=no")


def test_run_from_another_folder_fills_mlflows_run(tmp_path: Path) -> None:
    done = mlflow_run(tmp_path, str(ROOT), *SMALL, "sampler=successive:n=2", "seed=3")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        runs = store.execute("SELECT name, status FROM runs").fetchall()
        params = dict(store.execute("SELECT key, value FROM params"))
        tags = dict(store.execute("SELECT key, value FROM tags"))
        metrics = dict(store.execute("SELECT key, value FROM latest_metrics"))
    store.close()
    assert runs == [("given", "FINISHED")]
    assert (params["seed"], params["run.seed"], params["sampler.n"]) == ("3", "3", "2")
    assert tags["vidseg.role"] == "run"
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert 0 <= metrics["test/iou"] <= 1


def test_run_that_is_refused_is_failed(tmp_path: Path) -> None:
    done = mlflow_run(tmp_path, str(ROOT), *SMALL, "sampler=successive:n=900")
    assert done.returncode != 0
    assert "900" in done.stderr
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        runs = store.execute("SELECT name, status FROM runs").fetchall()
        tags = dict(store.execute("SELECT key, value FROM tags"))
    store.close()
    assert runs == [("given", "FAILED")]
    assert "900" in tags["vidseg.error"]
