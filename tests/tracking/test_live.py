"""Fits in MLflow while they go on: every point and picture once, whatever is started again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.mlflow_fixtures import make_record
from tests.helpers.networks import TinyNet
from tests.helpers.suites import Place, install
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.live import FitFiles
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.single import everyone
from vidseg.tracking.follow import follow_run, follow_suite
from vidseg.tracking.live import TRAINING, LiveCell, LiveLog
from vidseg.tracking.log import log_run
from vidseg.tracking.run import OpenRun, open_run
from vidseg.tracking.suite import setting_key

KEY = "0" * 32
FIT: Any = None


def client() -> Any:
    import mlflow

    return mlflow.MlflowClient()


def points(run_id: str) -> Counter[tuple[str, int]]:
    """Return how often a run holds each point of its curves."""
    names = [n for n in client().get_run(run_id).data.metrics if n.startswith(("train", "model"))]
    rows = [row for name in names for row in client().get_metric_history(run_id, name)]
    return Counter((row.key, row.step) for row in rows)


def images(run_id: str) -> list[str]:
    folders = client().list_artifacts(run_id, TRAINING)
    return [one.path for at in folders for one in client().list_artifacts(run_id, at.path)]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger")
    ledger.folder(KEY).mkdir(parents=True)
    return ledger


def writing(ledger: Ledger) -> FitFiles:
    """Return what a fit writes with; it draws nothing."""
    made = FitFiles(ledger.folder(KEY), FIT, FIT)
    made.begin()
    return made


def following(ledger: Ledger, run: OpenRun, fold: int | None = None) -> LiveLog:
    return LiveLog(run.uri, ledger, [LiveCell(KEY, lambda: run.run_id, "train", fold)])


def test_points_are_lines_while_the_fit_goes_on(
    tracking: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call an epoch, with the time at which they were measured."""
    import mlflow

    calls: list[int] = []
    whole = mlflow.MlflowClient.log_batch

    def counted(self: Any, run_id: str, metrics: Any = (), **rest: Any) -> Any:
        calls.append(len(metrics))
        return whole(self, run_id, metrics=metrics, **rest)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", counted)
    fit = writing(ledger)
    with open_run("vidseg", "a") as run:
        log = following(ledger, run, fold=1)
        for epoch in (1, 2):
            for name in ("loss", "lr", "validation_iou"):
                fit.log(name, 1 / epoch, epoch)
            fit.log("iou", float("nan"), epoch)
            log.poll()
            log.poll()
            assert client().get_run(run.run_id).data.metrics["train/loss/fold1"] == 1 / epoch
    assert calls == [3, 3]
    assert set(points(run.run_id).values()) == {1}
    rows = client().get_metric_history(run.run_id, "train/loss/fold1")
    assert [(row.step, row.value) for row in rows] == [(1, 1.0), (2, 0.5)]
    assert rows[0].timestamp > client().get_run(run.run_id).info.start_time


def test_a_thread_sends_them(tracking: str, ledger: Ledger) -> None:
    fit = writing(ledger)
    with open_run("vidseg", "a") as run:
        with following(ledger, run):
            fit.log("loss", 0.5, 1)
        assert points(run.run_id) == {("train/loss", 1): 1}


def test_a_fit_that_goes_on_logs_no_point_twice(tracking: str, ledger: Ledger) -> None:
    """Killed: its last epochs are trained again, as fast as the machine is then."""
    with open_run("vidseg", "a", key="k") as run:
        fit = writing(ledger)
        log = following(ledger, run)
        for epoch in (1, 2, 3):
            fit.log("images_per_second", 10.0 + epoch, epoch)
        log.poll()
    with open_run("vidseg", "a", key="k") as again:
        assert again.run_id == run.run_id
        fit = writing(ledger)
        log = following(ledger, again)
        for epoch in (1, 2, 3, 4):
            fit.log("images_per_second", 20.0 + epoch, epoch)
        log.poll()
        log.finished(KEY, [("images_per_second", 20.0 + epoch, epoch) for epoch in range(1, 6)])
        log.poll()
    assert points(run.run_id) == {("train/images_per_second", step): 1 for step in range(1, 6)}


def test_the_record_adds_what_was_not_sent(tracking: str, ledger: Ledger) -> None:
    record = make_record()
    first = record.folds[0].curves
    with open_run("vidseg", record.name, params=record.params) as run:
        fit = writing(ledger)
        for name, value, step in first[:-1]:
            fit.log(name, value, step)
        following(ledger, run, fold=0).poll()
        log_run(record, run)
        log_run(record, run)
    held = points(run.run_id)
    assert set(held.values()) == {1}
    expected = {(f"train/{n}/fold{f.index}", s) for f in record.folds for n, _, s in f.curves}
    assert held.keys() == expected


def test_what_a_store_refused_is_sent_the_next_time(
    tracking: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    fit = writing(ledger)
    with open_run("vidseg", "a") as run:
        log = following(ledger, run)
        fit.log("loss", 0.5, 1)
        with monkeypatch.context() as patch:
            patch.setattr(mlflow.MlflowClient, "log_batch", lambda *given, **named: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                log.poll()
        fit.log("loss", 0.25, 2)
        log.poll()
    assert points(run.run_id) == {("train/loss", 1): 1, ("train/loss", 2): 1}


def test_what_a_store_refused_to_show_is_sent_the_next_time(
    tracking: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    fit = writing(ledger)
    with open_run("vidseg", "a") as run:
        log = following(ledger, run)
        fit.log("loss", 0.5, 1)
        with monkeypatch.context() as patch:
            patch.setattr(mlflow.MlflowClient, "get_run", lambda *given, **named: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                log.poll()
        log.poll()
    assert points(run.run_id) == {("train/loss", 1): 1}


# ---- a suite and a run ----


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path)


def opened(place: Place) -> OpenedSuite:
    network = {"extractor": "filters:octaves=1", "classifier": "tinynet:steps=2"}
    arms = {"a/b": {"sampler": "successive:n=4"}, "one": {"sampler": 1}}
    return place.bench(arms=arms, pipelines={"n": network}, comparisons=[], split="k-fold:k=2")


def test_a_suite_s_settings_are_runs_while_they_are_fitted(
    tracking: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = opened(place)
    whole, seen = TinyNet.fit, []

    def watched(self: TinyNet, train: Any, handle: Any, ctx: Any) -> Any:
        model = whole(self, train, handle, ctx)
        log.poll()
        runs = client().search_runs([suite.experiment_id], "tags.`vidseg.role` = 'setting'")
        seen.append({run.info.run_name: run.info.status for run in runs})
        return model

    monkeypatch.setattr(TinyNet, "fit", watched)
    with open_run("vidseg", "tiny", role="suite", key="k") as suite:
        with follow_suite(bench, place.ledger, suite) as log:
            cell = bench.cells[1]
            bench.experiments["n"].fit(cell.setting, cell.fold, "")
        with open_run("vidseg", "a/b n", key=setting_key(suite, "a/b n")) as child:
            assert client().get_run(child.run_id).info.status == "RUNNING"
    assert seen == [{"a/b n": "RUNNING"}], "that of a setting without a fit is not there yet"
    assert points(child.run_id) == {("train/loss/fold1", step): 1 for step in (0, 1)}
    assert images(child.run_id) == [
        f"training/fold1/step-{step:05d}_syn01_{step:06d}.png" for step in (0, 1)
    ]
    tags = client().get_run(child.run_id).data.tags
    assert tags["mlflow.parentRunId"] == suite.run_id
    assert "mlflow.user" in tags
    for before in ("FINISHED", "KILLED"):
        client().set_terminated(child.run_id, before)
        with (
            open_run("vidseg", "tiny", role="suite", key="k") as again,
            follow_suite(opened(place), place.ledger, again) as log,
        ):
            log.poll()
            during = client().get_run(child.run_id).info.status
        assert during == {"FINISHED": "FINISHED", "KILLED": "RUNNING"}[before]
        assert client().get_run(child.run_id).info.status == before, "what was finished stays so"
    assert len(images(child.run_id)) == 2


def test_cells_along_a_path_have_no_run(tracking: str, place: Place) -> None:
    steps = {"extractor": "filters:octaves=1", "classifier": "tinynet:steps=2"}
    bench = place.bench(
        arms={"one": {"sampler": 1}, "two": {"sampler": "successive:n=2"}},
        pipelines={"n": {**steps, "path": {"steps": [1, 2]}}},
        comparisons=[{"a": "one", "b": "two"}],
        split="fixed:test=syn00",
    )
    with open_run("vidseg", "tiny", role="suite", key="k") as suite:
        with follow_suite(bench, place.ledger, suite) as log:
            for cell in bench.cells:
                if cell.arm.name == "one" and cell.at in (None, 1):
                    fitted = bench.experiments["n"].fit(cell.setting, cell.fold, "")
                    log.finished(fitted.key, fitted.curves)
            log.poll()
        runs = client().search_runs([suite.experiment_id], "tags.`vidseg.role` = 'setting'")
    assert [run.info.run_name for run in runs] == ["one n"]


def follow_fold_and_refit(place: Place, **conditions: object) -> str:
    """Fit the last fold and the refit of a run, follow both, and return the run's id."""
    from vidseg.experiment.config import make_config
    from vidseg.store import Store
    from vidseg.suites.opened import open_suite
    from vidseg.suites.single import single
    from vidseg.utils.progress import Quiet

    data = {"dataset": "synthetic:videos=3,frames=8,size=64x48", "sampler": "successive:n=2"}
    common = {"extractor": "filters:octaves=1", "image_size": "32x24", "device": "cpu"}
    config = make_config({**data, **common, "threads": 1, **conditions})
    store = Store(place.folder / "s")
    bench = open_suite(single(config), store=store, ledger=place.ledger, progress=Quiet())
    (experiment,) = bench.experiments.values()
    with open_run("vidseg", "a") as run:
        log = follow_run(bench, place.ledger, run)
        for fold in (bench.cells[-1].fold, everyone(experiment)):
            fitted = experiment.fit(config.setting, fold, "")
            log.finished(fitted.key, fitted.curves)
        log.poll()
        log.poll()
    return run.run_id


def test_a_run_shows_its_folds_and_its_refit(tracking: str, place: Place) -> None:
    run = follow_fold_and_refit(place, classifier="tinynet:steps=2", split="k-fold:k=2")
    assert set(points(run)) == {
        (name, step) for name in ("train/loss/fold1", "model/loss") for step in (0, 1)
    }
    kinds = Counter(path.split("/")[1] for path in images(run))
    assert kinds == {"fold1": 2, "model": 2}


def test_the_refit_of_what_is_no_network_has_no_curves(tracking: str, place: Place) -> None:
    """Its model keeps none, so what was sent would depend on when the thread looked."""
    run = follow_fold_and_refit(place, classifier="sgd:epochs=1", split="fixed:test=syn00")
    assert {name for name, _ in points(run)} == {"train/loss"}
