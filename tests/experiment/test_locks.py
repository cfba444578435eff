"""Locks of cells: one holder at a time, and a dead holder's lock is taken over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.conftest import ROOT
from tests.helpers.suites import COUNTS, Place, install, numbers
from vidseg.errors import StoreError
from vidseg.experiment.locks import hold
from vidseg.utils.progress import Quiet

HOLDER = """
import sys, time
from pathlib import Path
from vidseg.experiment.locks import hold
from vidseg.utils.progress import Quiet
with hold([Path(sys.argv[1])], "", Quiet(), lambda: None):
    print("held", flush=True)
    time.sleep(600)
"""


class Waited(Exception):  # noqa: N818
    """The lock was waited for."""


def waited() -> None:
    raise Waited


def once(act: Callable[[], Any]) -> Callable[[], None]:
    """Return a function that calls ``act`` when it is called first."""
    todo = [act]

    def stop() -> None:
        if todo:
            todo.pop()()

    return stop


def test_a_killed_holders_lock_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Waited), hold([file], "", Quiet(), waited):
            pass
        with hold([file], "", Quiet(), once(holder.kill)):
            assert holder.wait() == -9
    finally:
        holder.kill()
        holder.communicate()


def test_locks_are_released_and_taken_again(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ba"]
    for _ in range(2):
        with hold([*files, *files], "", Quiet(), waited):
            for file in files:
                with pytest.raises(Waited), hold([file], "", Quiet(), waited):
                    pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = "file/lock: cannot be written: .*; name another folder"
    with pytest.raises(StoreError, match=text), hold([tmp_path / "file/lock"], "", Quiet(), waited):
        pass


@pytest.mark.parametrize("stages", ["fit.*", "score-*.json"])
def test_what_another_process_did_meanwhile_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: str
) -> None:
    install(monkeypatch)
    done, place = Place(tmp_path / "done"), Place(tmp_path / "new")
    expected, _ = done.run()
    bench = place.bench()
    experiment = bench.experiments["q"]
    cell = bench.cells[0]
    key = experiment.key(cell.setting, cell.fold)
    fitted = experiment.fit(cell.setting, cell.fold, "") if stages != "fit.*" else None
    COUNTS.clear()
    there = place.ledger.folder(key)
    there.mkdir(parents=True, exist_ok=True)
    other = FileLock(there / "lock")
    other.acquire()

    def finish() -> None:
        for file in done.ledger.folder(key).glob(stages):
            shutil.copy(file, there)
        other.release()

    experiment.stop = once(finish)
    if fitted is None:
        assert experiment.fit(cell.setting, cell.fold, "").reused
    else:
        assert experiment.score({"m": fitted}, cell.fold, "")["m"].reused
    assert COUNTS["fits"] == 0
    results, _ = place.run(bench)
    assert numbers(results) == numbers(expected)
