"""What a suite will do, before it does it: cells, forwards, disk, memory, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from vidseg import plugins
from vidseg.records import Row
from vidseg.suites.bench import Bench
from vidseg.suites.cells import Cell
from vidseg.suites.worker import wanted_frames

TRIALS = 3
HEADER = 4096
"""Bytes of a store entry beside its payload."""


def make_plan(bench: Bench, cells: Sequence[Cell]) -> Row:
    """Return what the cells that are not in the ledger yet will take.

    Returns:
        ``cells_waiting``; ``forwards_announced`` (extractor forwards, one for each distinct frame
        that the store lacks, and one for each time a changed frame is seen); ``store_bytes`` that
        will be added; ``training_bytes``: the features of the largest training set.
    """
    waiting = [cell for cell in cells if not _done(bench, cell)]
    plain, added = 0, 0
    for (pipeline, video), frames in wanted_frames(bench, waiting).items():
        material = bench.experiments[pipeline].materials[video]
        absent = [i for i in frames if not material.stored_features.path(i).exists()]
        undecoded = sum(not material.stored.path(i).exists() for i in frames)
        plain += len(absent)
        added += len(absent) * (material.stored_features.nbytes + HEADER)
        added += undecoded * (3 * material.image_size.height * material.image_size.width + HEADER)
    changed = [_changed_reads(bench, cell) for cell in waiting]
    return {
        "cells_waiting": len(waiting),
        "forwards_announced": plain + sum(reads for reads, _ in changed),
        "forwards_exact": all(exact for _, exact in changed),
        "store_bytes": added,
        "training_bytes": max((_training_bytes(bench, cell) for cell in waiting), default=0),
    }


def calibrate(bench: Bench, cells: Sequence[Cell], plan: Row) -> Row:
    """Return estimated seconds, from a few timed forwards on the first video.

    Returns:
        ``seconds_forwards``: all announced forwards; ``seconds_scoring``: reading and counting
        every test frame of every cell that waits. The fits themselves are not in it.
    """
    waiting = [cell for cell in cells if not _done(bench, cell)]
    if not waiting:
        return {"seconds_forwards": 0.0, "seconds_scoring": 0.0}
    experiment = bench.experiments[waiting[0].pipeline]
    material = next(iter(experiment.materials.values()))
    image = material.image(0)
    material.extractor.extract(image)
    forward = _median_seconds(lambda: material.extractor.extract(image))
    count = _median_seconds(lambda: material.mask(0)) + 0.01
    frames = sum(
        len(bench.experiments[cell.pipeline].test_frames(cell.fold, video))
        for cell in waiting
        for video in bench.experiments[cell.pipeline].members(cell.fold.test)
    )
    return {
        "seconds_forwards": forward * float(plan["forwards_announced"]),
        "seconds_scoring": count * frames,
    }


def _done(bench: Bench, cell: Cell) -> bool:
    experiment = bench.experiments[cell.pipeline]
    return experiment.finished(cell.setting, cell.fold) is not None


def _changed_reads(bench: Bench, cell: Cell) -> tuple[int, bool]:
    """Return how many changed frames a fit computes, and whether that is known exactly."""
    experiment = bench.experiments[cell.pipeline]
    train = experiment.training(cell.setting, cell.fold)
    changed = sum(ref.variant is not None for ref in train.refs)
    if not changed:
        return 0, True
    classifier = plugins.create("classifier", cell.setting.classifier)
    reads = getattr(classifier, "reads", None)
    if reads is None:
        return changed, False
    return changed * int(reads(len(train.refs) / train.videos, cell.setting.budget)), True


def _training_bytes(bench: Bench, cell: Cell) -> int:
    experiment = bench.experiments[cell.pipeline]
    refs = experiment.training(cell.setting, cell.fold).refs
    return sum(experiment.materials[ref.video].stored_features.nbytes for ref in refs)


def _median_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TRIALS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
