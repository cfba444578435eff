"""One run: one pipeline on one frame setting, tested on held-out videos."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from vidseg.api.logged import experiment_name, keeping
from vidseg.api.progress import showing
from vidseg.api.results import RunResult
from vidseg.api.session import Places, SuiteSession, check_names
from vidseg.errors import TrackingError, UsageError
from vidseg.experiment.config import RunConfig, make_config, read_config
from vidseg.experiment.distributed import joined
from vidseg.experiment.record import fold_record
from vidseg.experiment.records import RunRecord
from vidseg.experiment.stages import CellResult
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.record import cell_content, run_cells_of
from vidseg.suites.single import (
    check_lengths,
    everyone,
    finished_run,
    parts,
    raise_failures,
    single,
    trains_network,
)
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress

if TYPE_CHECKING:
    from vidseg.suites.executors.base import Executor
    from vidseg.tracking.run import OpenRun
    from vidseg.tracking.suite import CellLog
    from vidseg.types import Size

Spec = str | int | dict[str, Any]
"""``"name:key=value"``, a name that is a number, or ``{"use": name, key: value}``."""


class Conditions(TypedDict, total=False):
    """The conditions of a run, as :data:`vidseg.experiment.options.OPTIONS` states them."""

    dataset: Spec | Sequence[Spec]
    sampler: Spec
    extractor: Spec
    classifier: Spec
    train_labels: Spec
    refine: str
    prior: float | None
    split: Spec
    groups: str | None
    image_size: str | Size
    mask_size: str | Size | None
    seed: int
    test_stride: int
    threshold: float | str
    budget: str
    epochs: int | None
    max_time: float | None
    memory_budget: str | int
    device: str
    threads: int | None
    refit: bool


def run(
    *,
    config: str | Path | None = None,
    tracking: bool = True,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    register: str | None = None,
    executor: str | Executor = "local",
    store: str | Path | None = None,
    store_limit: str | int | None = None,
    ledger: str | Path | None = None,
    fresh: bool = False,
    progress: bool | Progress = False,
    **conditions: Unpack[Conditions],
) -> RunResult:
    """Train one pipeline on one frame setting, test it on held-out videos, log it to MLflow.

    What is in the ledger is not done again, so a call that was stopped goes on when it is repeated.

    Args:
        config: YAML file with conditions; those that are given here win.
        tracking: whether the run is logged; without, nothing of MLflow is imported.
        tracking_uri: MLflow store; None: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
        experiment: MLflow experiment; None: ``MLFLOW_EXPERIMENT_NAME`` or
            ``MLFLOW_EXPERIMENT_ID``, else ``vidseg``.
        run_name: name of the run in MLflow; None: the setting's.
        register: name under which the model is registered.
        executor: ``local``, ``processes:n=2``, ``ray``, or an executor of one's own.
        store, store_limit, ledger: where frames and features, and finished stages are kept; how
            much the store may hold.
        fresh: do finished stages again.
        progress: True shows it on a terminal or in a notebook; an object of one's own is told.
        **conditions: see `vidseg run --help`; None stands for the default.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    check_names(conditions, run)
    places = Places.find(store, store_limit, ledger, executor, fresh)
    prepared = prepare_run(conditions, config, places)
    with showing(progress) as shown:
        return do_run(
            prepared,
            tracking=tracking,
            tracking_uri=tracking_uri,
            experiment=experiment,
            run_name=run_name,
            register=register,
            progress=shown,
        )


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to be opened.

    Attributes:
        config: what it does.
        session: the same as a suite of one setting, and where its things are kept.
    """

    config: RunConfig
    session: SuiteSession


def prepare_run(
    conditions: Mapping[str, Any], config: str | Path | None, places: Places
) -> PreparedRun:
    """Check and resolve a run.

    Args:
        conditions: by name; None stands for the default.
        config: YAML file with more of them, which these override.
        places: where things are kept and done.

    Raises:
        UsageError: an option that there is not, or a value that cannot be meant.
    """
    options = read_config(user_path(config)) if config else {}
    options |= {name: value for name, value in conditions.items() if value is not None}
    made = make_config(options | places.threads(options.get("threads")))
    return PreparedRun(made, SuiteSession(single(made), places))


@joined()
def do_run(
    prepared: PreparedRun,
    *,
    tracking: bool = True,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    register: str | None = None,
    progress: Progress,
) -> RunResult:
    """Do a run, as :func:`run` does."""
    config, session = prepared.config, prepared.session
    _check_register(register, config, tracking)
    progress.say(f"{config.name} on {config.dataset}, {config.extractor}")
    if not tracking:
        return RunResult(_do(session, progress))
    from vidseg.tracking.run import open_run
    from vidseg.tracking.store import connect, restored

    with restored():
        with progress.task("opening the tracking store", None):
            connect(tracking_uri)
        name, params = experiment_name(experiment), config.params()
        label = run_name or config.name
        watch = trains_network(config.classifier)
        with open_run(
            name, label, params=params, notice=progress.say, system_metrics=watch
        ) as tracked:
            return _logged(session, progress, tracked, register)


def _logged(
    session: SuiteSession, progress: Progress, tracked: OpenRun, register: str | None
) -> RunResult:
    """Do the run inside its run of MLflow."""
    from vidseg.tracking.log import log_run
    from vidseg.tracking.suite import CellLog

    log = CellLog(tracked, progress.say)
    record = _do(session, progress, log)
    with progress.task("logging to MLflow", None), keeping(None):
        log.flush()
        version = log_run(record, tracked, register=register)
    return RunResult(record, tracked, version)


@contextlib.contextmanager
def _sending(
    opened: OpenedSuite, session: SuiteSession, log: CellLog | None
) -> Iterator[Callable[[Cell, CellResult], None]]:
    """Yield what sends a finished cell, with its scores; send curves and pictures meanwhile."""
    if log is None:
        yield lambda cell, found: None
        return
    from vidseg.tracking.follow import follow_run

    with follow_run(opened, session.places.ledger, log.run) as live:
        send = _sender(opened, log)

        def finished(cell: Cell, found: CellResult) -> None:
            live.finished(found.key, found.curves)
            send(cell, found)

        yield finished


def _sender(opened: OpenedSuite, log: CellLog) -> Callable[[Cell, CellResult], None]:
    """Return what sends a finished cell, and its scores as metrics of its fold."""
    from vidseg.tracking.log import log_metrics
    from vidseg.tracking.metrics import fold_points

    def send(cell: Cell, found: CellResult) -> None:
        log.send(cell_content(cell, found))
        if log.waiting:
            return
        (one,) = run_cells_of(opened, [cell], Results(finished={cell.id: found}))
        fold = fold_record(opened.experiments[cell.pipeline], one, found)
        with contextlib.suppress(TrackingError):  # the record has them: they are sent at the end
            log_metrics(fold_points(fold), log.run)

    return send


def _do(session: SuiteSession, progress: Progress, log: CellLog | None = None) -> RunRecord:
    opened, cells = session.open(progress)
    check_lengths(opened)
    config, experiment = parts(opened)
    if session.places.fresh:
        experiment.forget(config.setting, everyone(experiment))
    with _sending(opened, session, log) as on_finished:
        results, _ = session.do(opened, cells, progress, on_finished)
        raise_failures(cells, results)
        return finished_run(opened, results)


def _check_register(register: str | None, config: RunConfig, tracking: bool) -> None:
    """Refuse, before any work, a name that the registry would refuse after it, and no model."""
    if not register:
        return
    if not tracking:
        raise UsageError(
            "a run that is not logged registers no model",
            where="register with tracking=False",
            hint="leave out one of them",
        )
    from vidseg.tracking.model import check_name

    check_name(register)
    if not config.refit and config.split.name != "fixed":
        raise UsageError(
            "several folds are several models, and none of them is logged",
            where="--register with --no-refit",
            hint="leave out --no-refit, or give a split with one fold: fixed:test=",
        )
