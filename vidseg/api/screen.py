"""Progress on a terminal, in a notebook, or in a log file."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
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

from vidseg.utils.progress import Quiet
from vidseg.utils.text import rounded_seconds

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
        self._done, self._began = 0.0, time.monotonic()
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
        if self._total and self._done:
            left = (time.monotonic() - self._began) * (self._total / self._done - 1)
            far += f", about {rounded_seconds(left)} left"
        self._console.print(f"{self._description}{far}", highlight=False, markup=False)
        self._again()


class Screen:
    """Progress for a terminal, a notebook or a log file, on standard error.

    A :class:`vidseg.utils.progress.Progress` with a method more, ``step``.

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
        if self._quiet or not self._draws():
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

    def _draws(self) -> bool:
        """Return whether bars can move: on a terminal, or in a notebook that has widgets."""
        if self._console.is_jupyter:
            return importlib.util.find_spec("ipywidgets") is not None
        return sys.stderr.isatty()

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
