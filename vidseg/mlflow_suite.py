"""A suite in MLflow: one parent run, one child run a setting, filled again instead of doubled."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidseg.errors import DataError, TrackingError
from vidseg.mlflow_files import write_cell
from vidseg.mlflow_links import ROLE
from vidseg.mlflow_log import (
    OpenRun,
    log_metrics,
    log_params,
    log_run,
    open_run,
    valid_name,
)
from vidseg.mlflow_store import load_mlflow, one_line
from vidseg.records import Row, SuiteRecord

SUITE_FILE = "suite.json"
REPORT_FOLDER = "report"


@dataclass
class CellLog:
    """Sends finished cells to the suite's run; a server that went away is waited for until the end.

    Attributes:
        run: the suite's run.
        say: tells the user one line.
        there: keys of the cells that the run holds.
        waiting: cells that could not be sent.
    """

    run: OpenRun
    say: Callable[[str], None]
    there: set[str] = field(default_factory=set)
    waiting: list[Row] = field(default_factory=list)

    def send(self, cell: Row) -> None:
        """Send one cell, or keep it for :meth:`flush`."""
        if cell["key"] in self.there:
            return
        if self.waiting:
            self.waiting.append(cell)
            return
        try:
            self._send(cell)
        except TrackingError as error:
            self.waiting.append(cell)
            self.say(f"{error}; the results are in the ledger and will be sent at the end")

    def flush(self) -> None:
        """Send what could not be sent before.

        Raises:
            TrackingError: the server is still away.
        """
        while self.waiting:
            self._send(self.waiting[0])
            self.waiting.pop(0)

    def _send(self, cell: Row) -> None:
        client = load_mlflow().MlflowClient(self.run.uri)
        with one_line(self.run.uri), tempfile.TemporaryDirectory(prefix="vidseg-") as folder:
            path = write_cell(cell["key"], cell, Path(folder))
            client.log_artifact(self.run.run_id, str(path), "cells")
        self.there.add(cell["key"])


def kept_cells(run: OpenRun) -> Iterator[Row]:
    """Yield the cells that a suite's run holds already; damaged ones are left out.

    Raises:
        TrackingError: the store does not answer.
    """
    client = load_mlflow().MlflowClient(run.uri)
    with one_line(run.uri):
        paths = [entry.path for entry in client.list_artifacts(run.run_id, "cells")]
    for path in paths:
        with one_line(run.uri), tempfile.TemporaryDirectory(prefix="vidseg-") as folder:
            local = Path(client.download_artifacts(run.run_id, path, folder))
            with contextlib.suppress(ValueError):
                cell = json.loads(local.read_text(encoding="utf-8"))
                if isinstance(cell, dict) and {"key", "facts", "score_inputs"} <= cell.keys():
                    yield cell


def log_suite(
    record: SuiteRecord,
    run: OpenRun,
    *,
    experiment: str,
    sentence: str,
    suite_json: Mapping[str, Any],
    report: Path,
) -> None:
    """Fill the suite's run and one child run for each setting.

    Args:
        record: the finished suite.
        run: its open run.
        experiment: name of the experiment.
        sentence: the report's first sentence: the run's note.
        suite_json: from which `vidseg report` rebuilds the report.
        report: folder of the written report.

    Raises:
        TrackingError: the store refuses or is away.
    """
    for setting in record.settings:
        key = f"{record.key}/{setting.name}"
        with open_run(experiment, setting.name, role="setting", key=key) as child:
            log_run(setting.run, child)
            log_metrics([(f"fit/{k}_mean", v, 0) for k, v in setting.facts.items()], child)
    log_params(_params(record), run)
    client = load_mlflow().MlflowClient(run.uri)
    with one_line(run.uri), tempfile.TemporaryDirectory(prefix="vidseg-") as folder:
        (Path(folder) / SUITE_FILE).write_text(json.dumps(suite_json), encoding="utf-8")
        client.log_artifact(run.run_id, str(Path(folder) / SUITE_FILE))
        client.log_artifacts(run.run_id, str(report), REPORT_FOLDER)
        client.set_tag(run.run_id, "mlflow.note.content", sentence)
    numbers = {k: v for k, v in record.plan.items() if isinstance(v, int | float)}
    log_metrics([(f"plan/{k}", float(v), 0) for k, v in numbers.items()], run)
    log_metrics(
        [
            (f"setting/{valid_name(s.name)}/{record.primary}", s.run.headline[record.primary], 0)
            for s in record.settings
            if record.primary in s.run.headline
        ],
        run,
    )


def _params(record: SuiteRecord) -> dict[str, str | float]:
    return {
        "suite": record.name,
        "dataset": record.dataset.source,
        "dataset.digest": record.dataset.digest,
        "primary": record.primary,
        "delta": record.delta,
        "level": record.level,
        "groups": len({row["group"] for row in record.dataset.videos}),
        "settings": len(record.settings),
    }


def find_suites(uri: str, names: Sequence[str]) -> list[tuple[str, Row]]:
    """Return (run id, ``suite.json``) of suite runs.

    Args:
        uri: tracking URI.
        names: run ids, unique beginnings of them, or names of suites (the latest run of it);
            empty: the latest suite.

    Raises:
        DataError: there is no such run, or it holds no suite.
        TrackingError: the store does not answer.
    """
    client = load_mlflow().MlflowClient(uri)
    with one_line(uri):
        experiments = [e.experiment_id for e in client.search_experiments()]
        runs = client.search_runs(
            experiments, f"tags.`{ROLE}` = 'suite'", order_by=["attributes.start_time DESC"]
        )
    if not runs:
        raise DataError("holds no suite", where=f"tracking store {uri}", hint="run one first")
    chosen = [_chosen(runs, name, uri) for name in names] or [runs[0]]
    return [(run.info.run_id, _suite_json(client, uri, run)) for run in chosen]


def _chosen(runs: Sequence[Any], name: str, uri: str) -> Any:
    by_id = [run for run in runs if run.info.run_id.startswith(name)]
    by_name = [run for run in runs if run.info.run_name == name]
    if len(by_id) == 1 or by_name:
        return (by_id if len(by_id) == 1 else by_name)[0]
    known = ", ".join(f"{run.info.run_name} {run.info.run_id[:8]}" for run in runs[:8])
    raise DataError(
        f"there is no suite run {name!r}", where=f"tracking store {uri}", hint=f"there are {known}"
    )


def _suite_json(client: Any, uri: str, run: Any) -> Row:
    with one_line(uri), tempfile.TemporaryDirectory(prefix="vidseg-") as folder:
        names = [entry.path for entry in client.list_artifacts(run.info.run_id)]
        if SUITE_FILE not in names:
            raise DataError(
                f"the suite run {run.info.run_id} was not finished",
                where=f"tracking store {uri}",
                hint="give its `vidseg suite` command again",
            )
        path = Path(client.download_artifacts(run.info.run_id, SUITE_FILE, folder))
        loaded = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise DataError(f"{SUITE_FILE} of run {run.info.run_id} is damaged")
    return loaded
