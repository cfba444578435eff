"""A part of a suite as plain data, and the function that does it wherever it is called.

A task names the suite, where things are kept, a stage and cells. Doing it means writing finished
stages into the ledger; the outcome says only which cells failed and how much was computed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidseg.classifiers.base import Quiet
from vidseg.errors import ResourceError, Stopped, StoreError, VidsegError
from vidseg.experiment import Fitted
from vidseg.ledger import Ledger
from vidseg.store import Store
from vidseg.suites.bench import Bench, open_bench
from vidseg.suites.cells import Cell
from vidseg.suites.model import load_suite


def context(
    name: str, overrides: Mapping[str, Any], store: Store, limit: int | None, ledger: Ledger
) -> dict[str, Any]:
    """Return what every task of one suite has in common."""
    return {
        "suite": name,
        "overrides": dict(overrides),
        "store": str(store.root),
        "limit": limit,
        "ledger": str(ledger.root),
    }


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Do one task: ``{"context": ..., "stage": "features" | "fit" | "score", "cells": [...]}``.

    Returns:
        ``failures`` (error by cell), ``forwards`` (extractor forwards), ``fatal`` (an error that
        ends the whole suite, such as a full disk), or None.
    """
    bench = _opened(json.dumps(task["context"], sort_keys=True))
    before = bench.forwards
    cells = [cell for cell in bench.cells if cell.id in set(task["cells"])]
    failures: dict[str, str] = {}
    fatal = None
    try:
        if task["stage"] == "features":
            compute_features(bench, cells, task["video"])
        elif task["stage"] == "fit":
            failures = fit_cells(bench, cells, "")[1]
        else:
            failures = score_cells(bench, cells, {}, "")
    except (StoreError, Stopped) as error:
        fatal = str(error)
    return {"failures": failures, "forwards": bench.forwards - before, "fatal": fatal}


@functools.lru_cache(maxsize=1)
def _opened(text: str) -> Bench:
    given = json.loads(text)
    return open_bench(
        load_suite(given["suite"], given["overrides"]),
        store=Store(Path(given["store"]), limit=given["limit"]),
        ledger=Ledger(Path(given["ledger"])),
        progress=Quiet(),
    )


def wanted_frames(bench: Bench, cells: Sequence[Cell]) -> dict[tuple[str, str], set[int]]:
    """Return the frames whose features the cells need, by (pipeline, video); no variants."""
    wanted: dict[tuple[str, str], set[int]] = {}
    first = {id(experiment): name for name, experiment in reversed(bench.experiments.items())}
    for cell in cells:
        experiment = bench.experiments[cell.pipeline]
        owner = first[id(experiment)]
        for ref in experiment.training(cell.setting, cell.fold).refs:
            if ref.variant is None:
                wanted.setdefault((owner, ref.video), set()).add(ref.index)
        for material in experiment.members(cell.fold.test):
            frames = experiment.test_frames(cell.fold, material)
            wanted.setdefault((owner, material.video.name), set()).update(frames)
    return wanted


def compute_features(bench: Bench, cells: Sequence[Cell], video: str) -> None:
    """Compute the features of one video that the cells need, into the store."""
    for (pipeline, name), frames in wanted_frames(bench, cells).items():
        if name == video:
            material = bench.experiments[pipeline].materials[name]
            material.stored.prepare(sorted(frames))
            material.stored_features.prepare(sorted(frames))


def fit_cells(
    bench: Bench, cells: Sequence[Cell], label: str
) -> tuple[dict[str, Fitted], dict[str, str]]:
    """Fit cells, or read their fits; return the fitted ones and the errors of the failed ones.

    Raises:
        Stopped, StoreError: they end the suite, not the cell.
    """
    fitted, failures = {}, {}
    for place, cell in enumerate(cells, start=1):
        experiment = bench.experiments[cell.pipeline]
        try:
            text = f"{label}{cell.id} ({place} of {len(cells)})"
            fitted[cell.id] = experiment.fit(cell.setting, cell.fold, text)
        except (Stopped, StoreError):
            raise
        except Exception as error:
            failures[cell.id] = explain(error)
    return fitted, failures


def score_cells(
    bench: Bench, cells: Sequence[Cell], fitted: Mapping[str, Fitted], label: str
) -> dict[str, str]:
    """Score cells of one fold together; return the errors of those that failed.

    Raises:
        Stopped, StoreError: they end the suite, not the cell.
    """
    absent = [cell for cell in cells if cell.id not in fitted]
    read, failures = fit_cells(bench, absent, label)
    ready = {**fitted, **read}
    together = {cell.id: ready[cell.id] for cell in cells if cell.id in ready}
    if not together:
        return failures
    experiment, fold = bench.experiments[cells[0].pipeline], cells[0].fold
    try:
        experiment.score(together, fold, label)
    except (Stopped, StoreError):
        raise
    except Exception as error:
        failures |= dict.fromkeys(together, explain(error))
    return failures


def explain(error: Exception) -> str:
    """Return one line about why a cell failed; a bug of ours is named as one."""
    if isinstance(error, VidsegError):
        return str(error)
    if isinstance(error, MemoryError):
        return str(ResourceError("out of memory", hint="choose a smaller memory budget"))
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
