"""``vidseg.run_suite`` and ``vidseg.rebuild_report``: records with reports, files where asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import vidseg
from tests.helpers.suites import COUNTS, InTurn, install, mapping


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(mapping()))
    return path


def run(file: Path, **more: Any) -> vidseg.SuiteResult:
    places = {"store": file.parent / "store", "ledger": file.parent / "ledger"}
    return vidseg.run_suite(file, **{"tracking": False, **places, **more})


def test_a_suite_is_a_record_with_its_report(file: Path) -> None:
    done = run(file)
    assert done.sentence.endswith(".")
    assert repr(done) == f"SuiteResult('tiny', {done.sentence!r})"
    assert set(done.scores) == {"one q", "four q"}
    assert done.failures == []
    assert done.files == {}
    table = done.to_pandas()
    assert list(table.columns[:4]) == ["setting", "arm", "pipeline", "video"]
    assert len(table) == 2 * 3
    assert table.groupby("setting")["iou"].mean()["one q"] == pytest.approx(
        done.scores["one q"]["iou"]
    )
    tables = done.tables
    assert len(tables["Scores"]) == 2
    assert all(isinstance(text, str) for row in tables["Scores"] for text in row.values())
    assert sorted(path.name for path in file.parent.iterdir()) == ["ledger", "store", "tiny.yaml"]


def test_a_report_in_a_notebook_is_self_contained_and_escaped(file: Path) -> None:
    done = run(file, set={"question": "<b>really</b>?"})
    frame = done._repr_html_()
    assert re.fullmatch(r'<iframe srcdoc="[^"]*" sandbox="" style="[^"]*"></iframe>', frame)
    assert "&amp;lt;b&amp;gt;really" in frame
    assert not re.search(r'(src|href)=["\'](https?:|//)', done.to_html())


def test_conditions_and_changes_reach_the_file(file: Path) -> None:
    done = run(file, set={"seeds": [0, 1]}, image_size="40x32", classifier="quick:reading=2")
    assert done.record.config["image_size"] == "40x32"
    assert done.record.config["seeds"] == [0, 1]
    assert done.record.config["pipelines"]["q"]["classifier"]["reading"] == 2
    with pytest.raises(vidseg.UsageError, match="did you mean 'output'"):
        run(file, outptu="here")
    with pytest.raises(vidseg.UsageError, match="no cell matches 'five'"):
        run(file, only="five")


def test_files_are_written_where_they_are_asked_for(file: Path) -> None:
    done = run(file, only="one q", output=file.parent / "report")
    assert set(done.scores) == {"one q"}
    assert done.files["html"] == file.parent / "report" / "report.html"
    assert all(path.exists() for path in done.files.values())


def test_failed_cells_are_rows_and_a_suite_of_them_an_error(file: Path) -> None:
    bad = {"pipelines.q.classifier": "quick:trouble=fail,videos=syn00"}
    done = run(file, set=bad)
    assert len(done.failures) == 4
    assert all("this fit fails on purpose" in row["error"] for row in done.failures)
    with pytest.raises(vidseg.DataError, match="every cell failed, the first with"):
        run(file, classifier="quick:trouble=fail")


def test_elsewhere_gives_the_same_as_here(file: Path, tmp_path: Path) -> None:
    here = run(file)
    there = run(file, executor=InTurn(), ledger=tmp_path / "other")
    assert there.scores == here.scores


def test_a_logged_suite_is_rebuilt_from_mlflow_alone(tracking: str, file: Path) -> None:
    done = run(file, tracking=True)
    assert done.tracked is not None
    assert done.files == {}
    fits = COUNTS["fits"]
    (again,) = vidseg.rebuild_report("tiny", output=file.parent / "again")
    assert (again.sentence, again.scores, COUNTS["fits"]) == (done.sentence, done.scores, fits)
    assert again.found is not None
    assert again.found.run_id == done.tracked.run_id
    assert again.files["json"].exists()
    assert vidseg.rebuild_report()[0].files == {}
    with pytest.raises(vidseg.DataError, match="there is no suite run 'other'"):
        vidseg.rebuild_report("other")
