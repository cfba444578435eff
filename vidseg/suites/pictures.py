"""Pictures of test frames for a report: the worst, median and best frame of a setting.

They are drawn at the end of a suite from the models in the ledger, wherever the cells ran.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidseg.errors import DataError
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.fit import torch_threads
from vidseg.experiment.record import counts_by_kind
from vidseg.experiment.records import PictureRecord
from vidseg.experiment.splits import Fold
from vidseg.experiment.stages import MODEL
from vidseg.media.resize import resize
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.record import run_cells_of
from vidseg.suites.worker import explain, reraise_fatal
from vidseg.tasks.base import Counts, Task
from vidseg.types import Image, Size
from vidseg.utils.progress import Progress

WIDTH = 240
"""Of a picture, in pixels."""
TALLEST = 240
"""Its greatest height: upright videos are narrower."""
QUALITY = 80
RANKS = ("worst", "median", "best")


@dataclass(frozen=True)
class Choice:
    """A test frame that is shown; attributes as of a :class:`PictureRecord`."""

    rank: str
    video: str
    frame: int
    score: float


def make_pictures(
    opened: OpenedSuite, results: Results, names: Sequence[str], progress: Progress
) -> tuple[list[PictureRecord], list[str]]:
    """Return pictures of settings, and a line for each setting that lacks some.

    Args:
        opened: the opened suite.
        results: of its cells.
        names: of settings.
        progress: is told how far it is.

    Raises:
        StoreError: the store or the ledger fails.
    """
    pictures: list[PictureRecord] = []
    notes: list[str] = []
    with progress.task("pictures for the report", len(names)) as line:
        for name in names:
            try:
                pictures += _of_setting(opened, name, results)
            except Exception as error:  # a picture is no reason to lose a suite
                reraise_fatal(error)
                notes.append(f"there are no pictures of {name}: {explain(error)}")
            line.advance()
    return pictures, notes


def _of_setting(opened: OpenedSuite, name: str, results: Results) -> list[PictureRecord]:
    """Return the pictures of a setting, of the first seed whose cells are all there.

    Raises:
        DataError: a model is not in the ledger, because it was fitted on another machine.
    """
    cells = [cell for cell in opened.cells if cell.name == name]
    by_seed = counts_by_kind(run_cells_of(opened, cells, results)).get(MODEL, {})
    if not by_seed:
        return []
    seed, videos = next(iter(by_seed.items()))
    experiment = opened.experiments[cells[0].pipeline]
    own: dict[int, list[Choice]] = {}
    for choice in choose(videos, opened.suite.file.primary, experiment.task):
        place = next(
            i
            for i, c in enumerate(cells)
            if c.seed == seed and tests_frame(experiment, c.fold, choice.video, choice.frame)
        )
        own.setdefault(place, []).append(choice)
    found = [one for i, few in own.items() for one in _of_cell(experiment, cells[i], few)]
    return sorted(found, key=lambda one: RANKS.index(one.rank))


def _of_cell(experiment: Experiment, cell: Cell, few: Sequence[Choice]) -> list[PictureRecord]:
    if not experiment.is_fitted(cell.setting, cell.fold):
        raise DataError("a model was fitted on another machine, and is not in the ledger")
    fit = experiment.fit(cell.setting, cell.fold, cell.id)
    model, threshold = experiment.model(fit), experiment.threshold(fit)
    found = []
    for one in few:
        material = experiment.materials[one.video]
        with torch_threads(experiment.config.threads):
            maps = frame_scores({MODEL: model}, material, one.frame, experiment.config.device)
        image = resize(next(iter(material.video.frames([one.frame]))), _small(material.info.size))
        target = material.mask(one.frame)
        drawn = experiment.task.thumbnail(image, target, maps[MODEL], threshold)
        height, width = drawn.shape[:2]
        found.append(
            PictureRecord(cell.name, **vars(one), width=width, height=height, jpeg=_jpeg(drawn))
        )
    return found


def _small(size: Size) -> Size:
    """Return the size of the picture of a frame, its shape kept."""
    factor = min(WIDTH / size.width, TALLEST / size.height)
    return Size(max(round(size.height * factor), 1), max(round(size.width * factor), 1))


def _jpeg(image: Image) -> str:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def choose(videos: Sequence[Counts], primary: str, task: Task) -> list[Choice]:
    """Return the worst, median and best frame of all videos by a score; undefined ones are out.

    Of frames with one score the better is that with the higher score of finding nothing (the
    accuracy of a mask), so that the worst of all that found nothing is the one that missed most.

    Args:
        videos: counts of the test videos.
        primary: score of a frame; where frames have no such score, the task's primary one.
        task: what was predicted.
    """
    rows = []
    for place, video in enumerate(videos):
        scores = _scores(video, primary, task.primary)
        ties = _scores(video, task.words.nothing[0], task.primary)
        for frame, score, tie in zip(video.frames, scores, ties, strict=True):
            if not np.isnan(score):
                rows.append((float(score), float(tie), place, int(frame)))
    rows.sort()
    if not rows:
        return []
    chosen = zip(RANKS, (rows[0], rows[len(rows) // 2], rows[-1]), strict=True)
    return [
        Choice(rank, videos[place].video, frame, score) for rank, (score, _, place, frame) in chosen
    ]


def _scores(video: Counts, primary: str, otherwise: str) -> Sequence[float]:
    try:
        return list(video.frame_scores(primary))
    except KeyError:
        return list(video.frame_scores(otherwise))


def tests_frame(experiment: Experiment, fold: Fold, video: str, index: int) -> bool:
    """Return whether a frame is on the test side of a fold."""
    held_out = fold.part is None or experiment.holds_out(fold.part, video, index)
    return experiment.materials[video].group in fold.test and held_out
