"""``vidseg suite`` as a user calls it: what a dry run does, how failures are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.mlflow_fixtures import migrated, tracking
from tests.helpers.trees import mot_sequence, truncate
from vidseg.cli.main import main
from vidseg.cli.suite import shared_error
from vidseg.report.wording import errors
from vidseg.store import Store

__all__ = ["migrated", "tracking"]

SUITE = {
    "name": "tiny",
    "question": "?",
    "dataset": "synthetic:videos=3,frames=6,size=64x48",
    "image_size": "32x24",
    "device": "cpu",
    "threads": 1,
    "pipelines": {"s": {"extractor": "filters:octaves=1", "classifier": "sgd:epochs=2"}},
}


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["suite", *map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(("sampler", "features"), [("1", 2), ("k-center:n=2", 3 * 6)])
def test_a_dry_run_computes_what_selectors_look_at_and_what_it_times(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sampler: str,
    features: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps({**SUITE, "arms": {"a": {"sampler": sampler}}}))
    code, out, err = call(capsys, "tiny.yaml", "--dry-run", "--ledger", tmp_path / "ledger")
    assert code == 0, err
    assert "3 cells to do" in out
    assert Store().info().features.entries == features
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.yaml"]
    assert "computed into the store" in " ".join(call(capsys, "run", "--help")[1].split())


def test_equal_errors_are_told_once() -> None:
    rows = [{"cell": "a/0", "error": "no disk"}]
    assert errors(rows) == ["1 cell (a/0): no disk"]
    rows += [{"cell": f"b/{i}", "error": "broken"} for i in range(9)]
    assert errors(rows) == [
        "9 cells (b/0, b/1, b/2, ...): broken",
        "1 cell (a/0): no disk",
    ]
    rows += [{"cell": f"c/{i}", "error": f"e{i}"} for i in range(3)]
    assert errors(rows)[2:] == ["1 cell (c/0): e0", "and 2 more errors"]
    assert not shared_error([rows, []])
    assert shared_error([rows, rows[:1]])


def test_a_broken_file_is_one_error_of_many_cells(
    tracking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ABC"):
        folder = mot_sequence(tmp_path / "mot", name, seed=seed, frames=12)
    truncate(folder / "img1" / "000006.jpg")  # none that is compared with other videos
    arms = {"one": {"sampler": "1"}, "two": {"sampler": "successive:n=2"}}
    suite = {**SUITE, "arms": arms, "dataset": "mot:mot"}
    (tmp_path / "tiny.yaml").write_text(json.dumps(suite))
    code, _, err = call(capsys, "tiny.yaml", "--tracking-uri", tracking, "--quiet")
    assert code == 1
    (line,) = err.splitlines()
    assert "2 of 6 cells failed: 2 cells (one s/fold 2/seed 0, two s/fold 2/seed 0): " in line
    assert line.count("is no complete image") == 1
    assert "`vidseg datasets check SPEC` finds all faults" in line
