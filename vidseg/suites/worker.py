"""What is done for a cell, and the function that does a job wherever an executor calls it.

Doing a job means writing finished stages into the ledger; its result says only which cells failed
and how much was computed.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidseg.errors import ResourceError, StoreError, VidsegError
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.stages import FitResult
from vidseg.store import Store
from vidseg.suites.cells import Cell
from vidseg.suites.executors.base import Job, JobResult
from vidseg.suites.opened import OpenedSuite, open_suite
from vidseg.suites.suite import Suite, make_suite
from vidseg.utils.progress import Quiet
from vidseg.utils.threads import keep_freed_pages

LOOKUPS = ("VIDSEG_DATA", "VIDSEG_WEIGHTS")
"""Variables by which relative paths of a suite are found."""


def context(suite: Suite, store: Store, limit: int | None, ledger: Ledger) -> dict[str, Any]:
    """Return what every job of one suite has in common.

    Args:
        suite: goes along as plain data: its file may change, or not be there where a job runs.
        store: where frames and features are kept.
        limit: bytes that the store may hold, None as :class:`vidseg.store.Store` has it.
        ledger: where finished stages are kept.
    """
    return {
        "suite": suite.mapping(),
        "store": str(store.root),
        "limit": limit,
        "ledger": str(ledger.root.expanduser().absolute()),
        "folder": str(Path.cwd()),
        "environment": {name: os.environ[name] for name in LOOKUPS if name in os.environ},
    }


def work(job: Job) -> JobResult:
    """Do one job."""
    opened = _opened(json.dumps(job.context))
    before = opened.forwards
    failures: dict[str, VidsegError] = {}
    fatal = None
    cells = [cell for cell in opened.cells if cell.id in job.cells]
    try:
        if job.stage == "features":
            compute_features(opened, job.video, job.frames)
        elif job.stage == "fit":
            _, failures = fit_cells(opened, cells, "")
        else:
            failures = score_cells(opened, cells, {}, "")
    except StoreError as error:
        fatal = error
    return JobResult(failures, opened.forwards - before, fatal)


@functools.lru_cache(maxsize=1)
def _opened(text: str) -> OpenedSuite:
    given = json.loads(text)
    # a cluster's workers start in a folder and an environment of their own
    if Path(given["folder"]).is_dir():
        os.chdir(given["folder"])
    os.environ.update(given["environment"])
    keep_freed_pages()
    return open_suite(
        make_suite(given["suite"]),
        store=Store(Path(given["store"]), limit=given["limit"]),
        ledger=Ledger(Path(given["ledger"])),
        progress=Quiet(),
    )


def compute_features(opened: OpenedSuite, video: str, frames: Mapping[str, Sequence[int]]) -> None:
    """Compute features of one video into the store; what cannot be computed is left out.

    The cell that needs a frame which is damaged will say so.

    Raises:
        StoreError: the disk is full.
    """
    for pipeline, indices in frames.items():
        material = opened.experiments[pipeline].materials[video]
        try:
            material.stored.prepare(indices)
            material.stored_features.prepare(indices)
        except Exception as error:
            reraise_fatal(error)


def fit_cells(
    opened: OpenedSuite,
    cells: Sequence[Cell],
    label: str,
    done: Callable[[str, VidsegError | None], None] = lambda cell, error: None,
) -> tuple[dict[str, FitResult], dict[str, VidsegError]]:
    """Fit cells, or read their fits; return the fitted ones and the errors of the failed ones.

    Args:
        opened: the opened suite.
        cells: some of its cells.
        label: what progress says before a cell's name.
        done: called after each cell with its id and its error, if it failed.

    Raises:
        StoreError: it ends the suite, not the cell.
    """
    fitted: dict[str, FitResult] = {}
    failures: dict[str, VidsegError] = {}
    for place, cell in enumerate(cells, start=1):
        experiment = opened.experiments[cell.pipeline]
        try:
            text = f"{label}{cell.id} ({place} of {len(cells)})"
            fitted[cell.id] = experiment.fit(cell.setting, cell.fold, text)
        except Exception as error:
            reraise_fatal(error)
            failures[cell.id] = explain(error)
        done(cell.id, failures.get(cell.id))
    return fitted, failures


def score_cells(
    opened: OpenedSuite,
    cells: Sequence[Cell],
    fitted: Mapping[str, FitResult],
    label: str,
    moved: Callable[[float], None] = lambda share: None,
) -> dict[str, VidsegError]:
    """Score cells of one fold together; return the errors of those that failed.

    Where that fails they are scored one by one, so that a model that cannot be scored takes no
    other with it.

    Args:
        opened: the opened suite.
        cells: of one fold.
        fitted: those whose fits are known, by id.
        label: what progress calls it.
        moved: called after each frame with its share of the work.

    Raises:
        StoreError: it ends the suite, not the cell.
    """
    absent = [cell for cell in cells if cell.id not in fitted]
    read, failures = fit_cells(opened, absent, label)
    ready = {**fitted, **read}
    together = [cell for cell in cells if cell.id in ready]
    if not together:
        return failures
    experiment, fold = opened.experiments[cells[0].pipeline], cells[0].fold
    try:
        experiment.score({cell.id: ready[cell.id] for cell in together}, fold, label, moved)
    except Exception as error:
        reraise_fatal(error)
        if len(together) == 1:
            return failures | {together[0].id: explain(error)}
        for cell in together:
            alone = f"{label}, {cell.id} alone" if label else ""
            failures |= score_cells(opened, [cell], ready, alone)
    return failures


def reraise_fatal(error: Exception) -> None:
    """Raise again what ends the suite: a full disk, or a ledger that cannot be written.

    Raises:
        StoreError: the store or the ledger fails, or any file of ours finds no space.
    """
    if isinstance(error, StoreError):
        raise error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise StoreError(
            f"the disk is full: {error.filename or error}", hint="free space, then go on"
        ) from error


def explain(error: Exception) -> VidsegError:
    """Return why a cell failed, in one line; a bug of ours is named as one, and is its cause."""
    for one in filter(None, (error, error.__cause__, error.__context__)):
        traceback.clear_frames(one.__traceback__)  # they hold the frames' features
    if isinstance(error, VidsegError):
        return error
    from vidseg.plugins.describe import blamed

    made: VidsegError | None = blamed(error)
    if isinstance(error, MemoryError):
        made = ResourceError("out of memory", hint="choose a smaller memory budget")
    made = made or VidsegError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    made.__cause__ = error
    return made
