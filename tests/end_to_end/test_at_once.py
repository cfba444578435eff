"""Equal suites that start in the same instant on one ledger, one store and one sqlite file."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.end_to_end.test_suite import prepare
from tests.helpers import at_once
from tests.helpers.mlflow_fixtures import migrated

__all__ = ["migrated"]

TRIALS, SUITES = 24, 4
QUICK: dict[str, Any] = {
    "dataset": "synthetic:videos=2,frames=4,size=64x48",
    "arms": {"one": {"sampler": 1}, "two": {"sampler": "successive:n=2"}},
    "pipelines": {"s": {"extractor": "filters:octaves=1", "classifier": "sgd:epochs=1"}},
    "comparisons": [{"a": "one", "b": "two"}],
}
CELLS = 4
RUNS = ["one s", "tiny", "two s"] * SUITES


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_four_equal_suites_in_one_instant(tmp_path: Path, migrated: Path) -> None:
    folders = [prepare(tmp_path / f"{i}", migrated, **QUICK) for i in range(TRIALS)]
    done = subprocess.run(
        [sys.executable, at_once.__file__, str(SUITES), *map(str, folders)],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    codes = done.stdout.splitlines()
    assert len(codes) == TRIALS
    for folder, said in zip(folders, codes, strict=True):
        told = [(folder / f"out-{i}.txt").read_text() for i in range(SUITES)]
        assert said == "0 0 0 0", "\n".join(told)
        check(folder)


def check(folder: Path) -> None:
    """Assert that every suite has all of its runs and cells, and that each was computed once."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as db:
        runs = list(db.execute("select name, status, run_uuid, artifact_uri from runs"))
    assert sorted(name for name, *_ in runs) == sorted(RUNS)
    assert {status for _, status, *_ in runs} == {"FINISHED"}
    seconds: dict[str, set[float]] = {}
    for name, _, _, place in runs:
        cells = list(Path(place.removeprefix("file://")).glob("cells/*.json"))
        assert len(cells) == (CELLS if name == "tiny" else 0)
        for file in cells:
            cell = json.loads(file.read_text())
            seconds.setdefault(cell["id"], set()).add(cell["facts"]["fit_seconds"])
    assert len(seconds) == CELLS
    assert all(len(times) == 1 for times in seconds.values()), "fitted more than once"
