"""Signals: noted, raised where work looks, insisted on where it does not."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.helpers import trees
from vidseg.cli import main
from vidseg.datasets.files import FrameVideo
from vidseg.errors import Stopped
from vidseg.utils import stop
from vidseg.utils.stop import check_stop, listening

STUBBORN = """
import signal, sys
from vidseg.utils.stop import listening
with listening():
    for _ in range(2):
        print("asked", flush=True)
        signal.raise_signal(int(sys.argv[1]))
    print("went on", flush=True)
"""


def spin(*_: Any) -> None:
    """Compute for ever, without a look at whether to stop."""
    while True:
        pass


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "GRACE_SECONDS", 600)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "GRACE_SECONDS", 0.05)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_is_raised_where_work_looks_and_again(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with listening():
        check_stop()
        signal.raise_signal(number)
        for _ in range(2):
            with pytest.raises(kind):
                check_stop()
    check_stop()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.usefixtures("impatient")
def test_work_that_does_not_look_is_interrupted() -> None:
    with pytest.raises(Stopped) as raised, listening():
        spin(signal.raise_signal(signal.SIGTERM))
    assert raised.value.exit_code == 143
    assert str(raised.value).startswith("stopped by SIGTERM; finished work is kept")
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert (str(copy), copy.exit_code) == (str(raised.value), 143)


@pytest.mark.usefixtures("impatient")
def test_an_interruption_that_a_callback_loses_is_repeated(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lost: list[bool] = []

    def callback(reference: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        lost.append(True)
        spin()

    def work() -> None:
        victim = set[int]()
        kept.append(weakref.ref(victim, callback))
        del victim
        spin()

    kept: list[Any] = []
    with pytest.raises(Stopped), listening():
        work()
    assert lost == [True]
    assert "Exception ignored" not in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN, str(int(number))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (-number, "asked\nasked\n")


def test_a_background_job_goes_on_ignoring_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening():
            signal.raise_signal(signal.SIGINT)
            check_stop()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("look", [True, False])
def test_a_signal_during_a_check_is_no_fault_of_the_data(
    look: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trees.mot_sequence(tmp_path, "a", frames=6, seed=1)
    monkeypatch.setattr(stop, "GRACE_SECONDS", 600 if look else 0.05)

    frames = FrameVideo.frames

    def asked(self: Any, indices: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        if not look:
            spin()
        return frames(self, indices)

    monkeypatch.setattr(FrameVideo, "frames", asked)
    with pytest.raises(SystemExit) as ended:
        main.main(["datasets", "check", f"mot:{tmp_path}", "--quiet"])
    captured = capsys.readouterr()
    assert ended.value.code == 143
    assert "wrong" not in captured.out
    assert captured.err.splitlines()[-1].startswith("vidseg: stopped by SIGTERM; finished work")
