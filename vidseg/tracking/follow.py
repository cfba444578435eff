"""Which runs show the cells of a run or a suite while they are fitted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from vidseg.errors import TrackingError
from vidseg.experiment.ledger import Ledger
from vidseg.suites.engine import Results
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.record import run_cells_of
from vidseg.suites.single import everyone, parts, trains_network
from vidseg.tracking.links import ROLE
from vidseg.tracking.live import LiveCell, LiveLog
from vidseg.tracking.processes import process_tags
from vidseg.tracking.run import KEY, OpenRun, find_by_key
from vidseg.tracking.store import claiming, load_mlflow, translate_errors
from vidseg.tracking.suite import setting_key


def follow_run(opened: OpenedSuite, ledger: Ledger, run: OpenRun) -> LiveLog:
    """Return what shows the folds of a run as ``train/...``, and its refit as ``model/...``."""
    several = len(opened.cells) > 1
    cells = [
        LiveCell(key, lambda: run.run_id, "train", cell.fold.index if several else None)
        for cell in opened.cells
        if (key := opened.key(cell)) is not None
    ]
    config, experiment = parts(opened)
    if config.refit and trains_network(config.classifier):  # whose curves the model keeps
        key = experiment.key(config.setting, everyone(experiment))
        cells.append(LiveCell(key, lambda: run.run_id, "model"))
    return LiveLog(run.uri, ledger, cells)


@contextlib.contextmanager
def follow_suite(opened: OpenedSuite, ledger: Ledger, run: OpenRun) -> Iterator[LiveLog]:
    """Show the cells of a suite in the runs of their settings, for a ``with`` block.

    Cells at another value of a path belong to no setting, and have no run.
    """
    names = dict.fromkeys(cell.name for cell in opened.cells if cell.at is None)
    runs = SettingRuns(run)
    cells = []
    for name in names:
        own = [cell for cell in opened.cells if cell.name == name]
        several = len(own) > 1
        for cell, placed in zip(own, run_cells_of(opened, own, Results()), strict=True):
            if (key := opened.key(cell)) is not None:
                fold = placed.step if several else None
                cells.append(LiveCell(key, partial(runs.of, name), "train", fold))
    try:
        with LiveLog(run.uri, ledger, cells) as log:
            yield log
    finally:
        runs.close()


@dataclass
class SettingRuns:
    """The runs of a suite's settings, opened when there is something to show.

    They are closed as KILLED, and filled when the suite is finished: one that was stopped has
    settings that are not. Runs that an earlier start finished stay so.

    Attributes:
        run: of the suite.
    """

    run: OpenRun
    _ids: dict[str, str] = field(default_factory=dict)
    _unfinished: list[str] = field(default_factory=list)

    def of(self, setting: str) -> str:
        """Return the id of a setting's run; the one of an earlier start is opened again."""
        if setting not in self._ids:
            self._ids[setting] = self._open(setting)
        return self._ids[setting]

    def _open(self, setting: str) -> str:
        mlflow = load_mlflow()
        client, key = mlflow.MlflowClient(self.run.uri), setting_key(self.run, setting)
        tags = {ROLE: "setting", KEY: key, **process_tags()}
        with claiming(self.run.uri):
            known = find_by_key(mlflow, self.run.uri, self.run.experiment_id, key)
            if known is None:
                from mlflow.tracking.context.registry import resolve_tags

                parent = {"mlflow.parentRunId": self.run.run_id}
                made = client.create_run(
                    self.run.experiment_id, tags=resolve_tags(tags | parent), run_name=setting
                )
                self._unfinished.append(str(made.info.run_id))
                return self._unfinished[-1]
            if client.get_run(known).info.status != "FINISHED":
                client.update_run(known, status="RUNNING")
                self._unfinished.append(known)
            for name, value in tags.items():
                client.set_tag(known, name, value)
            return known

    def close(self) -> None:
        """Close the runs that were opened; a server that is away does not matter here."""
        client = load_mlflow().MlflowClient(self.run.uri)
        with contextlib.suppress(TrackingError), translate_errors(self.run.uri):
            for run_id in list(self._unfinished):
                client.set_terminated(run_id, "KILLED")
