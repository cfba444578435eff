"""Runs a suite: what is in the ledger is read, the rest is done, failed cells are set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidseg.errors import StoreError, VidsegError
from vidseg.experiment.stages import CellResult
from vidseg.suites.cells import Cell
from vidseg.suites.executors.base import Executor, Job, JobResult
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.worker import fit_cells, score_cells
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop

Tell = Callable[[Cell, CellResult], None]
TellFailure = Callable[[str, VidsegError], None]


@dataclass
class Results:
    """What a suite found.

    Attributes:
        finished: cells by id.
        failures: error by id of a cell that failed.
        forwards: extractor forwards that were done for it, those of the plan included.
        seconds: how long it took.
        reused: how many cells were read from the ledger.
        on_failed: called with id and error of every cell that fails.
    """

    finished: dict[str, CellResult] = field(default_factory=dict)
    failures: dict[str, VidsegError] = field(default_factory=dict)
    forwards: int = 0
    seconds: float = 0.0
    reused: int = 0
    on_failed: TellFailure = lambda cell, error: None

    def fail(self, failures: Mapping[str, VidsegError]) -> None:
        """Take the errors of failed cells, by id, and tell them."""
        self.failures |= failures
        for cell, error in failures.items():
            self.on_failed(cell, error)

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells that neither finished nor failed."""
        return [c for c in cells if c.id not in self.finished and c.id not in self.failures]


def run_cells(
    bench: OpenedSuite,
    cells: Sequence[Cell],
    executor: Executor,
    *,
    context: Mapping[str, Any],
    progress: Progress,
    stop: Callable[[], None] = check_stop,
    on_finished: Tell = lambda cell, found: None,
    on_failed: TellFailure = lambda cell, error: None,
) -> Results:
    """Do every cell that is not in the ledger yet, and return all of them.

    Args:
        bench: the opened suite.
        cells: which of its cells.
        executor: where they run.
        context: of :func:`vidseg.suites.worker.context`, for workers in other processes.
        progress: where to tell how far it is.
        stop: raises when the user asked to stop.
        on_finished: called with every finished cell, those in the ledger first.
        on_failed: called with id and error of every cell that fails.

    Raises:
        Stopped: finished stages are kept.
        StoreError: the disk is full or the ledger cannot be written.
    """
    began = time.perf_counter()
    results = Results(on_failed=on_failed)
    read_cells(bench, cells, results, on_finished)
    results.reused = len(results.finished)
    if results.reused:
        progress.say(f"{results.reused} of {len(cells)} cells are in the ledger")
    if executor.workers and results.left(cells):
        _elsewhere(bench, cells, executor, context, results, progress, stop, on_finished)
    _here(bench, results.left(cells), results, progress, stop, on_finished)
    results.forwards += bench.forwards
    results.seconds = time.perf_counter() - began
    return results


def forget_cells(bench: OpenedSuite, cells: Sequence[Cell]) -> None:
    """Remove cells from the ledger, so that they are done again.

    Raises:
        StoreError: the ledger cannot be written.
    """
    for cell in cells:
        try:
            bench.experiments[cell.pipeline].forget(cell.setting, cell.fold)
        except StoreError:
            raise
        except VidsegError:
            continue  # it cannot be in the ledger; its fit says why


def read_cells(
    bench: OpenedSuite,
    cells: Sequence[Cell],
    results: Results,
    on_finished: Tell = lambda cell, found: None,
) -> None:
    """Take what the ledger holds into ``results``."""
    for cell in results.left(cells):
        try:
            found = bench.experiments[cell.pipeline].finished(cell.setting, cell.fold)
        except VidsegError as error:
            results.fail({cell.id: error})
            continue
        if found is not None:
            results.finished[cell.id] = found
            on_finished(cell, found)


def _here(
    bench: OpenedSuite,
    cells: Sequence[Cell],
    results: Results,
    progress: Progress,
    stop: Callable[[], None],
    on_finished: Tell,
) -> None:
    """Fit and score in this process, fold by fold."""
    if not cells:
        return
    with progress.task(f"suite {bench.suite.name}: cells", len(cells)) as task:
        for group in bench.together(cells):
            stop()
            fitted, failures = fit_cells(bench, group, "")
            results.fail(failures)
            ready = [cell for cell in group if cell.id in fitted]
            if ready:
                label = f"fold {ready[0].fold.index + 1}, {len(ready)} models"
                results.fail(score_cells(bench, ready, fitted, label))
            _collect(bench, ready, results, on_finished)
            task.advance(len(group))


def _collect(
    bench: OpenedSuite, cells: Sequence[Cell], results: Results, on_finished: Tell
) -> None:
    """Take the cells that were written a moment ago."""
    read_cells(bench, cells, results, on_finished)
    for cell in results.left(cells):
        lost = StoreError("its results could not be read back from the ledger")
        results.fail({cell.id: lost})


def _elsewhere(
    bench: OpenedSuite,
    cells: Sequence[Cell],
    executor: Executor,
    context: Mapping[str, Any],
    results: Results,
    progress: Progress,
    stop: Callable[[], None],
    on_finished: Tell,
) -> None:
    """Let workers fill the store and the ledger: features, then fits, then scores.

    Cells whose common scoring killed its worker are scored once more one by one, so that only the
    guilty one fails.
    """
    by_id = {cell.id: cell for cell in cells}
    dead: list[str] = []

    def run(stage: str, tasks: Iterator[Job]) -> None:
        asked = [{"context": dict(context), "stage": stage, **task} for task in tasks]
        with progress.task(f"suite {bench.suite.name}: {stage}", len(asked)) as line:

            def done(task: Job, outcome: JobResult) -> None:
                dead.extend(_take(task, outcome, results))
                if stage == "score":
                    own = [by_id[name] for name in task["cells"]]
                    read_cells(bench, own, results, on_finished)
                line.advance()

            executor.run(asked, done, stop)

    try:
        run("features", _feature_tasks(bench, results.left(cells)))
        run("fit", ({"cells": [cell.id]} for cell in results.left(cells)))
        groups = bench.together(results.left(cells))
        run("score", ({"cells": [cell.id for cell in group]} for group in groups))
        if dead:
            run("score", ({"cells": [name]} for name in list(dead)))
    finally:
        getattr(executor, "close", lambda: None)()


def _feature_tasks(bench: OpenedSuite, cells: Sequence[Cell]) -> Iterator[Job]:
    """Yield a task for each video whose features are wanted."""
    wanted = bench.wanted(cells)
    for video in dict.fromkeys(video for _, video in wanted):
        frames = {pipe: sorted(found) for (pipe, name), found in wanted.items() if name == video}
        yield {"video": video, "frames": frames, "cells": []}


def _take(task: Job, outcome: JobResult, results: Results) -> list[str]:
    """Take what a task says; return the cells that may have died of each other.

    Raises:
        StoreError: the disk is full or the ledger cannot be written.
    """
    if "died" in outcome:
        if task["stage"] == "score" and len(task["cells"]) > 1:
            return list(task["cells"])
        results.fail(dict.fromkeys(task["cells"], VidsegError(outcome["died"])))
        return []
    results.fail(outcome["failures"])
    results.forwards += outcome["forwards"]
    if outcome["fatal"]:
        raise StoreError(outcome["fatal"])
    return []
