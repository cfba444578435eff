"""Fits in MLflow while they go on: their curves as lines, their pictures beside them.

A thread reads what fits write into their cells' folders (:mod:`vidseg.experiment.live`), here, in
workers, on other machines, and sends it every few seconds in one batch a run. What it does not
send, because the server is away or the command ends, is sent with the finished run.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from vidseg.errors import TrackingError
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.live import CurvePoint, CurveReader, pictures
from vidseg.experiment.stages import Curves
from vidseg.tracking.metrics import Point, curve_name
from vidseg.tracking.run import OpenRun, batches, valid_name
from vidseg.tracking.store import load_mlflow, translate_errors

SECONDS = 2.0
"""How often files are looked at."""
PATIENCE = 60.0
"""Seconds until a store that refused is tried again."""
LEAVING_SECONDS = 120.0
"""How long the end of a command waits for what is being sent."""
BATCH = 1000
"""Metrics a call; MLflow refuses more."""
TRAINING = "training"
"""Folder of the pictures among a run's artifacts: names in the tree are cut, so they are short."""


@dataclass(frozen=True)
class LiveCell:
    """A cell whose fit is followed.

    Attributes:
        key: in the ledger.
        run: returns the id of the run that shows it; called when there is something to show.
        prefix: before the names of its curves: ``train`` or ``model``.
        fold: behind them, where the run has several folds.
    """

    key: str
    run: Callable[[], str]
    prefix: str
    fold: int | None = None

    def named(self, name: str) -> str:
        """Return the name of a curve in the run, such as ``train/loss/fold0``."""
        return valid_name(curve_name(self.prefix, name, self.fold))

    @property
    def pictures(self) -> str:
        """Folder of its pictures in the run: ``training/train`` or ``training/fold0``."""
        return f"{TRAINING}/{self.prefix}" if self.fold is None else f"{TRAINING}/fold{self.fold}"


class HeldPoints:
    """The points of curves that a run holds, read once for each metric.

    Args:
        uri, run_id: the run.
    """

    def __init__(self, uri: str, run_id: str) -> None:
        self._client = load_mlflow().MlflowClient(uri)
        self._run_id = run_id
        self._points: dict[str, dict[int, Any]] = {}
        self._names: set[str] | None = None

    def of(self, name: str) -> dict[int, Any]:
        """Return the points of a metric by step, as MLflow has them; may be added to."""
        if self._names is None:
            self._names = set(self._client.get_run(self._run_id).data.metrics)
        if name not in self._points:
            known = name in self._names
            rows = self._client.get_metric_history(self._run_id, name) if known else []
            self._points[name] = {row.step: row for row in rows}
        return self._points[name]


@dataclass
class _RunLog:
    """What is on its way to one run."""

    uri: str
    run_id: str
    held: HeldPoints
    waiting: list[Any] = field(default_factory=list)
    pictures: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: str, point: CurvePoint) -> None:
        """Take a point, unless the run has one of this name and step."""
        held = self.held.of(name)
        if point.step in held or not math.isfinite(point.value):
            return
        metric = load_mlflow().entities.Metric(name, point.value, point.time, point.step)
        held[point.step] = metric
        self.waiting.append(metric)

    def send(self) -> None:
        client = load_mlflow().MlflowClient(self.uri)
        while self.waiting:
            client.log_batch(self.run_id, metrics=self.waiting[:BATCH])
            del self.waiting[:BATCH]

    def picture(self, path: Path, folder: str) -> None:
        """Send a picture that the run does not have."""
        client = load_mlflow().MlflowClient(self.uri)
        if folder not in self.pictures:
            there = client.list_artifacts(self.run_id, folder)
            self.pictures[folder] = {one.path.rpartition("/")[2] for one in there}
        if path.name not in self.pictures[folder]:
            client.log_artifact(self.run_id, str(path), folder)
            self.pictures[folder].add(path.name)


class LiveLog:
    """Sends what fits show, for the length of a ``with`` block.

    Args:
        uri: tracking URI.
        ledger: where the cells are.
        cells: those that are followed.
    """

    def __init__(self, uri: str, ledger: Ledger, cells: Sequence[LiveCell]) -> None:
        self._uri = uri
        self._cells: dict[str, list[LiveCell]] = {}
        for cell in cells:  # of one key where two arms take the same frames
            self._cells.setdefault(cell.key, []).append(cell)
        self._folders = {key: ledger.folder(key) for key in self._cells}
        self._readers = {key: CurveReader(folder) for key, folder in self._folders.items()}
        self._finished: deque[tuple[str, Curves]] = deque()
        self._new: dict[str, list[CurvePoint]] = {}
        self._shown: dict[str, int] = {}
        self._runs: dict[str, _RunLog] = {}
        self._alone = threading.Lock()
        self._end, self._thread = threading.Event(), threading.Thread(target=self._follow)
        self._thread.daemon = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._end.set()
        self._thread.join(LEAVING_SECONDS)

    def finished(self, key: str, curves: Curves) -> None:
        """Take the curves of a finished cell: what is not sent yet will be."""
        self._finished.append((key, curves))

    def poll(self) -> None:
        """Send what is new.

        Raises:
            TrackingError: the store refuses, or is away; what is new is sent the next time.
        """
        with self._alone:
            self._poll()

    def _poll(self) -> None:
        for key, reader in self._readers.items():
            if points := reader.new():
                self._new.setdefault(key, []).extend(points)
        now = time.time_ns() // 1_000_000
        while self._finished:
            key, curves = self._finished.popleft()
            self._new.setdefault(key, []).extend(CurvePoint(*row, now) for row in curves)
        with translate_errors(self._uri):
            for key, points in list(self._new.items()):
                for cell in self._cells.get(key, ()):
                    log = self._log_of(cell)
                    for point in points:
                        log.add(cell.named(point.name), point)
                del self._new[key]
            for log in self._runs.values():
                log.send()
            for key, folder in self._folders.items():
                self._send_pictures(key, folder)

    def _send_pictures(self, key: str, folder: Path) -> None:
        found = list(pictures(folder))
        if len(found) == self._shown.get(key, 0):
            return
        for cell in self._cells[key]:
            for path in found:
                self._log_of(cell).picture(path, cell.pictures)
        self._shown[key] = len(found)

    def _log_of(self, cell: LiveCell) -> _RunLog:
        run_id = cell.run()
        if run_id not in self._runs:
            self._runs[run_id] = _RunLog(self._uri, run_id, HeldPoints(self._uri, run_id))
        return self._runs[run_id]

    def _follow(self) -> None:
        pause = SECONDS
        while not self._end.wait(pause):
            pause = SECONDS if self._sent() else PATIENCE
        if pause == SECONDS:
            self._sent()

    def _sent(self) -> bool:
        try:
            self.poll()
        except TrackingError:
            return False  # the finished cells are sent at the end, or the command says why not
        return True


def log_curves(points: Iterable[Point], run: OpenRun, *, model_id: str | None = None) -> None:
    """Log the points of curves that a run does not hold yet.

    Args:
        points: name, value and step of each.
        run: the run.
        model_id: the logged model that they belong to, those that the run holds too.

    Raises:
        TrackingError: the store refuses.
    """
    mlflow = load_mlflow()
    client, held = mlflow.MlflowClient(run.uri), HeldPoints(run.uri, run.run_id)
    metrics = []
    with translate_errors(run.uri):
        start = client.get_run(run.run_id).info.start_time
        for given, value, step in points:
            name = valid_name(given)
            there = held.of(name).get(step)
            if (there is not None and not model_id) or value is None or not math.isfinite(value):
                continue
            shown = (value, start) if there is None else (there.value, there.timestamp)
            metrics.append(mlflow.entities.Metric(name, *shown, step, model_id=model_id))
        for batch in batches(metrics, BATCH):
            client.log_batch(run.run_id, metrics=batch)
