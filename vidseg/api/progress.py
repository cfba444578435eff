"""Where the progress of a call is shown, and what is said of each cell that it does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vidseg.experiment.stages import MODEL, CellResult
from vidseg.suites.cells import Cell
from vidseg.tasks.registry import find_task
from vidseg.utils.progress import Progress, Quiet
from vidseg.utils.text import rounded_seconds


@contextlib.contextmanager
def showing(progress: bool | Progress) -> Iterator[Progress]:
    """Yield where progress goes for the length of a ``with`` block.

    Args:
        progress: True shows bars on a terminal or in a notebook, lines elsewhere; False shows
            nothing; an object of one's own is used as it is.
    """
    if not isinstance(progress, bool):
        yield progress
    elif progress:
        from vidseg.api.screen import Screen

        with Screen().showing() as screen:
            yield screen
    else:
        yield Quiet()


@dataclass
class CellLines:
    """One line for each fit and each score that is done now, where no bar shows it.

    Attributes:
        progress: where to say it: by ``step``, where it has that method.
        waiting: ids of the cells that are to be done.
        primary: the score that is named.
        count: cells said so far, finished or failed.
        fits: fits said so far.
        clock: returns seconds.
    """

    progress: Progress
    waiting: Sequence[str]
    primary: str
    count: int = 0
    fits: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._last = self.clock()
        self._spent = {"fit": 0.0, "score": 0.0}

    def fitted(self, cell: str) -> None:
        """Say that a cell is fitted; its score follows when those of its fold are known."""
        self.fits += 1
        self._spend("fit")
        self._say(f"fit {self.fits} of {len(self.waiting)}, {cell}")

    def finished(self, cell: Cell, found: CellResult) -> None:
        """Say the score of a cell; those that were in the ledger are passed over."""
        if cell.id in self.waiting:
            score = find_task().summary(found.scored.counts[MODEL]).get(self.primary)
            said = "undefined" if score is None else f"{100 * score:.1f} %"
            self._step(cell.id, f"{self.primary} {said}")

    def failed(self, cell: str, error: Exception) -> None:
        """Say why a cell failed."""
        self._step(cell, f"failed: {error}")

    def _step(self, cell: str, said: str) -> None:
        self.count += 1
        self._spend("score")
        left = self._left()
        more = f"; about {rounded_seconds(left)} left" if left is not None else ""
        self._say(f"cell {self.count} of {len(self.waiting)}, {cell}: {said}{more}")

    def _spend(self, kind: str) -> None:
        """Count the time since the last line as that of a fit, or of a score."""
        now = self.clock()
        self._spent[kind] += now - self._last
        self._last = now

    def _left(self) -> float | None:
        """Return the seconds that the cells which are left will take, None where none is."""
        fits = max(len(self.waiting) - max(self.fits, self.count), 0)
        scores = len(self.waiting) - self.count
        if not scores:
            return None
        each = self._spent["fit"] / max(self.fits, 1), self._spent["score"] / self.count
        return fits * each[0] + scores * each[1]

    def _say(self, text: str) -> None:
        getattr(self.progress, "step", self.progress.say)(text)
