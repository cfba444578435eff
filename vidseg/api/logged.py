"""The runs of MLflow that the calls of this room fill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vidseg.errors import TrackingError, UnreachableError
from vidseg.experiment.ledger import Ledger
from vidseg.suites.opened import OpenedSuite
from vidseg.tracking.run import name_of_experiment
from vidseg.tracking.suite import CellLog, kept_cells, read_kept


def experiment_name(given: str | None) -> str:
    """Return the MLflow experiment: the given one, the environment's, or ``vidseg``.

    ``MLFLOW_EXPERIMENT_NAME`` counts before ``MLFLOW_EXPERIMENT_ID``, as in MLflow.

    Raises:
        TrackingError: the store of the last ``connect`` has no experiment of that id.
    """
    named = given or os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if named:
        return named
    number = os.environ.get("MLFLOW_EXPERIMENT_ID")
    return name_of_experiment(number) if number else "vidseg"


@contextlib.contextmanager
def keeping(folder: Path | None) -> Iterator[None]:
    """Say that nothing is lost when the tracking server is away, or its disk is full.

    Args:
        folder: of the report, None where none was written.
    """
    try:
        yield
    except TrackingError as error:
        mended = f"{error.hint or 'mend it'}, then"
        if isinstance(error, UnreachableError):
            mended = "when the server is back,"
        report = f" and the report in {folder.absolute()}" if folder else ""
        raise type(error)(
            error.what,
            where=error.where,
            hint=f"the results are in the ledger{report}; {mended} the same command sends them",
        ) from error


def refill(opened: OpenedSuite, ledger: Ledger, log: CellLog) -> None:
    """Fill the ledger from runs of suites; they may have been begun on another machine."""
    experiment = next(iter(opened.experiments.values()))
    keys = [key for cell in opened.cells if (key := opened.key(cell)) is not None]
    absent = [key for key in keys if not _is_there(ledger, key)]
    for key, kept in kept_cells(log.run, absent).items():
        if kept.run_id == log.run.run_id:
            log.there.add(key)
        if _is_there(ledger, key):
            continue
        cell = read_kept(log.run, kept)
        if cell is None or not experiment.restore(cell):
            log.there.discard(key)


def _is_there(ledger: Ledger, key: str) -> bool:
    fitted = ledger.read(key, "fit") is not None
    return fitted and any(ledger.folder(key).glob("score-*.json"))
