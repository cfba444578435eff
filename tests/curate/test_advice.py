"""The advice of a finished suite, applied to other videos; a candidate is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vidseg
from tests.helpers import reports
from tests.helpers.trees import picture
from vidseg.errors import DataError
from vidseg.report import build, suite_to_json, write_report
from vidseg.tracking.run import open_run

ARMS = {
    "few": {"sampler": {"use": "uniform", "n": 2}, "pipelines": ["svm"]},
    "more": {"sampler": {"use": "k-center", "n": 4}, "pipelines": ["svm"]},
}


def record(groups: int, gain: float = 0.2) -> Any:
    names = [f"g{i}" for i in range(groups)]
    worth = {"few": 0.4, "more": 0.4 + gain}
    settings = [
        reports.setting(arm, "svm", names, lambda arm, _: worth[arm], frames=range(n))
        for arm, n in (("few", 2), ("more", 4))
    ]
    found = reports.suite("which", settings, [("few", "more")], arms=ARMS)
    found.config["image_size"] = "48x32"
    found.config["pipelines"] = {"svm": {"extractor": "filters:octaves=2", "classifier": "sgd"}}
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    for i in range(9):
        Image.fromarray(picture(i)).save(tmp_path / "new" / f"{i:04d}.png")
    return tmp_path


def test_what_a_suite_shows_is_applied(place: Path):
    advised = build(record(12)).to_label
    assert advised is not None
    assert (advised.arm, advised.advised) == ("more", True)
    write_report([record(12)], place / "report")
    for like in ("report", "report/report.json"):
        done = vidseg.select("new", like=like)
        assert done.sampler.startswith("k-center:n=4,")
        assert "octaves=2" in done.extractor
        assert len(done.frames) == 4
    for i in range(3, 9):
        (place / "new" / f"{i:04d}.png").unlink()
    assert len(vidseg.select("new", like="report").frames) == 3, "a shorter video gives all"
    other = vidseg.select("new", like="report", extractor="filters:octaves=1")
    assert "octaves=1" in other.extractor


def test_a_suite_that_shows_nothing_is_not_followed(place: Path):
    assert build(record(4)).to_label is None
    write_report([record(4)], place / "report")
    with pytest.raises(DataError, match=r"which has not shown which frames .*choose with --by; or"):
        vidseg.select("new", like="report")
    open_ = record(7)
    few, more = (one.group_scores for one in open_.settings)
    for i, group in enumerate(few):
        more[group]["iou"] = few[group]["iou"] + 0.02 + 0.05 * (-1) ** i
    assert build(open_).to_label is None
    write_report([open_], place / "report")
    with pytest.raises(DataError, match=r"choose with --by, such as its candidate --by 'k-center"):
        vidseg.select("new", like="report")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "report.json: cannot be read"),
        ("{", "is no report of a suite"),
        ('{"reports": []}', "not whole"),
        ('{"reports": [{"frame_lists": [{"advised": true}]}]}', "not whole"),
    ],
)
def test_what_is_no_report(place: Path, content: str | None, message: str):
    (place / "report").mkdir()
    if content is not None:
        (place / "report" / "report.json").write_text(content)
    with pytest.raises(DataError, match=message):
        vidseg.select("new", like="report")


def test_the_advice_of_a_run_in_mlflow(place: Path, tracking: str):
    import mlflow

    with open_run("vidseg", "which", role="suite", key="a") as run:
        mlflow.MlflowClient().log_dict(run.run_id, suite_to_json(record(12)), "suite.json")
    done = vidseg.select("new", like="which", tracking_uri=tracking)
    assert len(done.frames) == 4


def test_a_report_that_was_changed_is_named(place: Path):
    write_report([record(12)], place / "report")
    data = json.loads((place / "report" / "report.json").read_text())
    data["reports"][0]["config"]["arms"]["more"]["sampler"]["use"] = "gone"
    (place / "report" / "report.json").write_text(json.dumps(data))
    with pytest.raises(vidseg.UsageError, match="gone"):
        vidseg.select("new", like="report")
