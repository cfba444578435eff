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
