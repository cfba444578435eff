"""A whole protocol, and the reports of those that ran before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from vidseg.api.logged import experiment_name, keeping, refill
from vidseg.api.progress import showing
from vidseg.api.results import SuiteResult
from vidseg.api.runs import Conditions
from vidseg.api.session import Places, SuiteSession, check_names
from vidseg.errors import DataError
from vidseg.experiment.distributed import joined
from vidseg.experiment.records import Row, SuiteRecord
from vidseg.experiment.stages import CellResult
from vidseg.report import build, main_settings, suite_from_json, suite_to_json, write_report
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results, read_cells
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.pictures import make_pictures
from vidseg.suites.record import cell_content, suite_key, suite_record
from vidseg.suites.single import trains_network
from vidseg.suites.suite import load_suite
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress
from vidseg.utils.scratch import scratch

if TYPE_CHECKING:
    from vidseg.suites.executors.base import Executor
    from vidseg.tracking.run import OpenRun
    from vidseg.tracking.suite import CellLog

PIPELINE = ("extractor", "classifier")
"""Conditions that a suite states for each of its pipelines."""


def run_suite(
    suite: str | Path,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name
    pipelines: Sequence[str] = (),
    only: str | Sequence[str] | None = None,
    output: str | Path | None = None,
    tracking: bool = True,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    executor: str | Executor = "local",
    store: str | Path | None = None,
    store_limit: str | int | None = None,
    ledger: str | Path | None = None,
    fresh: bool = False,
    pictures: bool = True,
    progress: bool | Progress = False,
    **conditions: Unpack[Conditions],
) -> SuiteResult:
    """Run a suite, or what is left of it, log it to MLflow and report it.

    Args:
        suite: name of a shipped suite, or a YAML file.
        set: values of the file to change, by dotted path: ``{"pipelines.sgd.classifier": "sgd"}``.
        pipelines: names of the pipelines to run, optional ones too; none: all but the optional.
        only: only the cells whose name matches or holds it, or one of several.
        output: folder of the report's files; None: none is written.
        pictures: show a few test frames in the report, and keep them with the suite in MLflow.
        conditions: as of :func:`run`, for all settings; ``extractor`` and ``classifier`` of every
            pipeline. ``sampler``, ``seed`` and ``refit`` are the suite's own.
        tracking, tracking_uri, experiment, executor, store, store_limit, ledger, fresh, progress:
            as of :func:`run`.

    Returns:
        Its record and report; cells that failed are in ``failures``.

    Raises:
        DataError: every cell failed.
        VidsegError: what was refused, where, and what to do about it.
    """
    check_names(conditions, run_suite)
    places = Places.find(store, store_limit, ledger, executor, fresh)
    session = prepare_suite(suite, set or {}, conditions, only, places, pipelines)
    with showing(progress) as shown:
        return do_suite(
            session,
            output=user_path(output) if output is not None else None,
            tracking=tracking,
            tracking_uri=tracking_uri,
            experiment=experiment,
            pictures=pictures,
            progress=shown,
        )


def prepare_suite(
    suite: str | Path,
    changes: Mapping[str, Any],
    conditions: Mapping[str, Any],
    only: str | Sequence[str] | None,
    places: Places,
    pipelines: Sequence[str] = (),
) -> SuiteSession:
    """Return a suite that is ready to be opened.

    Args:
        suite: name of a shipped suite, or a YAML file.
        changes: values by dotted path.
        conditions: by name; None stands for the file's.
        only: patterns of the cells that are asked for.
        places: where things are kept and done.
        pipelines: names of those to run; none: all that are not optional.

    Raises:
        UsageError: names the file, the line and the key.
    """
    changed = dict(changes)
    for name, value in conditions.items():
        if value is not None:
            changed[f"pipelines.*.{name}" if name in PIPELINE else name] = value
    loaded = load_suite(str(suite), changed, pipelines)
    if more := places.threads(loaded.file.conditions.get("threads")):
        loaded = load_suite(str(suite), changed | more, pipelines)
    return SuiteSession(loaded, places, only)


@joined()
def do_suite(
    session: SuiteSession,
    *,
    output: Path | None,
    tracking: bool = True,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    pictures: bool = True,
    progress: Progress,
) -> SuiteResult:
    """Do a suite, as :func:`run_suite` does."""
    if not tracking:
        opened, cells = session.open(progress)
        return _reported(_do(session, opened, cells, progress, pictures), cells, output)
    from vidseg.tracking.run import open_run
    from vidseg.tracking.store import connect, restored

    with restored():
        with progress.task("opening the tracking store", None):
            connect(tracking_uri)
        opened, cells = session.open(progress)
        name, key = experiment_name(experiment), suite_key(opened)
        watch = any(trains_network(one.classifier) for one in session.suite.pipelines.values())
        with open_run(
            name,
            session.suite.name,
            role="suite",
            key=key,
            notice=progress.say,
            system_metrics=watch,
        ) as tracked:
            return _logged(session, opened, cells, progress, tracked, name, output, pictures)


def _logged(
    session: SuiteSession,
    opened: OpenedSuite,
    cells: list[Cell],
    progress: Progress,
    tracked: OpenRun,
    experiment: str,
    folder: Path | None,
    pictures: bool,
) -> SuiteResult:
    """Do the suite inside its run of MLflow; write and log its report."""
    from vidseg.tracking.suite import CellLog, log_suite

    log = CellLog(tracked, progress.say)
    if not session.places.fresh:
        refill(opened, session.places.ledger, log)
    record = _do(session, opened, cells, progress, pictures, log)
    with scratch() as temporary:
        written = write_report([record], folder or temporary)
        with progress.task("logging to MLflow", None), keeping(folder):
            log.flush()
            log_suite(
                record,
                tracked,
                experiment=experiment,
                sentence=build(record).sentence,
                suite_json=suite_to_json(record),
                report=written,
            )
    _refuse_nothing(record, cells, folder)
    return SuiteResult(record, build(record), written if folder else {}, tracked)


def _do(
    session: SuiteSession,
    opened: OpenedSuite,
    cells: list[Cell],
    progress: Progress,
    pictures: bool,
    log: CellLog | None = None,
) -> SuiteRecord:
    """Do what is left of the cells, send them as they finish, and return the suite's record."""
    results, plan = _done(session, opened, cells, progress, log)
    record = _record(opened, results, plan)
    if pictures:
        names = main_settings(build(record))
        record.pictures, notes = make_pictures(opened, results, names, progress)
        record.notes += notes
    return record


def _done(
    session: SuiteSession,
    opened: OpenedSuite,
    cells: list[Cell],
    progress: Progress,
    log: CellLog | None,
) -> tuple[Results, Row]:
    """Do what is left of the cells; what their fits show is sent meanwhile."""
    if log is None:
        return session.do(opened, cells, progress)
    from vidseg.tracking.follow import follow_suite

    with follow_suite(opened, session.places.ledger, log.run) as live:

        def finished(cell: Cell, found: CellResult) -> None:
            live.finished(found.key, found.curves)
            log.send(cell_content(cell, found))

        return session.do(opened, cells, progress, finished)


def _record(opened: OpenedSuite, results: Results, plan: Row) -> SuiteRecord:
    # settings that `only` left out are shown where they are finished
    read_cells(opened, opened.cells, results)
    begun = {c.name for c in opened.cells if c.id in results.finished or c.id in results.failures}
    shown = [cell for cell in opened.cells if cell.name in begun]
    return suite_record(opened, shown, results, plan)


def _reported(record: SuiteRecord, cells: list[Cell], folder: Path | None) -> SuiteResult:
    written = write_report([record], folder) if folder else {}
    _refuse_nothing(record, cells, folder)
    return SuiteResult(record, build(record), written)


def _refuse_nothing(record: SuiteRecord, cells: list[Cell], folder: Path | None) -> None:
    """End the suite as failed when every cell failed that was asked for.

    Raises:
        DataError: they did.
    """
    failures = [row for setting in record.settings for row in setting.failures]
    if {cell.id for cell in cells} <= {row["cell"] for row in failures}:
        raise DataError(
            f"every cell failed, the first with: {failures[0]['error']}",
            where=f"suite {record.name}",
            hint=f"the others are in {(folder / 'report.html').absolute()}" if folder else "",
        )


def rebuild_report(
    *suites: str,
    output: str | Path | None = None,
    tracking_uri: str | None = None,
    pictures: bool = True,
) -> list[SuiteResult]:
    """Return the reports of suites that ran before, rebuilt from MLflow alone.

    Args:
        suites: run ids, unique beginnings of them, or names of suites; none: the latest suite.
        output: folder of one report of all of them; None: none is written.
        tracking_uri: MLflow store; None: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
        pictures: show the test frames that were kept with the suites.

    Raises:
        DataError: there is no such run, or it holds no finished suite.
        TrackingError: the store does not answer, or there is none.
    """
    from vidseg.tracking.store import connect_existing, restored
    from vidseg.tracking.suite import find_suites

    with restored():
        found = find_suites(connect_existing(tracking_uri), suites)
    records = [suite_from_json(one.content) for one in found]
    if not pictures:
        records = [replace(record, pictures=[]) for record in records]
    written = write_report(records, user_path(output)) if output is not None else {}
    return [
        SuiteResult(record, build(record), written, found=one)
        for one, record in zip(found, records, strict=True)
    ]
