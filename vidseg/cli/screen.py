"""What the terminal shows: progress on stderr, tables on stdout."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vidseg.experiment.records import Row
from vidseg.utils.progress import Quiet

LINE_SECONDS = 30.0


class _Line:
    """One line of a live display."""

    def __init__(self, live: Progress, task: TaskID) -> None:
        self._live, self._task = live, task

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        self._live.advance(self._task, steps)


class _Log:
    """One task where stderr is no terminal: a line every half minute for as long as it lasts."""

    def __init__(self, console: Console, description: str, total: float | None) -> None:
        self._console, self._description, self._total = console, description, total
        self._done = 0.0
        self._again()

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        self._done += steps

    def close(self) -> None:
        """Say no more."""
        self._timer.cancel()

    def _again(self) -> None:
        self._timer = threading.Timer(LINE_SECONDS, self._tell)
        self._timer.daemon = True
        self._timer.start()

    def _tell(self) -> None:
        far = f": {self._done:.0f} of {self._total:.0f}" if self._total else " goes on"
        self._console.print(f"{self._description}{far}", highlight=False, markup=False)
        self._again()


class Screen:
    """Progress for a terminal, or for a log file; a :class:`vidseg.utils.progress.Progress`.

    Args:
        quiet: show nothing but what :meth:`table` and the commands print.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._live: Progress | None = None
        self._depth = 0

    @contextlib.contextmanager
    def showing(self) -> Iterator[Screen]:
        """Keep the live display for the length of a ``with`` block."""
        if self._quiet or not sys.stderr.isatty():
            yield self
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    @contextlib.contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Any]:
        """Open a line of progress."""
        if self._quiet:
            yield Quiet()
            return
        if self._live is None:
            with self._logged(description, total) as log:
                yield log
            return
        task = self._live.add_task(escape(description), total=total)
        try:
            yield _Line(self._live, task)
        finally:
            self._live.remove_task(task)

    @contextlib.contextmanager
    def _logged(self, description: str, total: float | None) -> Iterator[_Log]:
        """Announce a task, unless it is a part of another one: it speaks only if it takes long."""
        if not self._depth:
            self.say(description)
        log = _Log(self._console, description, total)
        self._depth += 1
        try:
            yield log
        finally:
            self._depth -= 1
            log.close()

    def step(self, text: str) -> None:
        """Tell that a step is done; a live display shows that by itself."""
        if self._live is None:
            self.say(text)

    def say(self, text: str) -> None:
        """Tell one fact above the progress."""
        if text:
            self._console.print(text, highlight=False, markup=False)


def show_table(title: str, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Print rows as a table on stdout: percentages with one digit, undefined values as a dash."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    names = list(columns or (rows[0] if rows else []))
    for name in names:
        text = all(isinstance(row.get(name), str) for row in rows)
        table.add_column(name, justify="left" if text else "right", overflow="fold")
    for row in rows:
        if row.get("section"):
            table.add_section()
        table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def _cell(value: Any) -> Text:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Text("-")
    return Text(f"{100 * value:.1f}" if isinstance(value, float) else str(value))
