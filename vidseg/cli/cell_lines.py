"""What a suite shows of each cell that it fits, and finishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vidseg.cli.screen import Screen
from vidseg.experiment.records import Row
from vidseg.experiment.stages import MODEL, CellResult
from vidseg.suites.cells import Cell
from vidseg.tasks.registry import find_task


@dataclass
class CellLines:
    """One line for each fit and each score that is done now, where the terminal shows no bar.

    Attributes:
        screen: where to show them.
        waiting: ids of the cells that are to be done.
        primary: the score that is shown.
        count: cells shown so far, finished or failed.
        fits: fits shown so far.
    """

    screen: Screen
    waiting: Sequence[str]
    primary: str
    count: int = 0
    fits: int = 0

    def fitted(self, cell: str) -> None:
        """Show that a cell is fitted; its score follows when those of its fold are known."""
        self.fits += 1
        self.screen.step(f"fit {self.fits} of {len(self.waiting)}, {cell}")

    def finished(self, cell: Cell, found: CellResult) -> None:
        """Show the score of a cell; those that were in the ledger are passed over."""
        if cell.id in self.waiting:
            score = find_task().summary(found.scored.counts[MODEL]).get(self.primary)
            said = "undefined" if score is None else f"{100 * score:.1f} %"
            self._step(cell.id, f"{self.primary} {said}")

    def failed(self, cell: str, error: Exception) -> None:
        """Show why a cell failed."""
        self._step(cell, f"failed: {error}")

    def _step(self, cell: str, said: str) -> None:
        self.count += 1
        self.screen.step(f"cell {self.count} of {len(self.waiting)}, {cell}: {said}")


def shared_error(settings: Sequence[Sequence[Row]]) -> bool:
    """Return whether one error ended cells of several settings: then it may be the data's.

    Args:
        settings: the failures of each setting.
    """
    counts = Counter(error for rows in settings for error in {row["error"] for row in rows})
    return max(counts.values(), default=0) > 1
