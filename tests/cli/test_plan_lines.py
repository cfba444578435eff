"""What a suite says before it starts: which cells are left, which will fail, what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.suites import Place, install
from vidseg.cli.plan_lines import show_plan
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.plan import describe_rest, waiting_cells


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path)


def arms(**given: str) -> dict[str, Any]:
    return {name: {"sampler": sampler} for name, sampler in given.items()}


def states(bench: OpenedSuite, capsys: pytest.CaptureFixture[str], *, fresh: bool = False) -> Any:
    """Return the state of each cell as the dry run prints it, and what it says below."""
    show_plan(bench, bench.cells, fresh=fresh)
    lines = capsys.readouterr().out.splitlines()
    rows = [[part.strip() for part in line.split("│")] for line in lines if line.startswith("│")]
    last = max(place for place, line in enumerate(lines) if line.startswith("└"))
    return {row[1]: row[2] for row in rows}, lines[last + 1 :]


def test_a_suite_that_was_edited_shows_which_cells_stay(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run()
    bench = place.bench(arms=arms(one="1", four="successive:n=3", new="middle:n=2"), delta=0.5)
    found, said = states(bench, capsys)
    assert {cell.split("/")[0]: state for cell, state in found.items()} == {
        "one q": "finished",
        "four q": "to do",
        "new q": "to do",
    }
    assert said[0].startswith("6 cells to do: 0 extractor forwards")
    assert describe_rest(waiting_cells(bench, bench.cells)) == "to do: four q (3), new q (3)"
    found, said = states(bench, capsys, fresh=True)
    assert set(found.values()) == {"to do"}
    assert said[0].startswith("9 cells to do")


def test_cells_that_cannot_be_done_are_told_before_anything_starts(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = place.bench(arms=arms(one="1", long="20", odd="refusing"), comparisons=[])
    found, said = states(bench, capsys)
    assert {cell.split("/")[0]: state for cell, state in found.items()} == {
        "one q": "to do",
        "long q": "fails",
        "odd q": "fails",
    }
    assert said[2].startswith("1 cell will fail: video syn01: the sampler ")
    assert "needs 20 frames, the video has 8" in said[2]
    assert any("this sampler fails" in line for line in said)
    assert not list(place.folder.glob("ledger/**/*.json"))


def test_what_a_sampler_computes_while_planning_is_announced(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: dict[str, Any] = {"arms": arms(far="k-center:n=2", one="1"), "comparisons": []}
    _, said = states(place.bench(**changes), capsys)
    elsewhere = Place(place.folder / "elsewhere")
    results, plan = elsewhere.run(elsewhere.bench(**changes))
    assert f" {plan['forwards_announced']} extractor forwards" in said[0]
    assert plan["forwards_announced"] == results.forwards
