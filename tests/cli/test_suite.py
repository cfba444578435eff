"""``vidseg suite`` as a user calls it: what a dry run does, how failures are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidseg.cli.main import main
from vidseg.store import Store

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


@pytest.mark.parametrize(("sampler", "features"), [("1", 0), ("k-center:n=2", 3 * 6)])
def test_a_dry_run_computes_what_selectors_look_at_and_nothing_else(
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
