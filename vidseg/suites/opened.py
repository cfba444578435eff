"""A suite opened on its data: one experiment for each extractor, and the cells to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vidseg.errors import StoreError
from vidseg.experiment import score
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_dataset, open_experiment, open_extractor
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.store import Store
from vidseg.suites.cells import Cell, expand
from vidseg.suites.spacing import LeftOut, left_out
from vidseg.suites.suite import Suite
from vidseg.utils.progress import Progress, WithoutFacts
from vidseg.utils.stop import check_stop

Found = TypeVar("Found")


@dataclass(frozen=True)
class OpenedSuite:
    """An opened suite.

    Attributes:
        suite: the suite; arms that were ``tuned_as`` one that is left out choose themselves.
        dataset: its data set.
        experiments: by pipeline; pipelines that use the same features share one. What its
            configuration says of sampler, classifier and budget is not used: a cell's setting has
            those.
        cells: all of its cells, without those of arms that are left out.
        store: keeps frames and features.
        left_out: the arms that the labels cannot give.
    """

    suite: Suite
    dataset: OpenDataset
    experiments: dict[str, Experiment]
    cells: list[Cell]
    store: Store
    left_out: LeftOut = field(default_factory=LeftOut)

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
        """Return the cells that one pass over the test frames can score, group by group.

        A group comes after those that hold what its cells start from.
        """
        groups: dict[tuple[int, int, str, int], list[Cell]] = {}
        for cell in cells:
            place = id(self.experiments[cell.pipeline]), str(cell.arm.split), cell.fold.index
            groups.setdefault((cell.depth, *place), []).append(cell)
        return [groups[key] for key in sorted(groups, key=lambda key: key[0])]

    def key(self, cell: Cell) -> str | None:
        """Return the key of a cell, None where it cannot be done: its fit says why.

        Raises:
            StoreError: it ends the suite, not the cell.
        """
        experiment = self.experiments[cell.pipeline]
        return _if_possible(lambda: experiment.key(cell.setting, cell.fold))

    def training(self, cell: Cell) -> TrainingFrames | None:
        """Return the training frames of a cell, None where there are none: its fit says why.

        Raises:
            StoreError: it ends the suite, not the cell.
        """
        experiment = self.experiments[cell.pipeline]
        return _if_possible(lambda: experiment.training(cell.setting, cell.fold))

    def wanted(self, cells: Sequence[Cell]) -> dict[tuple[str, str], set[int]]:
        """Return the frames whose features cells need, by (pipeline, video); changed ones not.

        Of pipelines that share an experiment the first one stands for all.
        """
        found: dict[tuple[str, str], set[int]] = {}
        owners = {id(experiment): name for name, experiment in reversed(self.experiments.items())}
        for cell in cells:
            experiment = self.experiments[cell.pipeline]
            owner, train = owners[id(experiment)], self.training(cell)
            if train is None or not reads_features(cell):
                continue
            if not experiment.is_fitted(cell.setting, cell.fold):
                for ref in train.refs:
                    if ref.variant is None:
                        found.setdefault((owner, ref.video), set()).add(ref.index)
            for material in experiment.members(cell.fold.test):
                frames = experiment.test_frames(cell.fold, material)
                found.setdefault((owner, material.video.name), set()).update(frames)
        return found


def _if_possible(find: Callable[[], Found]) -> Found | None:
    """Return what ``find`` returns, None where it fails for this cell only."""
    try:
        return find()
    except StoreError:
        raise
    except Exception:  # samplers are anybody's
        return None


def reads_features(cell: Cell) -> bool:
    """Return whether a cell's classifier works on the extractor's features, not on images."""
    return score.reads_features(cell.setting.classifier)


def open_suite(
    suite: Suite,
    *,
    store: Store,
    ledger: Ledger,
    progress: Progress,
    stop: Callable[[], None] = check_stop,
) -> OpenedSuite:
    """Open a suite's data set and extractors, and expand its cells.

    Arms whose frames the labels do not have are left out, and progress says so.

    Raises:
        VidsegError: what the data set, the split or a plugin refuses, or every arm is left out.
    """
    first = next(iter(suite.pipelines.values()))
    # first: a data set may take minutes to open, and wrong weights are found in a moment
    extractors = {name: open_extractor(config) for name, config in suite.pipelines.items()}
    dataset = open_dataset(first.dataset, progress, store.fact_cache, groups=first.groups)
    shared: dict[str, Experiment] = {}
    experiments = {}
    for name, config in suite.pipelines.items():
        extractor = extractors[name]
        if extractor.key not in shared:
            shared[extractor.key] = open_experiment(
                config,
                dataset,
                store=store,
                ledger=ledger,
                progress=progress if len(suite.settings) == 1 else WithoutFacts(progress),
                stop=stop,
                extractor=extractor,
            )
        experiments[name] = shared[extractor.key]
    for experiment in shared.values():
        experiment.siblings = experiments
    cells = expand(suite, dataset.groups)
    left = left_out(cells, suite.comparisons, lambda cell: experiments[cell.pipeline])
    if left.followers:
        suite = suite.tuned_alone(left.followers)
        cells = expand(suite, dataset.groups)
    cells = [cell for cell in cells if cell.arm.name not in left.errors]
    if not cells:
        raise left.refusal
    for note in (*suite.notes, *left.notes):
        progress.say(note)
    return OpenedSuite(suite, dataset, experiments, cells, store, left)
