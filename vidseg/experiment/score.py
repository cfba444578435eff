"""Scores fitted cells of one fold, a few models at a time, each read from its file and let go."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidseg import plugins
from vidseg.experiment.evaluate import evaluate
from vidseg.experiment.stages import MODEL, CellCounts, FitResult
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.plugins.spec import Spec
from vidseg.tasks.base import Task
from vidseg.types import Model
from vidseg.utils.progress import ProgressBar

MEMORY_SHARE = 4
"""The models that are scored together take this part of the memory budget at most."""
NETWORKS = 2
"""Networks that are scored together: their features are their own, so more save next to nothing."""


@dataclass(frozen=True)
class TestSide:
    """What the cells of one fold are scored on.

    Attributes:
        videos: the test videos.
        frames: returns which frames of a video are scored, ascending.
        task: makes baselines, and says how a frame is counted.
        margin: of the task.
        device: where networks compute.
        stop: raises when the user asked to stop.
    """

    videos: Sequence[PreparedVideo]
    frames: Callable[[PreparedVideo], Sequence[int]]
    task: Task
    margin: float
    device: str
    stop: Callable[[], None]

    @property
    def count(self) -> int:
        """Number of frames."""
        return sum(len(self.frames(video)) for video in self.videos)


def reads_features(classifier: Spec) -> bool:
    """Return whether a classifier works on the extractor's features, not on images."""
    return "features" in plugins.load(plugins.find("classifier", classifier.name)).needs


def batches(cells: Mapping[str, FitResult], memory_budget: int) -> list[dict[str, FitResult]]:
    """Return the cells that are scored together.

    All heads are, so that each test frame has one forward, as far as they take a quarter of the
    memory budget; then networks, two at a time.
    """
    kinds: dict[bool, list[dict[str, FitResult]]] = {True: [], False: []}
    for name, cell in cells.items():
        heads = reads_features(cell.setting.classifier)
        done = kinds[heads]
        held = sum(one.state.nbytes for one in done[-1].values()) if done else 0
        full = held + cell.state.nbytes > memory_budget // MEMORY_SHARE
        if not done or full or (not heads and len(done[-1]) == NETWORKS):
            done.append({})
        done[-1][name] = cell
    return [*kinds[True], *kinds[False]]


def score_batches(
    groups: Sequence[Mapping[str, FitResult]],
    side: TestSide,
    *,
    load: Callable[[FitResult], Model],
    training: Callable[[FitResult], TrainingFrames],
    threshold: Callable[[FitResult], float],
    bar: ProgressBar,
) -> Iterator[tuple[str, CellCounts]]:
    """Yield the counts of each cell: of its baselines by name, then of its model.

    Cells that were trained on the same frames share their baselines, those of one model and
    threshold their counts: each is counted once.

    Args:
        groups: of :func:`batches`.
        side: the test frames.
        load: reads a fitted model.
        training: returns the training frames of a cell.
        threshold: returns the threshold of a cell's model.
        bar: advances by one for each frame of each group.
    """
    known: dict[Hashable, CellCounts] = {}
    for cells in groups:
        contents: dict[str, Hashable] = {}
        firsts = _firsts(cells, threshold)
        models: dict[tuple[Hashable, str], Model] = {}
        for name, cell in cells.items():
            train = training(cell)
            contents[name] = train.content
            if train.content not in known:
                known[train.content] = {}
                baselines = side.task.baselines(train).items()
                models |= {(train.content, kind): model for kind, model in baselines}
            if firsts[name] == name:
                models[name, MODEL] = load(cell)
        limits: dict[tuple[Hashable, str], float] = {
            (name, MODEL): threshold(cells[name]) for name in firsts.values()
        }
        counts = evaluate(
            models,
            side.videos,
            frames=side.frames,
            thresholds=limits,
            task=side.task,
            margin=side.margin,
            bar=bar,
            device=side.device,
            stop=side.stop,
        )
        del models
        for (owner, kind), rows in counts.items():
            if kind != MODEL:
                known[owner][kind] = rows
        for name, content in contents.items():
            yield name, {**known[content], MODEL: counts[firsts[name], MODEL]}


def _firsts(
    cells: Mapping[str, FitResult], threshold: Callable[[FitResult], float]
) -> dict[str, str]:
    """Return for each cell the first one whose model and threshold are the same."""
    found: dict[Hashable, str] = {}
    return {
        name: found.setdefault(
            (
                cell.state.sha256,
                str(cell.setting.fitted_classifier(cell.facts)),
                threshold(cell),
            ),
            name,
        )
        for name, cell in cells.items()
    }
