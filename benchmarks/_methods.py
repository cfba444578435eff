"""One SVM solver in a process of its own, at one tolerance after the other.

The process loads its libraries, then measures the CPU time and the peak memory from features in the
store to weights. Every solver minimises ``||(w, b)||^2 / 2 + C sum_i loss(1 - y_i (w . z_i + b))``
on the same standardised features.
"""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks._frames import Bench
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear import dual, standardise
from vidseg.classifiers.linear.block_liblinear import BlockLiblinear
from vidseg.classifiers.linear.exact.frames import FrameReader
from vidseg.classifiers.linear.exact.memory_plan import MemoryPlan
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import Moments, Standardisation
from vidseg.classifiers.pyramid import Floats
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.torchvision import Torchvision
from vidseg.types import Size

Job = dict[str, Any]
Fit = Callable[[TrainingFrames, Torchvision, Job, FitContext], Floats]


def ladder(job: Job, send: Connection) -> None:
    """Solve at each tolerance of ``job["rungs"]``; send its CPU seconds
    before the first, then (rung, weights with bias last, facts) of each.

    A process of its own runs this, started from one that has imported everything already.
    """
    torch.set_num_threads(1)
    bench = Bench(Path(job["samples"]), Path(job["store"]))
    size = Size.parse(job["size"])
    train, handle = bench.training(job["extractor"], size, job["frames"])
    for ref in train.refs:  # decoded images and computed features are not the solvers' work
        train.mask(ref)
        train.features(ref)
    warm_up()
    send.send(cpu_seconds())
    for rung in job["rungs"]:
        standardise.frame_moments.cache_clear()  # moments of these frames, kept by a rung before
        send.send((rung, *measured(train, handle, job | {"rung": rung})))
    send.close()


def measured(
    train: TrainingFrames, handle: Torchvision, job: Job
) -> tuple[Floats, dict[str, float]]:
    """Return weights and facts of one fit: ``cpu``, ``wall`` (seconds), ``peak`` (bytes)."""
    with tempfile.TemporaryDirectory(dir=job["store"]) as folder:
        ctx = FitContext(workdir=Path(folder))
        before = resident()
        with Peak() as peak:
            began, wall = cpu_seconds(), time.perf_counter()
            point = METHODS[job["method"]](train, handle, job, ctx)
            cpu, wall = cpu_seconds() - began, time.perf_counter() - wall
    return point, ctx.facts | {"cpu": cpu, "wall": wall, "peak": float(peak.bytes - before)}


def warm_up() -> None:
    """Load what a solver would otherwise load, or compile, while it is measured."""
    import liblinear.liblinearutil
    import scipy.sparse
    import sklearn.linear_model
    import sklearn.svm

    hypercolumns([np.ones((1, 1, 1), np.float32)], Size(1, 1))
    points, labels = np.ones((2, 3), np.float32), np.array([1, -1], np.int8)
    state = dual.Dual.zero("hinge", (1.0, 1.0), 1.0, labels, 3)
    state.visit(points, slice(0, 2), np.arange(2), (np.inf, -np.inf), lambda: None)
    state.losses(points, slice(0, 2))
    y, x = labels.astype(float), scipy.sparse.csr_matrix(points)
    liblinear.liblinearutil.train(y, x, "-s 2 -q")
    sklearn.svm.LinearSVC(dual=False).fit(points, labels)


def cpu_seconds() -> float:
    """Return CPU seconds of this process and its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(entry.ru_utime + entry.ru_stime for entry in used)


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(psutil.Process().memory_info().rss)


class Peak:
    """The largest memory while it is entered, sampled every 5 ms.

    Args:
        memory: returns bytes.
    """

    def __init__(self, memory: Callable[[], int] = resident) -> None:
        self._memory = memory

    def __enter__(self) -> Peak:
        self.bytes, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._memory())
            if self._done.wait(0.005):
                return


def standardised(train: TrainingFrames, handle: Torchvision) -> PointSet:
    """Return all labelled pixels of the training frames, standardised."""
    transform = Standardisation.compute(train, FitContext(), handle.levels)
    return PointSet(train, transform, handle.levels)


def with_pixel_svm(disk: bool) -> Fit:
    """Return the exact solver, its features in memory or read from disk every time."""

    def fit(train: TrainingFrames, handle: Torchvision, job: Job, ctx: FitContext) -> Floats:
        if disk:
            ctx.memory_budget = disk_budget(train, handle, ctx)
        head = PixelSvm(
            C=job["C"], C_mode="sum", tolerance=job["rung"], loss=job["loss"], max_passes=300
        ).fit(train, handle, ctx)
        if (ctx.facts["data_path"] == 2) != disk:
            raise RuntimeError(f"took data path {ctx.facts['data_path']}, disk={disk} was meant")
        return np.append(head.warm["weight"], head.warm["bias"])

    return fit


def disk_budget(train: TrainingFrames, handle: Torchvision, ctx: FitContext) -> int:
    """Return the least budget of the exact solver: features stay on disk."""
    reader = FrameReader.of(train, handle, range(len(handle.levels)), ctx)
    parameters = sum(handle.channels) + 1

    def work(budget: int) -> int:
        return MemoryPlan.of(reader, parameters, 30 * parameters, budget).work

    least = work(0)  # a larger budget may keep scores in memory, too
    return least if work(least) <= least else work(2**50)


def with_block(train: TrainingFrames, handle: Torchvision, job: Job, ctx: FitContext) -> Floats:
    """Dual block minimisation, in four blocks at least: it is never allowed all points at once."""
    head = BlockLiblinear(
        C=job["C"], C_mode="sum", loss=job["loss"], tolerance=1e-6, blocks=4,
        max_passes=job["rung"],
    ).fit(train, handle, ctx)  # fmt: skip
    return np.append(head.warm["weight"], head.warm["bias"])


def with_liblinear(solver: int) -> Fit:
    """Return liblinear, called in this process (the plugin starts another)."""

    def fit(train: TrainingFrames, handle: Torchvision, job: Job, ctx: FitContext) -> Floats:
        from liblinear.liblinearutil import problem
        from liblinear.liblinearutil import train as minimise
        from scipy.sparse import csr_matrix

        x, y = standardised(train, handle).gather(ctx)
        columns = np.tile(np.arange(x.shape[1], dtype=np.int32), len(x))
        rows = np.arange(len(x) + 1, dtype=np.int64) * x.shape[1]
        nodes = problem(y.astype(float), csr_matrix((x.ravel(), columns, rows), x.shape), 1.0)
        del columns, rows
        model = minimise(nodes, f"-s {solver} -c {job['C']!r} -B 1 -e {job['rung']!r} -q")
        weights, bias = model.get_decfun()
        sign = 1.0 if model.get_labels()[0] == 1 else -1.0
        return sign * np.append(weights, bias)

    return fit


def with_linear_svc(
    train: TrainingFrames, handle: Torchvision, job: Job, ctx: FitContext
) -> Floats:
    """Scikit-learn's LinearSVC, primal, as it advises for more points than features."""
    from sklearn.svm import LinearSVC

    x, y = standardised(train, handle).gather(ctx)
    model = LinearSVC(C=job["C"], dual=False, tol=job["rung"], max_iter=10_000).fit(x, y)
    return np.append(model.coef_[0], model.intercept_)


def with_sgd(train: TrainingFrames, handle: Torchvision, job: Job, ctx: FitContext) -> Floats:
    """Scikit-learn's SGDClassifier, averaged, at constant step (as the plugin ``sgd`` calls it)."""
    from sklearn.linear_model import SGDClassifier

    moments = Moments.measure(train, ctx, handle.levels)
    transform = Standardisation.of(moments)
    norm = transform.energy(moments) ** 0.5
    x, y = PointSet(train, transform, handle.levels).gather(ctx)
    x /= np.float32(norm)
    model = SGDClassifier(
        loss="squared_hinge", alpha=1 / (job["C"] * len(y) * norm**2),
        learning_rate="constant", eta0=0.03, average=True, max_iter=job["rung"], tol=None,
        random_state=0,
    ).fit(x, y)  # fmt: skip
    return np.append(model.coef_[0] / norm, model.intercept_)


METHODS: dict[str, Fit] = {
    "pixel_svm": with_pixel_svm(disk=False),
    "pixel_svm disk": with_pixel_svm(disk=True),
    "liblinear -s 2": with_liblinear(2),
    "liblinear -s 1": with_liblinear(1),
    "liblinear -s 3": with_liblinear(3),
    "block_liblinear": with_block,
    "LinearSVC": with_linear_svc,
    "SGDClassifier": with_sgd,
}
