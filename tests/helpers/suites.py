"""A small suite and its bench for tests, and plugins of tests: a quick classifier, odd samplers."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from vidseg import plugins
from vidseg.api.runs import PreparedRun, do_run
from vidseg.api.session import Places, SuiteSession
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.errors import DataError, StoreError
from vidseg.experiment.config import RunConfig
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.records import RunRecord
from vidseg.plugins import registry
from vidseg.store import Store
from vidseg.suites import worker
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results, run_cells
from vidseg.suites.executors.base import Job, JobResult, Work
from vidseg.suites.executors.local import Local
from vidseg.suites.opened import OpenedSuite, open_suite
from vidseg.suites.plan import make_plan, waiting_cells
from vidseg.suites.single import single
from vidseg.suites.suite import make_suite
from vidseg.suites.worker import context
from vidseg.types import TrainingSet
from vidseg.utils.progress import Quiet

COUNTS: Counter[str] = Counter()
"""How often this process did what: fits of the quick classifier."""


class Quick:
    """A linear head along the difference of the class means of the first level.

    Args:
        trouble: what goes wrong: with ``fail`` the fit raises, ``full`` finds no disk, ``nan``
            gives a model without finite scores, ``die`` kills its process.
        videos: only a fit that trains on a video of this name is in trouble; empty: all.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(
        self, trouble: str = "", videos: str = "", reading: Annotated[int, Field(ge=1)] = 1
    ) -> None:
        self.trouble, self.videos, self.reading = trouble, videos, reading

    def levels(self, handle: Any) -> Sequence[int]:
        return [0]

    def reads(self, images_per_video: float, budget: Any) -> int:
        return self.reading

    def fit(self, train: TrainingSet, handle: Any, ctx: FitContext) -> LinearHead:
        COUNTS["fits"] += 1
        trouble = self.trouble if not self.videos or self._concerned(train) else ""
        if trouble == "fail":
            raise ValueError("this fit fails\non purpose")
        if trouble == "full":
            raise OSError(28, "No space left on device", "checkpoint")
        if trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        sums = np.zeros((2, handle.channels[0]))
        for epoch in range(self.reading):
            for ref in train.with_epoch(epoch).refs:
                level = np.asarray(train.with_epoch(epoch).features(ref)[0], np.float64)
                mask = train.mask(ref)
                rows = np.linspace(0, mask.shape[0] - 1, level.shape[1]).astype(int)
                columns = np.linspace(0, mask.shape[1] - 1, level.shape[2]).astype(int)
                small = mask[np.ix_(rows, columns)]
                sums += [level[:, small == sign].sum(1) for sign in (-1, 1)]
        weights = (sums[1] - sums[0] / 4).astype(np.float32)
        weights /= max(np.abs(weights).max(), 1e-6)
        if trouble == "nan":
            weights[:] = np.nan
        ctx.log("loss", 0.5, 0)
        return LinearHead((weights,), -0.01, (0,), handle.fingerprint, {})

    def _concerned(self, train: TrainingSet) -> bool:
        return any(ref.video == self.videos for ref in train.refs)

    def load(self, state: Mapping[str, Any], handle: Any) -> LinearHead:
        return LinearHead.load(state, handle.fingerprint)


class Refusing:
    """A sampler that raises what no sampler should."""

    contract: ClassVar[int] = 1

    def sample(self, videos: Any, ctx: Any) -> list[Any]:
        raise RuntimeError("this sampler fails")


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the plugins known, as those of a package called tests."""
    own = (
        plugins.Plugin("classifier", "quick", "tests.helpers.suites:Quick", "tests", "1"),
        plugins.Plugin("classifier", "tinynet", "tests.helpers.networks:TinyNet", "tests", "1"),
        plugins.Plugin("sampler", "refusing", "tests.helpers.suites:Refusing", "tests", "1"),
    )
    known = registry.all_plugins()
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, *own))
    COUNTS.clear()


def mapping(**changes: Any) -> dict[str, Any]:
    """Return a suite of two arms and one pipeline on three generated videos of eight frames."""
    return {
        "name": "tiny",
        "question": "does it work?",
        "dataset": "synthetic:videos=3,frames=8,size=64x48",
        "image_size": "32x24",
        "device": "cpu",
        "threads": 1,
        "arms": {"one": {"sampler": 1}, "four": {"sampler": "successive:n=4"}},
        "pipelines": {"q": {"extractor": "filters:octaves=1", "classifier": "quick"}},
        "comparisons": [{"a": "one", "b": "four"}],
        **changes,
    }


@dataclass
class Place:
    """Where a suite's things are kept, and ways to run it there."""

    folder: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger")

    def bench(self, *, limit: int | None = None, **changes: Any) -> OpenedSuite:
        store = Store(self.folder / "store", limit=limit)
        suite = make_suite(mapping(**changes))
        return open_suite(suite, store=store, ledger=self.ledger, progress=Quiet())

    def run(
        self,
        bench: OpenedSuite | None = None,
        executor: Any = None,
        cells: Sequence[Cell] | None = None,
        **more: Any,
    ) -> tuple[Results, dict[str, Any]]:
        """Plan and run cells; return the results and the plan."""
        bench = bench or self.bench()
        chosen = list(bench.cells if cells is None else cells)
        plan = make_plan(bench, waiting_cells(bench, chosen))
        results = run_cells(
            bench,
            chosen,
            executor or Local(),
            context=context(bench.suite, bench.store, None, self.ledger),
            progress=Quiet(),
            **more,
        )
        return results, plan

    def run_one(self, config: RunConfig, executor: Any = None) -> RunRecord:
        """Return the record of a run."""
        workers = executor or Local()
        places = Places(Store(self.folder / "store"), None, self.ledger, workers, fresh=False)
        prepared = PreparedRun(config, SuiteSession(single(config), places))
        return do_run(prepared, tracking=False, progress=Quiet()).record


class InTurn:
    """An executor whose workers are this process: it does jobs as a worker does."""

    contract: ClassVar[int] = 1
    workers = 1

    def __init__(self) -> None:
        self.asked: list[Job] = []

    def run(
        self,
        jobs: Sequence[Job],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        for job in jobs:
            stop()
            self.asked.append(job)
            worker._opened.cache_clear()
            done(job, work(job))


def numbers(results: Results) -> dict[str, Any]:
    """Return what a suite found, without what differs from run to run."""
    return {
        cell: {kind: [row.to_json() for row in rows] for kind, rows in found.scored.counts.items()}
        for cell, found in results.finished.items()
    }


__all__ = ["COUNTS", "DataError", "InTurn", "Place", "Quick", "StoreError", "install", "numbers"]
