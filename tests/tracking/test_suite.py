"""Cells of a suite on their way to MLflow: a server that goes away gets each of them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import dial
from tests.helpers.suites import Place, install
from vidseg.errors import UnreachableError
from vidseg.suites.record import suite_record
from vidseg.tracking.run import OpenRun, open_run
from vidseg.tracking.suite import CellLog, find_suites, kept_cells, log_suite, read_kept


def cell(number: int) -> dict[str, Any]:
    return {"key": f"{number:032x}", "id": f"one s/fold {number}/seed 0"}


def sent(run: OpenRun) -> dict[str, Any]:
    """Return the cells that a run holds, by key."""
    return {key: read_kept(run, kept) for key, kept in kept_cells(run, []).items()}


def test_cells_that_could_not_be_sent_are_sent_at_the_end(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    told: list[str] = []
    tried: list[str] = []
    log_artifact = mlflow.MlflowClient.log_artifact

    def away(self: Any, run_id: str, path: str, folder: str) -> None:
        tried.append(Path(path).stem)
        raise UnreachableError("the tracking server does not answer", where="http://there")

    with open_run("vidseg", "tiny", role="suite", key="tiny") as run:
        log = CellLog(run, told.append)
        log.send(cell(0))
        monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", away)
        for number in (1, 2, 3):
            log.send(cell(number))
        assert tried == [cell(1)["key"]], "one that failed is enough"
        assert told == [
            "http://there: the tracking server does not answer; the results are in the ledger and "
            "will be sent at the end"
        ]
        with pytest.raises(UnreachableError):
            log.flush()
        monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", log_artifact)
        assert list(sent(run)) == [cell(0)["key"]]
        log.flush()
        log.flush()
        log.send(cell(2))
        assert sent(run) == {cell(number)["key"]: cell(number) for number in range(4)}
    assert not log.waiting


def test_cells_of_other_suites_are_found_by_their_keys(tracking: str) -> None:
    runs = []
    for number, name in enumerate(("old", "edited", "run")):
        role: Any = "suite" if name != "run" else "run"
        with open_run("vidseg", name, role=role, key=name) as run:
            for one in (number, 9):
                CellLog(run, print)._send(cell(one))
        runs.append(run.run_id)
    with open_run("vidseg", "now", role="suite", key="now") as run:
        CellLog(run, print)._send(cell(5))
        wanted = [cell(number)["key"] for number in (0, 2, 9)]
        found = {key: kept.run_id for key, kept in kept_cells(run, wanted).items()}
    assert found == {
        cell(5)["key"]: run.run_id,
        cell(9)["key"]: runs[1],
        cell(0)["key"]: runs[0],
    }, "its own, and the wanted ones of other suites; the latest of several"


def test_the_report_is_about_the_suite_that_ended_last(tracking: str) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    for key in ("first", "edited", "first"):  # the edit was taken back
        with open_run("vidseg", "tiny", role="suite", key=key) as run:
            client.log_text(run.run_id, f'{{"key": "{key}"}}', "suite.json")
    for names in ([], ["tiny"]):
        (found,) = find_suites(tracking, names)
        assert (found.run_id, found.content) == (run.run_id, {"key": "first"})
        assert len(found.others) == 1
        assert find_suites(tracking, [found.others[0][:8]])[0].content == {"key": "edited"}
    assert find_suites(tracking, [run.run_id])[0].others == ()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    dial.install(monkeypatch)
    return Place(tmp_path)


def test_a_path_is_lines_of_its_settings(tracking: str, place: Place) -> None:
    import mlflow

    pipeline = {"extractor": "filters:octaves=1", "classifier": "dial:dial=0"}
    values: list[Any] = [-1, 0, 0.5]  # the first cannot be fitted
    bench = place.bench(
        pipelines={"a": {**pipeline, "path": {"dial": values}}, "b": pipeline},
        split="fixed:test=syn00",
    )
    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    client = mlflow.MlflowClient()
    with open_run("vidseg", "tiny", role="suite", key="k") as run:
        for _ in range(2):  # it is filled again instead of doubled
            log_suite(record, run, experiment="vidseg", sentence="", suite_json={}, report={})
    runs = client.search_runs([run.experiment_id], "tags.`vidseg.role` = 'setting'")
    runs = {one.info.run_name: one for one in runs}
    assert not [name for name in runs["one b"].data.metrics if name.startswith("path/")]
    assert runs["one a"].data.params["path"] == "dial of -1, 0, 0.5"
    for arm in ("one", "four"):
        of = {
            name: client.get_metric_history(runs[f"{arm} a"].info.run_id, f"path/{name}")
            for name in ("dial", "iou", "ap")
        }
        assert [(row.step, row.value) for row in of["dial"]] == [(1, 0), (2, 0.5)]
        own = runs[f"{arm} a"].data.metrics
        assert of["iou"][0].value == own["test/iou"], "at the value that the pipeline has itself"
        assert [row.step for row in of["iou"]] == [row.step for row in of["ap"]] == [1, 2]
