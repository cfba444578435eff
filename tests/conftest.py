"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.mlflow_fixtures import migrated, tracking
from vidseg.utils.threads import configure_threads

__all__ = ["migrated", "tracking"]

configure_threads()

# a shell starts background jobs with Ctrl-C ignored, and tests of it would wait for ever
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# the same examples every time: a found counterexample is a bug, not a flaky run
settings.register_profile("vidseg", derandomize=True, deadline=None)
settings.load_profile("vidseg")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real samples; the test is skipped where it is absent."""
    named = os.environ.get("VIDSEG_SAMPLES")
    found = Path(named) if named else ROOT.parent / "shared" / "data"
    if not found.is_dir():
        pytest.skip(f"no real samples at {found} (VIDSEG_SAMPLES names another folder)")
    return found


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's store, ledger or tracking server."""
    place = tmp_path_factory.mktemp("places")
    monkeypatch.setenv("VIDSEG_STORE", str(place / "store"))
    monkeypatch.setenv("VIDSEG_LEDGER", str(place / "ledger"))
    for name in ("TRACKING_URI", "RUN_ID", "EXPERIMENT_NAME", "EXPERIMENT_ID"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    for name in ("VIDSEG_DATA",):
        monkeypatch.delenv(name, raising=False)
