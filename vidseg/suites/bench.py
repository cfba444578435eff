"""A suite opened on its data: one experiment for each extractor, and the cells to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidseg.classifiers.base import Progress
from vidseg.experiment import Experiment
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.ledger import Ledger
from vidseg.opening import OpenDataset, open_dataset, open_experiment, open_extractor
from vidseg.store import Store
from vidseg.suites.cells import Cell, expand
from vidseg.suites.model import Suite


@dataclass(frozen=True)
class Bench:
    """An opened suite.

    Attributes:
        suite: the suite.
        dataset: its data set.
        experiments: by pipeline; pipelines that use the same features share one.
        cells: all of its cells.
        store: keeps frames and features.
    """

    suite: Suite
    dataset: OpenDataset
    experiments: dict[str, Experiment]
    cells: list[Cell]
    store: Store

    @property
    def forwards(self) -> int:
        """Extractor forwards that were done here so far."""
        return sum(extractor.forwards for extractor in self._extractors())

    def _extractors(self) -> Sequence[FrozenExtractor]:
        found = {
            id(material.extractor): material.extractor
            for experiment in self.experiments.values()
            for material in experiment.materials.values()
        }
        return list(found.values())

    def together(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """Return the cells that one pass over the test frames can score, group by group."""
        groups: dict[tuple[int, str, int], list[Cell]] = {}
        for cell in cells:
            experiment = id(self.experiments[cell.pipeline])
            groups.setdefault((experiment, str(cell.arm.split), cell.fold.index), []).append(cell)
        return list(groups.values())


def open_bench(
    suite: Suite,
    *,
    store: Store,
    ledger: Ledger,
    progress: Progress,
    stop: Callable[[], None] = lambda: None,
    fresh: bool = False,
) -> Bench:
    """Open a suite's data set and extractors, and expand its cells.

    Raises:
        VidsegError: what the data set, the split or a plugin refuses.
    """
    first = next(iter(suite.pipelines.values()))
    dataset = open_dataset(first.dataset, progress)
    shared: dict[str, Experiment] = {}
    experiments = {}
    for name, config in suite.pipelines.items():
        extractor = open_extractor(config)
        if extractor.key not in shared:
            shared[extractor.key] = open_experiment(
                config,
                dataset,
                store=store,
                ledger=ledger,
                progress=progress,
                stop=stop,
                fresh=fresh,
                extractor=extractor,
            )
        experiments[name] = shared[extractor.key]
    return Bench(suite, dataset, experiments, expand(suite, dataset.groups), store)
