"""A suite with the places where its things are kept, opened, planned and done."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg import plugins
from vidseg.api.progress import CellLines
from vidseg.errors import UsageError
from vidseg.experiment.distributed import check_executor
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.options import OPTIONS
from vidseg.experiment.records import Row
from vidseg.experiment.stages import CellResult
from vidseg.store import Store
from vidseg.suites.cells import Cell, select
from vidseg.suites.chances import describe_chances
from vidseg.suites.engine import Results, forget_cells, run_cells
from vidseg.suites.executors.base import Executor
from vidseg.suites.opened import OpenedSuite, open_suite
from vidseg.suites.plan import (
    describe_not_run,
    describe_plan,
    describe_rest,
    make_plan,
    waiting_cells,
)
from vidseg.suites.suite import Suite
from vidseg.suites.worker import context
from vidseg.utils.bytes import parse_bytes
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress
from vidseg.utils.suggest import did_you_mean


def check_names(conditions: Iterable[str], call: Callable[..., object]) -> None:
    """Refuse a keyword that is neither a condition of a run nor one of the call's own.

    Raises:
        UsageError: names the nearest one.
    """
    own = [name for name in inspect.signature(call).parameters if name != "conditions"]
    for name in conditions:
        if name not in OPTIONS:
            known = did_you_mean(name, [*OPTIONS, *own])
            hint = known or f"it takes {', '.join([*OPTIONS, *own])}"
            raise UsageError(f"there is no option {name!r}", hint=hint)


@dataclass(frozen=True)
class Places:
    """Where things are kept, and where the work is done.

    Attributes:
        store: of frames and features.
        limit: bytes that it may hold, None as :class:`vidseg.store.Store` has it.
        ledger: of finished stages.
        workers: does the cells.
        fresh: finished ones are done again.
    """

    store: Store
    limit: int | None
    ledger: Ledger
    workers: Executor
    fresh: bool

    @classmethod
    def find(
        cls,
        store: str | Path | None = None,
        store_limit: str | int | None = None,
        ledger: str | Path | None = None,
        executor: str | Executor = "local",
        fresh: bool = False,
    ) -> Places:
        """Return the places that a caller names.

        Raises:
            UsageError: the limit is no amount of disk; there is no such executor, or a launcher
                started processes beside it.
        """
        limit = None
        if store_limit not in (None, ""):
            limit = parse_bytes(str(store_limit), where="--store-limit")
        workers: Executor = (
            plugins.create("executor", executor, where="--executor")
            if isinstance(executor, str)
            else executor
        )
        check_executor(workers.workers)
        return cls(
            Store(user_path(store) if store else None, limit=limit),
            limit,
            Ledger(user_path(ledger) if ledger else None),
            workers,
            fresh,
        )

    def threads(self, given: object) -> dict[str, int]:
        """Divide the cores among several workers, where nobody said how many threads to use."""
        if not self.workers.workers or given is not None:
            return {}
        import psutil

        cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
        return {"threads": max(1, cores // self.workers.workers)}


@dataclass(frozen=True)
class SuiteSession:
    """A suite, where its things are kept, and which of its cells are asked for."""

    suite: Suite
    places: Places
    only: str | Sequence[str] | None = None

    def open(self, progress: Progress) -> tuple[OpenedSuite, list[Cell]]:
        """Open the data set and choose the cells.

        Raises:
            VidsegError: what the data set, the split, a plugin or ``only`` refuses.
        """
        places = self.places
        opened = open_suite(self.suite, store=places.store, ledger=places.ledger, progress=progress)
        return opened, select(opened.cells, self.only)

    def do(
        self,
        opened: OpenedSuite,
        cells: list[Cell],
        progress: Progress,
        on_finished: Callable[[Cell, CellResult], None] = lambda cell, found: None,
    ) -> tuple[Results, Row]:
        """Plan what is left of the cells and do it; return the results and the plan.

        Raises:
            Stopped: finished stages are kept.
            StoreError: the disk is full or the ledger cannot be written.
        """
        if self.places.fresh:
            forget_cells(opened, cells)
        with progress.task("planning", None):
            waiting = waiting_cells(opened, cells)
            plan = make_plan(opened, waiting)
        if waiting:
            progress.say(describe_plan(plan))
            for line in describe_chances(opened):
                progress.say(line)
        if 0 < len(waiting) < len(cells):
            progress.say(describe_rest(waiting))
        if opened.suite.not_run:
            progress.say(describe_not_run(opened.suite))
        lines = CellLines(progress, [cell.id for cell in waiting], opened.suite.file.primary)

        def finished(cell: Cell, found: CellResult) -> None:
            on_finished(cell, found)
            lines.finished(cell, found)

        results = run_cells(
            opened,
            cells,
            self.places.workers,
            context=self._context(),
            progress=progress,
            on_fitted=lines.fitted,
            on_finished=finished,
            on_failed=lines.failed,
        )
        return results, plan

    def _context(self) -> Mapping[str, Any]:
        return context(self.suite, self.places.store, self.places.limit, self.places.ledger)
