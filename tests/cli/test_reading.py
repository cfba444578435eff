"""Commands that read a tracking store: ``vidseg report`` and ``vidseg runs``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import reports
from tests.helpers.mlflow_fixtures import migrated, tracking
from vidseg.cli.main import main
from vidseg.experiment.records import SuiteRecord
from vidseg.report import suite_to_json
from vidseg.tracking.run import open_run

__all__ = ["migrated", "tracking"]


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("words", [("report",), ("runs", "reap")])
def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "empty.db").touch()
    for name in ("typo.db", "absent/typo.db", "empty.db"):
        uri = f"sqlite:///{tmp_path / name}"
        code, out, err = call(capsys, *words, "--tracking-uri", uri)
        assert (code, out) == (1, "")
        assert err.startswith(f"vidseg: error: {uri}: there is no such tracking store; name it")
        assert err.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["empty.db"]


def log(record: SuiteRecord, key: str) -> str:
    """Put a suite's run into the tracking store; return its id."""
    import mlflow

    with open_run("vidseg", record.name, role="suite", key=key) as run:
        mlflow.MlflowClient().log_dict(run.run_id, suite_to_json(record), "suite.json")
    return run.run_id


def tiny(name: str, failures: int = 0) -> SuiteRecord:
    """Return a suite of two arms, the second of which may have failed."""
    failed = [{"cell": f"b sgd/fold {i}/seed 0", "error": "no"} for i in range(failures)]
    settings = [
        reports.setting(arm, "sgd", "xyz", lambda *_: 0.5, failures=failed if arm == "b" else ())
        for arm in "ab"
    ]
    return reports.suite(name, settings, [("a", "b")])


def test_a_report_says_which_of_several_runs_it_is_of(
    tracking: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--tracking-uri", tracking, "--output", tmp_path / "report")
    old = log(tiny("leakage"), "old")
    _, out, _ = call(capsys, "report", "leakage", *words)
    assert "other" not in out.splitlines()[0]
    assert not out.startswith("leakage: "), "one suite needs no name"
    new, single = log(tiny("leakage", failures=2), "new"), log(tiny("selectors"), "single")
    code, out, err = call(capsys, "report", "leakage", "selectors", *words)
    assert code == 0, err
    lines = out.splitlines()
    assert re.fullmatch(
        rf"leakage: run {new[:8]} of \d{{4}}-\d\d-\d\d \d\d:\d\d, mot:videos, "
        rf"2 failed cells; 1 other: give the id to choose, {old[:8]}",
        lines[0],
    )
    sentences = [line for line in lines[1:] if line.startswith(("leakage: ", "selectors: "))]
    assert [line.partition(":")[0] for line in sentences] == ["leakage", "selectors"]
    assert single[:8] not in out
    _, out, _ = call(capsys, "report", old[:8], new[:8], *words)
    assert "give the id" not in out
    assert [f"leakage {one[:8]}: " in out for one in (old, new)] == [True, True]
