"""Temporary folders: removed at their end, and those of killed processes by the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vidseg.utils import scratch as module
from vidseg.utils.scratch import PREFIX, remove_stale, scratch

HOLDS = """
import sys, time
from vidseg.utils.scratch import scratch
with scratch() as folder:
    (folder / "half").write_text("written")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    remove_stale.cache_clear()
    return tmp_path


def test_it_is_removed_at_the_end_also_after_an_error(place: Path) -> None:
    def fails() -> None:
        with scratch() as folder:
            (folder / "a").mkdir()
            assert folder.parent == place
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fails()
    assert list(place.iterdir()) == []


def test_those_of_killed_processes_go_and_those_of_living_ones_stay(place: Path) -> None:
    own = place / f"{PREFIX}of-a-person"
    own.mkdir()
    (place / f"{PREFIX}abcdefgh").write_text("a file")
    (place / f"{PREFIX}abcdefgi").symlink_to(own)
    others = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        folders = [Path(str(one.stdout and one.stdout.readline()).strip()) for one in others]
        others[0].send_signal(signal.SIGKILL)
        others[0].wait()
        assert folders[0].exists()
        with scratch() as folder:
            assert not folders[0].exists()
            assert (folders[1] / "half").read_text() == "written"
            remove_stale.cache_clear()
            remove_stale(str(place))
            assert folder.exists()
        others[1].communicate("")
        assert not folders[1].exists()
    finally:
        for one in others:
            one.kill()
            one.communicate()
    assert len(list(place.iterdir())) == 3


def test_a_folder_that_another_process_took_for_a_stale_one_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, list[str]()

    def taken(prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(module.tempfile, "mkdtemp", taken)
    with scratch() as folder:
        assert str(folder) == made[1]
