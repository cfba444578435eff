"""A second task goes the whole way of the engine: it is a room of its own, not an engine."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import vidseg
from tests.helpers.centres import Centres
from tests.helpers.mlflow_fixtures import make_model
from tests.helpers.suites import COUNTS, Place, install, numbers
from vidseg.errors import DataError, UsageError
from vidseg.experiment.stages import MODEL
from vidseg.report.write import write_report
from vidseg.serving import predictor as served
from vidseg.serving.predict import open_source, predict
from vidseg.suites.record import suite_record
from vidseg.tasks import registry
from vidseg.tracking import metrics
from vidseg.utils.progress import Quiet


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path)


@pytest.fixture
def centres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the centres of objects what is predicted."""
    for name in (registry.DEFAULT, Centres.name):
        monkeypatch.setitem(registry.TASKS, name, Centres)


@pytest.mark.usefixtures("centres")
def test_a_suite_of_another_task(place: Place) -> None:
    bench = place.bench()
    results, plan = place.run(bench)
    assert not results.failures
    assert plan["cells_waiting"] == len(bench.cells)
    record = suite_record(bench, bench.cells, results, plan)
    assert (record.task, record.primary, record.margin) == ("centres", "found", 2.0)
    for setting in record.settings:
        assert list(setting.run.headline) == ["found", "alarms"]
        assert setting.group_scores.keys() == {"syn00", "syn01", "syn02"}
        assert setting.facts["train_objects"] > 0
        assert list(setting.run.per_video[0]) == [
            *("video", "found", "alarms", "found_everywhere", "group", "frames", "positive_share")
        ]
        assert metrics.baseline_points(setting.run) == [("baseline/everywhere", 1.0, 0)]
        assert [name for name, _, _ in metrics.test_points(setting.run)] == [
            "test/found",
            "test/alarms",
        ]
    again, _ = place.run(place.bench())
    assert again.reused == len(bench.cells)
    assert numbers(again) == numbers(results)


@pytest.mark.usefixtures("centres")
def test_counts_of_another_task_are_those_of_its_targets(place: Place) -> None:
    bench = place.bench(threshold="inner")
    results, _ = place.run(bench)
    cell = bench.cells[0]
    (counts,) = results.finished[cell.id].scored.counts[MODEL]
    (material,) = bench.experiments[cell.pipeline].members(cell.fold.test)
    boxes = [len(material.video.labels(index).boxes) for index in counts.frames]
    assert counts.frames == list(range(material.length))
    assert [hits + missed for hits, missed, _ in counts.rows] == [
        int((material.mask(index) > 0).sum()) for index in counts.frames
    ]
    assert 0 < sum(hits + missed for hits, missed, _ in counts.rows) <= sum(boxes)


@pytest.mark.usefixtures("centres")
def test_a_report_of_another_task_has_its_words(place: Place, tmp_path: Path) -> None:
    bench = place.bench()
    results, plan = place.run(bench)
    files = write_report([suite_record(bench, bench.cells, results, plan)], tmp_path / "report")
    text = files["markdown"].read_text(encoding="utf-8")
    assert "found objects" in text
    assert "alarms a frame" in text
    assert "the video has no object" in text
    for word in ("IoU", "gscore", "iased accuracy", "foreground", "person"):
        assert word not in text, word


@pytest.mark.usefixtures("centres")
def test_a_run_of_another_task_leaves_its_pictures_and_its_model(place: Place) -> None:
    found = vidseg.run(
        tracking=False,
        store=place.folder / "store",
        ledger=place.folder / "ledger",
        dataset="synthetic:videos=3,frames=6,size=64x48",
        image_size="32x24",
        sampler="successive:n=2",
        extractor="filters:octaves=1",
        classifier="quick",
    )
    assert found.means.keys() == {"found", "alarms"}
    assert found.table()[1][:4] == ["video", "frames", "found", "everywhere"]
    assert [name for name, _ in found.record.overlays] == [
        f"syn0{video}_first_000000" for video in range(3)
    ]
    assert found.record.model is not None
    assert (found.record.task, found.record.model.task) == ("centres", "centres")


def test_tasks_do_not_share_cells(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    results, _ = place.run()
    monkeypatch.setitem(registry.TASKS, registry.DEFAULT, Centres)
    COUNTS.clear()
    others, _ = place.run()
    assert others.reused == 0
    assert COUNTS["fits"] == len(results.finished)


@pytest.mark.usefixtures("centres")
def test_a_suite_knows_the_scores_of_the_task(place: Place) -> None:
    with pytest.raises(UsageError, match=r"'iou' is refused.*found, alarms"):
        place.bench(primary="iou")
    assert place.bench(primary="alarms").suite.file.primary == "alarms"


@pytest.mark.usefixtures("centres")
def test_a_model_of_another_task_is_served(tmp_path: Path) -> None:
    record = make_model()
    record.task = Centres.name
    predictor = served.load(*served.save(record, tmp_path))
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    found = predictor.mask(image, 0.0)
    np.testing.assert_array_equal(found, np.argwhere(predictor.scores(image) > 0))
    (tmp_path / "in").mkdir()
    Pillow.fromarray(image).save(tmp_path / "in" / "a.png")
    output = tmp_path / "out"
    predict(predictor, open_source([tmp_path / "in"]), output, model={}, progress=Quiet())
    assert (output / "masks" / "a.txt").read_bytes() == predictor.task.encode(predictor.mask(image))


def test_a_model_of_an_unknown_task_is_refused(tmp_path: Path) -> None:
    record = make_model()
    record.task = "poses"
    with pytest.raises(DataError, match="no task 'poses'"):
        served.load(*served.save(record, tmp_path))


def test_undefined_scores_leave_the_means() -> None:
    counts = Centres().counts("a", "g")
    counts.add(0, np.ones((4, 4), np.float32), np.full((4, 4), -1, np.int8), 0.0)
    assert math.isnan(counts.scores()["found"])
    assert Centres().summary([counts]) == {"alarms": 16.0}
