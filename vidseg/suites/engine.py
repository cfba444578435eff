"""Runs a suite: what is in the ledger is read, the rest is done, failed cells are set aside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidseg.errors import StoreError, VidsegError
from vidseg.experiment.stages import CellResult, FitResult
from vidseg.suites.cells import Cell
from vidseg.suites.executors.base import Executor, Job, JobResult, JobStage
from vidseg.suites.opened import OpenedSuite, reads_features
from vidseg.suites.worker import fit_cells, score_cells, work
from vidseg.utils.progress import Progress, ProgressBar
from vidseg.utils.stop import check_stop

Tell = Callable[[Cell, CellResult], None]
TellFailure = Callable[[str, VidsegError], None]

TOGETHER = 8
"""Cells that a worker scores at a time: each time it reads the fold's test features once more."""
STEPS: dict[JobStage, str] = {"features": "features", "fit": "fits", "score": "scores"}
"""What a line of progress calls the jobs of a stage."""


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
    opened: OpenedSuite,
    cells: Sequence[Cell],
    executor: Executor,
    *,
    context: Mapping[str, Any],
    progress: Progress,
    stop: Callable[[], None] = check_stop,
    on_fitted: Callable[[str], None] = lambda cell: None,
    on_finished: Tell = lambda cell, found: None,
    on_failed: TellFailure = lambda cell, error: None,
) -> Results:
    """Do every cell that is not in the ledger yet, and return all of them.

    Args:
        opened: the opened suite.
        cells: which of its cells.
        executor: where they run.
        context: of :func:`vidseg.suites.worker.context`, for workers in other processes.
        progress: where to tell how far it is; it moves with every fit and every score.
        stop: raises when the user asked to stop.
        on_fitted: called with the id of every cell that is fitted.
        on_finished: called with every finished cell, those in the ledger first.
        on_failed: called with id and error of every cell that fails.

    Raises:
        Stopped: finished stages are kept.
        StoreError: the disk is full, or the ledger cannot be read or written.
    """
    began = time.perf_counter()
    results = Results(on_failed=on_failed)
    read_cells(opened, cells, results, on_finished)
    results.reused = len(results.finished)
    if results.reused:
        progress.say(f"{results.reused} of {len(cells)} cells are in the ledger")
    course = _Course(opened, results, progress, stop, on_fitted, on_finished)
    if executor.workers and results.left(cells):
        course.elsewhere(results.left(cells), executor, context)
    if results.left(cells):
        course.here(results.left(cells))
    results.forwards += opened.forwards
    results.seconds = time.perf_counter() - began
    return results


def forget_cells(opened: OpenedSuite, cells: Sequence[Cell]) -> None:
    """Remove cells from the ledger, so that they are done again.

    Raises:
        StoreError: the ledger cannot be written.
    """
    for cell in cells:
        try:
            opened.experiments[cell.pipeline].forget(cell.setting, cell.fold)
        except StoreError:
            raise
        except VidsegError:
            continue  # it cannot be in the ledger; its fit says why


def read_cells(
    opened: OpenedSuite,
    cells: Sequence[Cell],
    results: Results,
    on_finished: Tell = lambda cell, found: None,
) -> None:
    """Take what the ledger holds into ``results``.

    Raises:
        StoreError: the ledger cannot be read.
    """
    for cell in results.left(cells):
        try:
            found = opened.experiments[cell.pipeline].finished(cell.setting, cell.fold)
        except StoreError:
            raise
        except VidsegError as error:
            results.fail({cell.id: error})
            continue
        if found is not None:
            results.finished[cell.id] = found
            on_finished(cell, found)


@dataclass(frozen=True)
class _Course:
    """Does the cells that are left of a suite; attributes as for :func:`run_cells`."""

    opened: OpenedSuite
    results: Results
    progress: Progress
    stop: Callable[[], None]
    on_fitted: Callable[[str], None]
    on_finished: Tell

    def here(self, cells: Sequence[Cell]) -> None:
        """Fit and score in this process, fold by fold; each cell is two steps of progress."""
        with self._line("fits and scores", 2 * len(cells)) as line:

            def fitted(cell: str, error: VidsegError | None) -> None:
                self._fitted({cell: error} if error else {}, [cell])
                line.advance(2 if error else 1)

            for together in self.opened.together(cells):
                self.stop()
                group = self._startable(together)
                line.advance(2 * (len(together) - len(group)))
                models, _ = fit_cells(self.opened, group, "", fitted)
                ready = [cell for cell in group if cell.id in models]
                self._score(ready, models, line)
                self._collect(ready)

    def _score(
        self, ready: Sequence[Cell], models: Mapping[str, FitResult], line: ProgressBar
    ) -> None:
        """Score fitted cells of one fold; the line moves with each frame, by a step a cell."""
        if not ready:
            return
        told = 0.0

        def moved(share: float) -> None:
            nonlocal told
            step = min(share * len(ready), len(ready) - told)
            told += step
            line.advance(step)

        label = f"fold {ready[0].fold.index + 1}, {len(ready)} models"
        self.results.fail(score_cells(self.opened, ready, models, label, moved))
        line.advance(len(ready) - told)

    def elsewhere(
        self, cells: Sequence[Cell], executor: Executor, context: Mapping[str, Any]
    ) -> None:
        """Let workers fill the store and the ledger: features, then fits, then scores.

        Cells whose common scoring killed its worker are scored once more one by one, so that only
        the guilty one fails.
        """
        left = self.results.left
        dead: list[str] = []

        def run(jobs: Sequence[Job]) -> None:
            dead.extend(self._run(jobs, executor, cells))

        try:
            run(feature_jobs(self.opened, left(cells), context))
            for place in sorted({_wave(cell) for cell in cells}):
                wave = self._startable([cell for cell in cells if _wave(cell) == place])
                run([Job(context, "fit", (cell.id,)) for cell in wave])
            run(score_jobs(self.opened, left(cells), context))
            run([Job(context, "score", (name,)) for name in tuple(dead)])
        finally:
            getattr(executor, "close", lambda: None)()

    def _startable(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells that are left, without those before which a fit failed."""
        for cell in self.results.left(cells):
            error, before = self.results.failures.get(cell.parent or ""), cell.setting.before
            if error is None or before is None:
                continue
            if not self.opened.experiments[before.pipeline].is_fitted(before.setting, cell.fold):
                how = "starts from" if cell.setting.init else "takes the choice of"
                what = f"{how} {cell.parent}, which failed: {error.what}"
                self.results.fail({cell.id: VidsegError(what, where=error.where, hint=error.hint)})
        return self.results.left(cells)

    def _run(self, jobs: Sequence[Job], executor: Executor, cells: Sequence[Cell]) -> list[str]:
        """Run the jobs of one stage; return the cells that may have died of each other."""
        if not jobs:
            return []
        by_id = {cell.id: cell for cell in cells}
        stage, dead = jobs[0].stage, list[str]()

        def done(job: Job, result: JobResult) -> None:
            if result.died is not None and len(job.cells) > 1:
                dead.extend(job.cells)
                return
            self._take(job, result)
            if stage == "score":
                read_cells(
                    self.opened, [by_id[name] for name in job.cells], self.results, self.on_finished
                )
            line.advance(len(job.cells) or 1)

        with self._line(STEPS[stage], sum(len(job.cells) or 1 for job in jobs)) as line:
            executor.run(jobs, work, done, self.stop)
        return dead

    def _take(self, job: Job, result: JobResult) -> None:
        """Take how a job ended.

        Raises:
            StoreError: the disk is full, or the ledger cannot be read or written.
        """
        died = dict.fromkeys(job.cells, VidsegError(result.died)) if result.died else {}
        self.results.forwards += result.forwards
        self._fitted({**died, **result.failures}, job.cells if job.stage == "fit" else ())
        if result.fatal is not None:
            raise result.fatal

    def _fitted(self, failures: Mapping[str, VidsegError], cells: Sequence[str]) -> None:
        self.results.fail(failures)
        for cell in cells:
            if cell not in failures:
                self.on_fitted(cell)

    def _collect(self, cells: Sequence[Cell]) -> None:
        """Take the cells that were written a moment ago."""
        read_cells(self.opened, cells, self.results, self.on_finished)
        for cell in self.results.left(cells):
            lost = StoreError("its results could not be read back from the ledger")
            self.results.fail({cell.id: lost})

    def _line(self, what: str, steps: int) -> contextlib.AbstractContextManager[ProgressBar]:
        return self.progress.task(f"{self.opened.suite.name}: {what}", steps)


def _wave(cell: Cell) -> tuple[int, bool]:
    """Return when a cell is fitted: after what it starts from, and what it may be the twin of."""
    return cell.depth, cell.setting.twin is not None


def feature_jobs(
    opened: OpenedSuite, cells: Sequence[Cell], context: Mapping[str, Any]
) -> list[Job]:
    """Return a job for each video whose features are wanted."""
    wanted = opened.wanted(cells)
    return [
        Job(
            context,
            "features",
            video=video,
            frames={pipe: sorted(at) for (pipe, name), at in wanted.items() if name == video},
        )
        for video in dict.fromkeys(video for _, video in wanted)
    ]


def score_jobs(opened: OpenedSuite, cells: Sequence[Cell], context: Mapping[str, Any]) -> list[Job]:
    """Return jobs that score cells, a few of one fold in each.

    Where the store does not hold the test features, all cells of a fold share one forward.
    """
    jobs = []
    for group in opened.together(cells):
        size = TOGETHER if _features_kept(opened, group) else len(group)
        for start in range(0, len(group), size):
            names = tuple(cell.id for cell in group[start : start + size])
            jobs.append(Job(context, "score", names))
    return jobs


def _features_kept(opened: OpenedSuite, cells: Sequence[Cell]) -> bool:
    """Return whether the store holds all features that scoring cells of one fold reads."""
    experiment, fold = opened.experiments[cells[0].pipeline], cells[0].fold
    return not any(reads_features(cell) for cell in cells) or all(
        material.stored_features.path(index).exists()
        for material in experiment.members(fold.test)
        for index in experiment.test_frames(fold, material)
    )
