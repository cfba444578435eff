"""Runs a suite: what is in the ledger is read, the rest is done, failed cells are set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidseg.classifiers.base import Progress
from vidseg.errors import Stopped, StoreError, VidsegError
from vidseg.executors.base import Executor, Outcome, Task
from vidseg.experiment import Finished
from vidseg.suites.bench import Bench
from vidseg.suites.cells import Cell
from vidseg.suites.worker import fit_cells, score_cells, wanted_frames


@dataclass
class Results:
    """What a suite found.

    Attributes:
        finished: cells by id.
        failures: error by id of a cell that failed.
        forwards: extractor forwards that were done for it.
        seconds: how long it took.
        reused: how many cells were read from the ledger.
    """

    finished: dict[str, Finished] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    forwards: int = 0
    seconds: float = 0.0
    reused: int = 0


def run_cells(
    bench: Bench,
    cells: Sequence[Cell],
    executor: Executor,
    *,
    context: Mapping[str, Any],
    progress: Progress,
    stop: Callable[[], None] = lambda: None,
    on_finished: Callable[[Cell, Finished], None] = lambda cell, found: None,
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

    Raises:
        Stopped: finished stages are kept.
        StoreError: the disk is full or the ledger cannot be written.
    """
    began, before = time.perf_counter(), bench.forwards
    results = Results()
    waiting = _read(bench, cells, results)
    results.reused = len(cells) - len(waiting)
    if results.reused:
        progress.say(f"{results.reused} of {len(cells)} cells are in the ledger")
    if executor.workers and waiting:
        _elsewhere(bench, waiting, executor, context, results, progress, stop)
        _read(bench, waiting, results)
        waiting = [cell for cell in waiting if cell.id not in results.failures]
        waiting = [cell for cell in waiting if cell.id not in results.finished]
    told = set(results.finished)
    for cell in cells:
        if cell.id in told:
            on_finished(cell, results.finished[cell.id])
    _here(bench, waiting, results, progress, stop, on_finished)
    results.forwards += bench.forwards - before
    results.seconds = time.perf_counter() - began
    return results


def _read(bench: Bench, cells: Sequence[Cell], results: Results) -> list[Cell]:
    """Take what the ledger holds; return the cells that it does not."""
    absent = []
    for cell in cells:
        try:
            found = bench.experiments[cell.pipeline].finished(cell.setting, cell.fold)
        except VidsegError as error:
            results.failures[cell.id] = str(error)
            continue
        if found is None:
            absent.append(cell)
        else:
            results.finished[cell.id] = found
    return absent


def _here(
    bench: Bench,
    cells: Sequence[Cell],
    results: Results,
    progress: Progress,
    stop: Callable[[], None],
    on_finished: Callable[[Cell, Finished], None],
) -> None:
    """Fit and score in this process, fold by fold."""
    with progress.task(f"suite {bench.suite.name}: cells", len(cells)) as task:
        for group in bench.together(cells):
            stop()
            fitted, failures = fit_cells(bench, group, "")
            results.failures |= failures
            ready = [cell for cell in group if cell.id in fitted]
            if ready:
                label = f"fold {ready[0].fold.index + 1}, {len(ready)} models"
                results.failures |= score_cells(bench, ready, fitted, label)
            _collect(bench, ready, fitted, results)
            for cell in ready:
                if cell.id in results.finished:
                    on_finished(cell, results.finished[cell.id])
            task.advance(len(group))


def _collect(
    bench: Bench, cells: Sequence[Cell], fitted: Mapping[str, Any], results: Results
) -> None:
    """Take the scores that were written a moment ago; they are read even with ``--fresh``."""
    for cell in cells:
        if cell.id in results.failures:
            continue
        experiment, fit = bench.experiments[cell.pipeline], fitted[cell.id]
        scored = experiment.kept_scores(fit.key, cell.fold)
        if scored is None:
            results.failures[cell.id] = "its scores could not be read back from the ledger"
        else:
            results.finished[cell.id] = Finished(fit.key, fit.facts, fit.curves, scored)


def _elsewhere(
    bench: Bench,
    cells: Sequence[Cell],
    executor: Executor,
    context: Mapping[str, Any],
    results: Results,
    progress: Progress,
    stop: Callable[[], None],
) -> None:
    """Let workers fill the store and the ledger: features, then fits, then scores."""
    videos = dict.fromkeys(video for _, video in wanted_frames(bench, cells))
    ids = [cell.id for cell in cells]
    stages: list[tuple[str, list[Task]]] = [
        (
            "features",
            [
                {"context": dict(context), "stage": "features", "cells": ids, "video": video}
                for video in videos
            ],
        ),
        ("fit", [{"context": dict(context), "stage": "fit", "cells": [one]} for one in ids]),
        (
            "score",
            [
                {
                    "context": dict(context),
                    "stage": "score",
                    "cells": [cell.id for cell in group],
                }
                for group in bench.together(cells)
            ],
        ),
    ]
    for stage, tasks in stages:
        tasks = [_without(task, results.failures) for task in tasks]
        tasks = [task for task in tasks if task["cells"]]
        with progress.task(f"suite {bench.suite.name}: {stage}", len(tasks)) as line:

            def done(task: Task, outcome: Outcome) -> None:
                _take(task, outcome, results)
                line.advance()

            executor.run(tasks, done, stop)


def _without(task: Task, failures: Mapping[str, str]) -> Task:
    return {**task, "cells": [cell for cell in task["cells"] if cell not in failures]}


def _take(task: Task, outcome: Outcome, results: Results) -> None:
    if outcome.get("fatal"):
        if "stopped by" in outcome["fatal"]:
            raise Stopped(outcome["fatal"])
        raise StoreError(outcome["fatal"])
    if "died" in outcome:
        if task["stage"] != "features":
            results.failures |= dict.fromkeys(task["cells"], outcome["died"])
        return
    results.failures |= outcome["failures"]
    results.forwards += outcome["forwards"]
