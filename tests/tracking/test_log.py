"""A run of MLflow: opened, filled, closed, filled again without doubles."""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import yaml
from filelock import FileLock, Timeout
from PIL import Image

from tests.helpers.mlflow_fixtures import make_model, make_record
from vidseg.errors import DataError, Stopped, TrackingError, UnreachableError
from vidseg.experiment.records import DatasetRecord, RunRecord
from vidseg.serving import predictor
from vidseg.tracking import links, load
from vidseg.tracking import run as runs
from vidseg.tracking.artifacts import write_cell
from vidseg.tracking.log import log_metrics, log_run
from vidseg.tracking.model import log_dataset
from vidseg.tracking.run import OpenRun, log_params, open_run
from vidseg.tracking.store import sqlite_file


def client() -> Any:
    import mlflow

    return mlflow.MlflowClient()


def fetch(run_id: str, folder: Path) -> Path:
    return Path(client().download_artifacts(run_id, "", str(folder)))


@pytest.fixture
def logged(tracking: str) -> tuple[RunRecord, Any]:
    """A record and the run that shows it."""
    record = make_record()
    with open_run("vidseg", record.name, params=record.params) as run:
        log_run(record)
    return record, client().get_run(run.run_id)


def test_a_run_has_name_role_process_and_git_tags(logged: tuple[RunRecord, Any]) -> None:
    _, run = logged
    assert run.info.run_name == "20 sgd"
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert tags["vidseg.role"] == "run"
    names = {"vidseg.host", "vidseg.boot", "vidseg.pid", "vidseg.started"}
    assert names <= set(tags)
    assert tags["mlflow.source.git.dirty"] in ("true", "false")
    assert "merged" in tags["mlflow.note.content"]


def test_metrics_and_parameters(logged: tuple[RunRecord, Any]) -> None:
    record, run = logged
    metrics = run.data.metrics
    assert metrics["test/iou"] == 0.5
    assert metrics["baseline/position"] == 0.2
    assert run.data.params == {key: str(value) for key, value in record.params.items()}
    history = client().get_metric_history(run.info.run_id, "fold/iou")
    assert [(m.step, m.value) for m in history] == [
        (fold.index, fold.metrics["iou"]) for fold in record.folds
    ]
    curve = client().get_metric_history(run.info.run_id, "train/loss/fold1")
    assert [(m.step, m.value) for m in curve] == [(s, v) for _, v, s in record.folds[1].curves]
    assert "fit/seconds" in metrics


def test_undefined_values_are_left_out(logged: tuple[RunRecord, Any]) -> None:
    _, run = logged
    assert "test/accuracy" not in run.data.metrics
    assert "fold/ap" not in run.data.metrics
    assert all(math.isfinite(value) for value in run.data.metrics.values())


def test_artifacts(logged: tuple[RunRecord, Any], tmp_path: Path) -> None:
    record, run = logged
    folder = fetch(run.info.run_id, tmp_path)
    assert yaml.safe_load((folder / "config.yaml").read_text()) == record.config
    table = json.loads((folder / "per_video.json").read_text())
    assert table["columns"][:2] == ["video", "iou"]
    assert [row[0] for row in table["data"]] == ["video-0", "video-1"]
    assert table["data"][0][2] is None
    cell = write_cell("abc", record.folds[0].cell, tmp_path)
    assert cell == tmp_path / "cells" / "abc.json"
    assert json.loads(cell.read_text())["nothing"] is None
    for name, picture in record.overlays:
        stored = np.asarray(Image.open(folder / "overlays" / f"{name}.png"))
        np.testing.assert_array_equal(stored, picture)
    with Image.open(folder / "precision_recall.png") as plot:
        assert min(plot.size) >= 400
    assert (folder / "notes.txt").read_text() == "a and b show one scene: merged\n"


def test_mlflow_reads_the_tables_itself(logged: tuple[RunRecord, Any]) -> None:
    record, run = logged
    table = client().load_table(run.info.experiment_id, "per_video.json", [run.info.run_id])
    assert list(table["video"]) == [row["video"] for row in record.per_video]
    np.testing.assert_allclose(table["iou"], [row["iou"] for row in record.per_video], atol=5e-5)


def test_dataset_is_an_input(logged: tuple[RunRecord, Any]) -> None:
    record, run = logged
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("synthetic", record.dataset.digest)
    assert json.loads(given.dataset.source)["spec"] == record.dataset.source
    profile = json.loads(given.dataset.profile)
    assert (profile["num_rows"], profile["groups"]) == (80, 2)
    assert "mlflow_colspec" in json.loads(given.dataset.schema)


def test_each_of_several_data_sets_is_an_input(tracking: str) -> None:
    record = make_record()
    parts = [
        DatasetRecord(name, f"{name}:A", f"{place:016x}", [row])
        for place, (name, row) in enumerate(
            zip(("mot", "masks"), record.dataset.videos, strict=True)
        )
    ]
    record.dataset = replace(record.dataset, name="mot + masks", parts=parts)
    with open_run("several", "two", params=record.params) as run:
        log_run(record, run)
    found = client().get_run(run.run_id)
    sources = {json.loads(one.dataset.source)["spec"] for one in found.inputs.dataset_inputs}
    assert sources == {"mot:A", "masks:A"}
    assert found.data.metrics["test/iou"] == 0.5


def test_logging_again_changes_nothing(logged: tuple[RunRecord, Any], tracking: str) -> None:
    record, run = logged

    def all_points() -> Counter[tuple[str, int, float]]:
        names = client().get_run(run.info.run_id).data.metrics
        histories = [client().get_metric_history(run.info.run_id, name) for name in names]
        return Counter((m.key, m.step, m.value) for history in histories for m in history)

    before = all_points()
    opened = OpenRun(tracking, run.info.experiment_id, run.info.run_id)
    log_run(record, opened)
    again = client().get_run(run.info.run_id)
    assert all_points() == before
    assert max(before.values()) == 1
    assert again.data.params == run.data.params
    assert len(again.inputs.dataset_inputs) == 1


def test_batches_stay_below_mlflows_limit(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    sizes: list[int] = []
    whole = mlflow.MlflowClient.log_batch

    def counted(self: Any, run_id: str, metrics: Any = (), **rest: Any) -> Any:
        sizes.append(len(metrics))
        return whole(self, run_id, metrics=metrics, **rest)

    with open_run("vidseg", "long") as run:
        monkeypatch.setattr(mlflow.MlflowClient, "log_batch", counted)
        log_metrics([("train/loss", 1.0 / (i + 1), i) for i in range(2500)], run)
    assert sizes == [1000, 1000, 500]
    assert len(client().get_metric_history(run.run_id, "train/loss")) == 2500


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DataError("two\nlines", where="a.txt:3"), "FAILED", "a.txt:3: two lines"),
        (ValueError(), "FAILED", "ValueError"),
        (Stopped("stopped by SIGTERM"), "KILLED", "stopped by SIGTERM"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
        (SystemExit(143), "KILLED", "143"),
    ],
)
def test_how_a_run_ends(tracking: str, error: BaseException, status: str, text: str) -> None:
    with pytest.raises(type(error)), open_run("vidseg", "fails") as run:
        raise error
    found = client().get_run(run.run_id)
    assert found.info.status == status
    assert found.data.tags["vidseg.error"] == text
    assert found.info.end_time is not None


def test_nested_runs_are_children(tracking: str) -> None:
    with (
        open_run("vidseg", "suite", role="suite") as suite,
        open_run("vidseg", "20 sgd", role="setting") as setting,
    ):
        pass
    child = client().get_run(setting.run_id)
    assert child.data.tags["mlflow.parentRunId"] == suite.run_id
    assert child.data.tags["vidseg.role"] == "setting"
    assert client().get_run(suite.run_id).info.status == "FINISHED"


def test_a_key_finds_its_run_again(tracking: str) -> None:
    with open_run("vidseg", "a", key="k1") as first:
        pass
    with open_run("vidseg", "a", key="k1") as second:
        pass
    with open_run("vidseg", "a", key="k2") as other:
        pass
    assert first.run_id == second.run_id != other.run_id
    assert client().get_run(first.run_id).info.status == "FINISHED"


def test_the_run_that_failed_is_filled_again_not_one_that_finished(tracking: str) -> None:
    made = {}
    with contextlib.ExitStack() as stack:
        for name in ("failed", "done"):  # of three suites that were started in one instant
            made[name] = stack.enter_context(open_run("vidseg", name, key="k")).run_id
        made["last"] = client().create_run("1", tags={runs.KEY: "k"}).info.run_id
        for name in ("done", "last"):
            client().set_terminated(made[name], "FINISHED")
        client().set_terminated(made["failed"], "FAILED")
        with open_run("vidseg", "again", key="k") as again:
            assert again.run_id == made["failed"]


def test_one_process_at_a_time_chooses_the_run_that_it_fills(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = runs.find_by_key

    def held(*args: Any) -> str | None:
        with pytest.raises(Timeout):
            FileLock(f"{sqlite_file(tracking)}.lock").acquire(timeout=0)
        return find(*args)

    monkeypatch.setattr(runs, "find_by_key", held)
    with open_run("vidseg", "a", key="k"):
        pass
    FileLock(f"{sqlite_file(tracking)}.lock").acquire(timeout=0)


def test_a_data_set_that_another_process_logs_in_the_same_instant(tracking: str) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    record = make_record()
    with open_run("vidseg", "other") as other, open_run("vidseg", "run") as run:
        inserted: list[str] = []

        def meanwhile(*args: Any) -> None:
            """Let the other run have the data set between MLflow's look and its write."""
            if args[2].startswith("INSERT INTO datasets") and not inserted:
                inserted.append(args[2])
                log_dataset(record.dataset, other)

        event.listen(Engine, "before_cursor_execute", meanwhile)
        try:
            log_dataset(record.dataset, run)
        finally:
            event.remove(Engine, "before_cursor_execute", meanwhile)
    assert inserted
    digests = [
        dataset_input.dataset.digest
        for one in (other, run)
        for dataset_input in client().get_run(one.run_id).inputs.dataset_inputs
    ]
    assert digests == [record.dataset.digest] * 2


@pytest.fixture
def project_run(tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run as `mlflow run` makes it: with raw parameters, named in the environment."""
    import mlflow

    # its own place is a folder of the process's
    home = (tmp_path / "artifacts").as_uri()
    experiment = client().create_experiment("chosen", artifact_location=home)
    run = client().create_run(experiment, run_name="given", tags={"mlflow.source.name": "x"})
    for name, value in {"seed": "7", "sampler": "20", "run.seed": "0"}.items():
        client().log_param(run.info.run_id, name, value)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    assert mlflow.active_run() is None
    return str(run.info.run_id)


def test_under_mlflow_run_that_run_is_filled(project_run: str) -> None:
    record = make_record()
    record.params |= {"seed": 0}
    with open_run("another", "another", params=record.params) as run:
        log_run(record)
    found = client().get_run(project_run)
    assert run.run_id == project_run
    assert run.reused
    assert found.info.run_name == "given"
    assert client().get_experiment(found.info.experiment_id).name == "chosen"
    assert client().get_experiment_by_name("another") is None
    assert found.data.params["seed"] == "7"
    assert found.data.params["vidseg.seed"] == "0"
    assert found.data.params["sampler.name"] == "20"
    assert found.data.tags["vidseg.role"] == "run"
    assert "mlflow.source.git.commit" in found.data.tags
    assert found.info.status == "FINISHED"


def test_only_the_outermost_run_is_the_projects(project_run: str) -> None:
    with open_run("x", "suite", role="suite") as suite, open_run("chosen", "b") as child:
        assert child.run_id != project_run == suite.run_id


def test_project_run_that_is_not_in_the_store_is_one_line(
    tracking: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(TrackingError, match="--tracking-uri"), open_run("x", "y"):
        pass


def test_deleted_experiment_says_how_to_restore_it(tracking: str) -> None:
    client().delete_experiment(client().create_experiment("gone"))
    with pytest.raises(TrackingError, match="experiments restore"), open_run("gone", "x"):
        pass


def test_artifacts_do_not_depend_on_the_working_directory(
    tracking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with open_run("fresh", "x") as run:
        log_run(make_record())
    assert client().get_run(run.run_id).info.artifact_uri.startswith(str(tmp_path / "mlruns"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_headline_that_changed_is_the_one_that_is_shown(tracking: str) -> None:
    with open_run("vidseg", "again") as run:
        for value in (0.5, 0.2, 0.2, 0.4):  # a suite that went on with more seeds
            log_metrics([("test/iou", value, 0)], run)
            assert client().get_run(run.run_id).data.metrics == {"test/iou": value}


def test_folds_that_were_logged_one_by_one_are_not_doubled(tracking: str) -> None:
    folds = [("fold/iou", value, step) for step, value in enumerate((0.5, 0.2, 0.4))]
    with open_run("vidseg", "folds") as run:
        for fold in folds:
            log_metrics([fold], run)
        log_metrics(folds, run)
    history = client().get_metric_history(run.run_id, "fold/iou")
    assert [(m.step, m.value) for m in history] == [(s, v) for _, v, s in folds]


def test_long_values_and_odd_names(tracking: str) -> None:
    with open_run("vidseg", "odd") as run:
        log_params({"dataset.path": "x" * 9000, "a=b%": 1}, run)
        log_metrics([("train/IoU @ 50%", 0.5, 0), ("train/none", None, 0)], run)  # type: ignore[list-item]
    data = client().get_run(run.run_id).data
    assert len(data.params["dataset.path"]) == 6000
    assert data.params["dataset.path"].endswith("…")
    assert data.params["a_b_"] == "1"
    assert list(data.metrics) == ["train/IoU _ 50_"]


def test_unwritable_artifacts_are_one_line(tracking: str, tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("in the way")
    with pytest.raises(TrackingError) as caught, open_run("vidseg", "x") as run:
        log_run(make_record(), run)
    assert "\n" not in str(caught.value)
    assert client().get_run(run.run_id).info.status == "FAILED"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no sqlite file grow."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def fill(connection: Any, *_: Any) -> None:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}")

    event.listen(Pool, "checkout", fill)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", fill)


def test_a_full_disk_is_one_line(tracking: str, capfd: pytest.CaptureFixture[str]) -> None:
    points = [("test/a", 1.0, step) for step in range(5000)]
    with pytest.raises(TrackingError) as caught, open_run("vidseg", "x") as run, full_disk():
        log_metrics(points, run)
    assert (caught.value.what, caught.value.hint) == ("the disk is full", "free space")
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_is_away_is_not_asked_again_and_again(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    retries = []
    end = runs._end

    def watched(*args: Any) -> None:
        retries.append(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
        end(*args)

    monkeypatch.setattr(runs, "_end", watched)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    for error in (UnreachableError("away"), TrackingError("it refuses")):
        with pytest.raises(TrackingError), open_run("vidseg", "x"):
            raise error
    assert retries == ["0", "3"]


def test_addresses() -> None:
    server = "https://me:secret@host/prefix/"
    page = links.run_url(server, "3", "abc")
    assert page.startswith("https://host/prefix/#/experiments/3/runs/abc")
    compare = links.compare_url("sqlite:////tmp/a.db", "3")
    query = parse_qs(compare.partition("?")[2])
    assert compare.startswith("http://127.0.0.1:5000/#/experiments/3/runs?")
    assert query["searchFilter"] == ["tags.`vidseg.role`='setting'"]
    of_one = links.compare_url("sqlite:////tmp/a.db", "3", parent="abc")
    assert parse_qs(of_one.partition("?")[2])["searchFilter"] == [
        "tags.`vidseg.role`='setting' and tags.`mlflow.parentRunId`='abc'"
    ]
    assert query["orderByKey"] == ["metrics.`test/iou`"]
    assert query["compareRunsMode"] == ["CHART"]
    assert links.ui_command("sqlite:////a b/m.db") == (
        "mlflow ui --backend-store-uri 'sqlite:////a b/m.db' --host 127.0.0.1 --port 5000"
    )
    assert OpenRun(server, "3", "abc").link == page
    assert OpenRun("sqlite:////a.db", "3", "abc").link.startswith("mlflow ui")


def test_system_metrics_are_logged_where_they_are_wanted(tracking: str) -> None:
    def watched() -> bool:
        return any(one.name == "SystemMetricsMonitor" for one in threading.enumerate())

    with open_run("vidseg", "linear"):
        assert not watched()
    with open_run("vidseg", "network", system_metrics=True):
        assert watched()


def test_the_curves_of_the_served_network_belong_to_its_model(tracking: str) -> None:
    record = make_record()
    record.model = replace(make_model(), epoch=7, curves=[("loss", 0.5, 0), ("loss", 0.25, 6)])
    with open_run("vidseg", record.name) as run:
        log_run(record)
    history = client().get_metric_history(run.run_id, "model/loss")
    assert [(one.value, one.step) for one in history] == [(0.5, 0), (0.25, 6)]
    (output,) = client().get_run(run.run_id).outputs.model_outputs
    assert output.step == 7
    metrics = client().get_logged_model(output.model_id).metrics
    assert {(one.key, one.value) for one in metrics} >= {("model/loss", 0.25), ("test/iou", 0.5)}
    assert not [one for one in metrics if one.key.startswith(("fold/", "fit/"))]


def scaled(state: Any, factor: int) -> Any:
    return {
        name: array * np.float32(factor) if array.dtype == np.float32 else array
        for name, array in state.items()
    }


def test_kept_checkpoints_are_logged_models_with_their_step(tracking: str, tmp_path: Path) -> None:
    """Once each, with the points of the curves at their step; they predict, and say what."""
    from safetensors.numpy import save_file

    record, model = make_record(), make_model()
    kept = []
    for step in (2, 3):
        state = scaled(model.state, step)
        save_file(state, tmp_path / f"{step}.safetensors")
        kept.append((step, tmp_path / f"{step}.safetensors"))
    curves = [("loss", 1 / step, step) for step in (1, 2, 3, 4)]
    record.model = replace(model, epoch=4, curves=curves, checkpoints=kept)
    with open_run("vidseg", record.name) as run:
        log_run(record)
        log_run(record)
    outputs = client().get_run(run.run_id).outputs.model_outputs
    models = {client().get_logged_model(one.model_id).name: one for one in outputs}
    steps = {name: one.step for name, one in models.items()}
    assert steps == {"checkpoint-2": 2, "checkpoint-3": 3, "model": 4}
    assert len(outputs) == 3
    third = client().get_logged_model(models["checkpoint-3"].model_id)
    assert str(third.status) == "READY"
    assert [(one.key, one.value, one.step) for one in third.metrics] == [("model/loss", 1 / 3, 3)]
    opened, _ = load.open_model(f"models:/{third.model_id}", tracking)
    expected = predictor.load(
        *predictor.save(replace(model, state=scaled(model.state, 3)), tmp_path)
    )
    np.testing.assert_array_equal(opened.scores(model.example), expected.scores(model.example))
