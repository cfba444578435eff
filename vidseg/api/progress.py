"""Where the progress of a call is shown, and what is said of each cell that it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidseg.experiment.stages import MODEL, CellResult
from vidseg.suites.cells import Cell
from vidseg.tasks.registry import find_task
from vidseg.utils.progress import Progress, Quiet


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
    """

    progress: Progress
    waiting: Sequence[str]
    primary: str
    count: int = 0
    fits: int = 0

    def fitted(self, cell: str) -> None:
        """Say that a cell is fitted; its score follows when those of its fold are known."""
        self.fits += 1
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
        self._say(f"cell {self.count} of {len(self.waiting)}, {cell}: {said}")

    def _say(self, text: str) -> None:
        getattr(self.progress, "step", self.progress.say)(text)
