"""`mlflow run`: the project's command in a run that MLflow started."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def mlflow_run(
    cwd: Path,
    project: str,
    *parameters: str,
    entry: str = "main",
    version: str = "",
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the project with the interpreter of the tests, in ``cwd``."""
    tools = Path(sys.executable).parent
    given = [part for parameter in parameters for part in ("-P", parameter)]
    command = [sys.executable, "-m", "mlflow", "run", project, "--env-manager", "local"]
    command += ["-e", entry, *(["--version", version] if version else [])]
    return subprocess.run(
        [*command, "--experiment-name", "chosen", "--run-name", "given", *given],
        cwd=cwd,
        env={
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{cwd / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **environment,
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


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *named, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_run_from_a_tag_of_a_git_address_runs_that_commit(tmp_path: Path) -> None:
    """The tagged commit says so in its version; the branch has gone on to one that cannot run."""
    source = tmp_path / "source"
    files = ("vidseg", "MLproject", "conda.yaml", "pyproject.toml", "constraints.txt")
    for name in files:
        place = ROOT / name
        copy = shutil.copytree if place.is_dir() else shutil.copy2
        source.mkdir(exist_ok=True)
        copy(place, source / name)
    package = source / "vidseg" / "__init__.py"
    package.write_text(package.read_text() + "\n__version__ = 'tagged'\n")
    git(tmp_path, "init", "-q", "source")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "tagged")
    git(source, "tag", "v1")
    tagged = git(source, "rev-parse", "HEAD")
    package.write_text("raise SystemExit('this is not the tagged commit')\n")
    git(source, "commit", "-q", "-a", "-m", "later")

    done = mlflow_run(
        tmp_path,
        "https://git.example/vidseg.git",
        *SMALL[:2],
        "sampler=successive:n=2",
        "classifier=sgd",
        "epochs=1",
        "register=walkers",
        version="v1",
        # git fetches the address from the folder: the test needs no server
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.{source.as_uri()}.insteadOf",
        GIT_CONFIG_VALUE_0="https://git.example/vidseg.git",
    )
    assert done.returncode == 0, done.stderr
    assert "models:/walkers/1" in done.stdout + done.stderr
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        tags = dict(store.execute("SELECT key, value FROM tags"))
    store.close()
    assert tags["mlflow.source.git.commit"] == tagged
    assert tags["mlflow.source.git.dirty"] == "false"
    (copied,) = (tmp_path / "mlruns").rglob("code/vidseg/__init__.py")
    assert "tagged" in copied.read_text()
