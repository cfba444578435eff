"""Where long work reports how far it is; nothing here draws on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class ProgressBar(Protocol):
    """One line of progress."""

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        ...


class Progress(Protocol):
    """Where long work tells how far it is. Knows nothing of terminals."""

    def task(
        self, description: str, total: float | None
    ) -> contextlib.AbstractContextManager[ProgressBar]:
        """Open a line of progress for the length of a ``with`` block."""
        ...

    def say(self, text: str) -> None:
        """Tell the user one fact, such as which data path was chosen and why."""
        ...


@dataclass(frozen=True)
class Shared:
    """A line of progress that moves another one as well, by its share of the whole.

    Attributes:
        bar: the line.
        total: its steps.
        moved: called with what share of ``total`` a step was.
    """

    bar: ProgressBar
    total: float
    moved: Callable[[float], None]

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        self.bar.advance(steps)
        self.moved(steps / self.total)


class Quiet:
    """Progress that nobody watches."""

    @contextlib.contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Quiet]:
        """Do nothing."""
        yield self

    def advance(self, steps: float = 1) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


class Parts:
    """Progress of work whose parts are not known in advance, shown on one bar of length 1.

    Each task moves the bar by a share of what is left.

    Args:
        bar: of length 1.
        share: of what is left, for the next task.
    """

    def __init__(self, bar: ProgressBar, share: float = 0.5) -> None:
        self._bar, self._share = bar, share
        self._left = 1.0

    @contextlib.contextmanager
    def task(self, description: str, total: float | None) -> Iterator[ProgressBar]:
        """Open a part; its steps move the bar."""
        part = self._left * self._share
        self._left -= part
        yield _Part(self._bar, part / max(1.0, total or 1.0))

    def done(self) -> None:
        """Move by what no task took."""
        self._bar.advance(self._left)
        self._left = 0.0

    def say(self, text: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class _Part:
    bar: ProgressBar
    step: float

    def advance(self, steps: float = 1) -> None:
        self.bar.advance(steps * self.step)


@dataclass(frozen=True)
class WithoutFacts:
    """Progress without the facts that each of many fits tells; their records have them."""

    progress: Progress

    def task(
        self, description: str, total: float | None
    ) -> contextlib.AbstractContextManager[ProgressBar]:
        """Open a line of progress."""
        return self.progress.task(description, total)

    def say(self, text: str) -> None:
        """Do nothing."""
