"""A suite in MLflow: one parent run, one child run a setting, filled again instead of doubled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidseg.errors import DataError, TrackingError
from vidseg.experiment.records import Row, SettingRecord, SuiteRecord
from vidseg.tracking.artifacts import write_cell
from vidseg.tracking.links import ROLE
from vidseg.tracking.log import log_metrics, log_run
from vidseg.tracking.metrics import path_points
from vidseg.tracking.run import ERROR, LONGEST_TAG, OpenRun, log_params, open_run, valid_name
from vidseg.tracking.store import load_mlflow, ping, translate_errors
from vidseg.utils.hashing import digest
from vidseg.utils.scratch import scratch

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
            self.say(
                f"{error.where}: {error.what}; the results are in the ledger and will be sent at "
                "the end"
            )

    def flush(self) -> None:
        """Send what could not be sent before.

        Raises:
            TrackingError: the server is still away.
        """
        if self.waiting:
            ping(self.run.uri)
        while self.waiting:
            self._send(self.waiting[0])
            self.waiting.pop(0)

    def _send(self, cell: Row) -> None:
        client = load_mlflow().MlflowClient(self.run.uri)
        with (
            translate_errors(self.run.uri),
            scratch() as folder,
        ):
            path = write_cell(cell["key"], cell, folder)
            client.log_artifact(self.run.run_id, str(path), "cells")
        self.there.add(cell["key"])


@dataclass(frozen=True)
class KeptCell:
    """A cell among the artifacts of a suite's run.

    Attributes:
        run_id: the run.
        path: of the artifact.
    """

    run_id: str
    path: str


def kept_cells(run: OpenRun, wanted: Collection[str]) -> dict[str, KeptCell]:
    """Return the cells that this run holds, and the wanted ones of other runs, by their keys.

    The other suite runs of the experiment are looked at, the latest first, until nothing is
    wanted any more: the suite as it was before it was edited, or on a machine that was killed,
    whose run still says that it is running.

    Args:
        run: the suite's open run.
        wanted: keys of cells.

    Raises:
        TrackingError: the store does not answer.
    """
    client = load_mlflow().MlflowClient(run.uri)
    found = dict.fromkeys(_cells_of(client, run, run.run_id), run.run_id)
    left = set(wanted) - found.keys()
    others = _other_suites(client, run)
    while left and (other := next(others, None)):
        there = left.intersection(_cells_of(client, run, other))
        found |= dict.fromkeys(there, other)
        left -= there
    return {key: KeptCell(run_id, f"cells/{key}.json") for key, run_id in found.items()}


def _other_suites(client: Any, run: OpenRun) -> Iterator[str]:
    """Yield the ids of the other suite runs of the experiment, the latest first."""
    token = None
    while True:
        with translate_errors(run.uri):
            page = client.search_runs(
                [run.experiment_id],
                f"tags.`{ROLE}` = 'suite'",
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
        yield from (one.info.run_id for one in page if one.info.run_id != run.run_id)
        if not (token := page.token):
            return


def _cells_of(client: Any, run: OpenRun, run_id: str) -> list[str]:
    with translate_errors(run.uri):
        entries = client.list_artifacts(run_id, "cells")
    names = [re.fullmatch(r"cells/([0-9a-f]{16,64})\.json", entry.path) for entry in entries]
    return [name[1] for name in names if name]


def read_kept(run: OpenRun, cell: KeptCell) -> Row | None:
    """Return a kept cell, None when it is damaged.

    Raises:
        TrackingError: the store does not answer.
    """
    client = load_mlflow().MlflowClient(run.uri)
    with translate_errors(run.uri), scratch() as folder:
        local = Path(client.download_artifacts(cell.run_id, cell.path, str(folder)))
        try:
            content = json.loads(local.read_text(encoding="utf-8"))
        except ValueError:
            return None
    return content if isinstance(content, dict) else None


def log_suite(
    record: SuiteRecord,
    run: OpenRun,
    *,
    experiment: str,
    sentence: str,
    suite_json: Mapping[str, Any],
    report: Mapping[str, Path],
) -> None:
    """Fill the suite's run and one child run for each setting.

    Args:
        record: the finished suite.
        run: its open run.
        experiment: name of the experiment.
        sentence: the report's first sentence: the run's note.
        suite_json: from which `vidseg report` rebuilds the report.
        report: files and folders of the written report; its folder may hold anything.

    Raises:
        TrackingError: the store refuses or is away.
    """
    for setting in record.settings:
        _log_setting(record, setting, run, experiment)
    log_params(_params(record), run)
    client = load_mlflow().MlflowClient(run.uri)
    with translate_errors(run.uri), scratch() as folder:
        (folder / SUITE_FILE).write_text(json.dumps(suite_json), encoding="utf-8")
        client.log_artifact(run.run_id, str(folder / SUITE_FILE))
        for path in report.values():
            if path.is_dir():
                client.log_artifacts(run.run_id, str(path), f"{REPORT_FOLDER}/{path.name}")
            else:
                client.log_artifact(run.run_id, str(path), REPORT_FOLDER)
        client.set_tag(run.run_id, "mlflow.note.content", sentence)
        _set_error(client, run.run_id, "")  # of an earlier start that was stopped
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


def setting_key(run: OpenRun, setting: str) -> str:
    """Return the key of a setting's run: each run of a suite has children of its own."""
    return digest([run.run_id, setting])


def _log_setting(
    record: SuiteRecord, setting: SettingRecord, run: OpenRun, experiment: str
) -> None:
    """Fill the child run of a setting; it is FAILED where a cell of it failed."""
    key, cells = setting_key(run, setting.name), len(setting.run.folds) + len(setting.failures)
    with open_run(experiment, setting.name, role="setting", key=key) as child:
        log_run(setting.run, child, several=cells > 1 or not setting.complete)
        log_metrics([(f"fit/{k}_mean", v, 0) for k, v in setting.facts.items()], child)
        log_metrics(path_points(record, setting), child)
    error = "; ".join(f"{row['cell']}: {row['error']}" for row in setting.failures)
    client = load_mlflow().MlflowClient(run.uri)
    with translate_errors(run.uri):
        _set_error(client, child.run_id, error)
        if error:
            client.set_terminated(child.run_id, status="FAILED")


def _set_error(client: Any, run_id: str, error: str) -> None:
    """Set the tag of what went wrong, or remove it."""
    if error:
        client.set_tag(run_id, ERROR, error[:LONGEST_TAG])
    elif ERROR in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, ERROR)


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


@dataclass(frozen=True)
class FoundSuite:
    """A suite run that was chosen.

    Attributes:
        run_id: the run.
        started: when, in milliseconds since 1970.
        content: of its ``suite.json``.
        others: ids of the runs that could have been meant as well, the latest first.
    """

    run_id: str
    started: int
    content: Row
    others: tuple[str, ...]


def find_suites(uri: str, names: Sequence[str]) -> list[FoundSuite]:
    """Return suite runs.

    Args:
        uri: tracking URI.
        names: run ids, unique beginnings of them, or names of suites (the run of it that ended
            last); empty: the suite that ended last.

    Raises:
        DataError: there is no such run, or it holds no suite.
        TrackingError: the store does not answer.
    """
    client = load_mlflow().MlflowClient(uri)
    with translate_errors(uri):
        experiments = [e.experiment_id for e in client.search_experiments()]
        runs = client.search_runs(
            experiments, f"tags.`{ROLE}` = 'suite'", order_by=["attributes.end_time DESC"]
        )
    if not runs:
        raise DataError("holds no suite", where=f"tracking store {uri}", hint="run one first")
    candidates = [_candidates(runs, name, uri) for name in names] or [list(runs)]
    return [
        FoundSuite(
            run.info.run_id,
            run.info.start_time,
            _suite_json(client, uri, run),
            tuple(other.info.run_id for other in others),
        )
        for run, *others in candidates
    ]


def _candidates(runs: Sequence[Any], name: str, uri: str) -> list[Any]:
    """Return the runs that a name or the beginning of an id may mean, the best first."""
    by_id = [run for run in runs if run.info.run_id.startswith(name)]
    by_name = [run for run in runs if run.info.run_name == name]
    if len(by_id) == 1 or by_name:
        return by_id if len(by_id) == 1 else by_name
    known = ", ".join(f"{run.info.run_name} {run.info.run_id[:8]}" for run in runs[:8])
    raise DataError(
        f"there is no suite run {name!r}", where=f"tracking store {uri}", hint=f"there are {known}"
    )


def _suite_json(client: Any, uri: str, run: Any) -> Row:
    with translate_errors(uri), scratch() as folder:
        names = [entry.path for entry in client.list_artifacts(run.info.run_id)]
        if SUITE_FILE not in names:
            raise DataError(
                f"the suite run {run.info.run_id} was not finished",
                where=f"tracking store {uri}",
                hint="give its `vidseg suite` command again",
            )
        path = Path(client.download_artifacts(run.info.run_id, SUITE_FILE, str(folder)))
        loaded = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise DataError(f"{SUITE_FILE} of run {run.info.run_id} is damaged")
    return loaded
