"""One suite's cells, done in three ways in a process of its own; and the clock that splits them."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2  # noqa: F401 - what is imported late would be timed
import numpy as np
import scipy.sparse  # noqa: F401
import sklearn.linear_model  # noqa: F401
import torch

from benchmarks._methods import cpu_seconds
from vidseg.api.session import Places, SuiteSession
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.classifiers.linear.sgd import Sgd
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError
from vidseg.experiment.config import RunConfig
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.store import Store
from vidseg.suites.cells import setting_name
from vidseg.suites.engine import run_cells
from vidseg.suites.executors.local import Local
from vidseg.suites.opened import open_suite
from vidseg.suites.plan import make_plan, waiting_cells
from vidseg.suites.record import suite_record
from vidseg.suites.single import finished_run, single
from vidseg.suites.suite import Suite, load_suite
from vidseg.tasks.base import Counts
from vidseg.types import Size
from vidseg.utils.hashing import digest
from vidseg.utils.progress import Quiet

SECTIONS = ("forwards", "pixel_svm", "sgd", "scoring", "other")
"""Forwards of the extractor; fits of each classifier, scoring (baselines included), the rest:
opening, decoding, the ledger."""

Job = dict[str, Any]


class Clock:
    """CPU seconds, each charged to the innermost section that is open.

    Attributes:
        seconds: by section; what is outside of all is ``other``.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(SECTIONS, 0.0)
        self._open, self._since = ["other"], cpu_seconds()

    def charge(self) -> None:
        """Charge what was used since the last call to the section that is open."""
        now = cpu_seconds()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Charge to ``name``, and not to the section around it."""
        self.charge()
        self._open.append(name)
        try:
            yield
        finally:
            self.charge()
            self._open.pop()

    def watch(self, owner: type, method: str, name: str) -> None:
        """Make every call of a class's method a section, for the rest of this process."""
        whole = getattr(owner, method)

        @functools.wraps(whole)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.section(name):
                return whole(*args, **kwargs)

        setattr(owner, method, timed)


def suite_of(job: Job) -> Suite:
    """Return the suite ``paper`` on the data, extractor and size of ``job``, at one C for all."""
    return load_suite(
        "paper",
        {
            "dataset": job["dataset"],
            "pipelines.*.extractor": job["extractor"],
            "image_size": job["size"],
            "device": "cpu",
            "threads": 1,
            "pipelines.svm.tune": "none",
            "pipelines.svm.path": "none",
        },
        ["svm", "sgd"],
    )


def configurations(job: Job) -> dict[str, RunConfig]:
    """Return a run for each arm of ``job`` and each pipeline, by name of the setting."""
    suite = suite_of(job)
    return {
        setting_name(arm, name): replace(suite.pipelines[name], sampler=arm.sampler, refit=False)
        for arm, name in suite.settings
        if arm.name in job["arms"]
    }


def measure(job: Job, send: Connection) -> None:
    """Do one part of one way, from nothing, and send what it took and found.

    Args:
        job: ``dataset``, ``extractor``, ``size``, ``arms``; ``way``: ``suite``, ``stores`` or
            ``nothing``; ``part``: the setting, of a separate run.
        send: gets ``forwards``, ``seconds`` by section, and ``cells``: a digest of all counts of
            a cell by setting and fold.
    """
    torch.set_num_threads(1)
    hypercolumns([np.ones((1, 1, 1), np.float32)], Size(1, 1))  # compiled when first called
    with tempfile.TemporaryDirectory(prefix="sharing-") as folder:
        # one byte keeps no entry: what a run needs again it decodes and computes again
        store = Store(Path(folder) / "store", limit=1 if job["way"] == "nothing" else 2**50)
        ledger, clock, forwards = Ledger(Path(folder) / "ledger"), Clock(), Counter()
        watch_all(clock, forwards)
        clock.charge()
        work = whole_suite if job["way"] == "suite" else one_run
        cells = work(job, store, ledger)
        clock.charge()
    send.send({"forwards": forwards.count, "seconds": clock.seconds, "cells": cells})


class Counter:
    """Counts calls."""

    count = 0

    def counted(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``work``, whose calls are counted from now on."""

        @functools.wraps(work)
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return work(*args, **kwargs)

        return counting


def watch_all(clock: Clock, forwards: Counter) -> None:
    """Time forwards, fits and scoring of this process, and count the forwards."""
    clock.watch(FrozenExtractor, "extract", "forwards")
    setattr(FrozenExtractor, "extract", forwards.counted(FrozenExtractor.extract))  # noqa: B010
    clock.watch(PixelSvm, "fit", "pixel_svm")
    clock.watch(Sgd, "fit", "sgd")
    clock.watch(Experiment, "score", "scoring")


def whole_suite(job: Job, store: Store, ledger: Ledger) -> dict[str, str]:
    """Do all cells as ``vidseg suite`` does, plan and record included.

    Raises:
        DataError: a cell failed, or the plan announced another number of forwards.
    """
    bench = open_suite(suite_of(job), store=store, ledger=ledger, progress=Quiet())
    cells = [cell for cell in bench.cells if cell.arm.name in job["arms"]]
    plan = make_plan(bench, waiting_cells(bench, cells))
    results = run_cells(bench, cells, Local(), context={}, progress=Quiet())
    for cell, error in results.failures.items():
        raise DataError(str(error), where=cell)
    if plan["forwards_announced"] != results.forwards:
        raise DataError(f"{plan['forwards_announced']} announced, {results.forwards} done")
    suite_record(bench, cells, results, plan)
    return {
        f"{cell.name} {cell.fold.index}": content(results.finished[cell.id].scored.counts)
        for cell in cells
    }


def one_run(job: Job, store: Store, ledger: Ledger) -> dict[str, str]:
    """Do one setting on all folds as ``vidseg run --no-refit`` does."""
    config = configurations(job)[job["part"]]
    session = SuiteSession(single(config), Places(store, None, ledger, Local(), fresh=False))
    bench, cells = session.open(Quiet())
    results, _ = session.do(bench, cells, Quiet())
    finished_run(bench, results)
    return {
        f"{job['part']} {cell.fold.index}": content(results.finished[cell.id].scored.counts)
        for cell in cells
    }


def content(counts: dict[str, list[Counts]]) -> str:
    """Return a hash of all counts of a cell."""
    return digest({name: [video.to_json() for video in rows] for name, rows in counts.items()})


def cut(source: Path, target: Path, count: int, frames: int) -> Path:
    """Copy the first frames of the first MOT sequences, with their boxes, and return ``target``.

    Args:
        source: a folder of sequences.
        target: where the shorter ones are made.
        count: how many sequences.
        frames: of each; a sequence that is shorter is copied whole.
    """
    for video in Mot(str(source)).videos()[:count]:
        old, new = source / video.name, target / video.name
        (new / "img1").mkdir(parents=True)
        (new / "gt").mkdir()
        for image in sorted((old / "img1").iterdir())[:frames]:
            shutil.copy(image, new / "img1")
        rows = (old / "gt" / "gt.txt").read_text().splitlines()
        kept = [row for row in rows if row.strip() and int(row.split(",")[0]) <= frames]
        (new / "gt" / "gt.txt").write_text("\n".join(kept) + "\n")
        length = min(frames, video.probe().length)
        lines = (old / "seqinfo.ini").read_text().splitlines()
        lines = [f"seqLength={length}" if x.startswith("seqLength") else x for x in lines]
        (new / "seqinfo.ini").write_text("\n".join(lines) + "\n")
    return target
