"""A record as one run of MLflow.

The ledger is the truth. :func:`log_run` may be called again for the same run: parameters that are
there are kept, metrics carry the run's start as their time so that the store drops repetitions
(a headline that changed carries the present: of two values at a step MLflow shows the later, of the
same time the larger), artifacts are overwritten, the data set and the model are not logged twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vidseg.experiment.records import DatasetRecord, RunRecord
from vidseg.tracking.metrics import (
    Point,
    baseline_points,
    curve_points,
    fold_points,
    model_points,
    test_points,
)
from vidseg.tracking.run import LONGEST_TAG, OpenRun, active, batches, log_params, valid_name
from vidseg.tracking.store import load_mlflow, translate_errors
from vidseg.utils.scratch import scratch

_BATCH = 1000  # metrics a call; MLflow refuses more


def log_run(
    record: RunRecord,
    run: OpenRun | None = None,
    *,
    register: str | None = None,
    several: bool | None = None,
) -> str | None:
    """Show a finished run in MLflow; harmless when it is there already.

    Returns ``models:/NAME/VERSION`` of the model where it was registered, else None.

    Args:
        record: what the experiment left behind.
        run: None: the open one.
        register: name under which the model is registered, or None.
        several: whether it has several folds; None: whether several are finished.

    Raises:
        TrackingError: the store refuses, or the artifacts cannot be written.
    """
    from vidseg.tracking.artifacts import TABLES, write_files
    from vidseg.tracking.checkpoints import log_checkpoints
    from vidseg.tracking.live import log_curves
    from vidseg.tracking.model import log_dataset, log_model
    from vidseg.tracking.model import register as register_model

    run = run or active()
    log_params(record.params, run)
    log_dataset(record.dataset, run)
    with translate_errors(run.uri), scratch() as folder:
        write_files(record, folder)
        load_mlflow().MlflowClient(run.uri).log_artifacts(run.run_id, str(folder))
    _log_tags(record, run, TABLES)
    model_id = log_model(record, run) if record.model else None
    log_metrics(test_points(record), run, model_id=model_id, dataset=record.dataset)
    if record.model:
        log_curves(model_points(record.model), run, model_id=model_id)
        log_checkpoints(record.model, run)
    log_metrics(baseline_points(record), run)
    log_metrics([point for fold in record.folds for point in fold_points(fold)], run)
    log_curves(curve_points(record.folds, several=several), run)
    return register_model(model_id, register, run) if model_id and register else None


def _log_tags(record: RunRecord, run: OpenRun, tables: Sequence[str]) -> None:
    """Set the note, and the tag by which the UI's evaluation view finds tables."""
    tags = {"mlflow.loggedArtifacts": json.dumps([{"path": t, "type": "table"} for t in tables])}
    if record.notes:
        note = "\n".join(f"- {line}" for line in record.notes)
        tags["mlflow.note.content"] = note[:LONGEST_TAG]
    mlflow = load_mlflow()
    with translate_errors(run.uri):
        mlflow.MlflowClient(run.uri).log_batch(
            run.run_id, tags=[mlflow.entities.RunTag(*pair) for pair in tags.items()]
        )


def log_metrics(
    points: Iterable[Point],
    run: OpenRun | None = None,
    *,
    model_id: str | None = None,
    dataset: DatasetRecord | None = None,
) -> None:
    """Log metrics in batches; values that are not finite numbers are left out.

    Their time is the run's start, so that logging them again stores nothing new. A single value
    (step 0 only) that is not the one that the run shows has the present time, and is shown then.

    Args:
        points: name, value and step of each.
        run: None: the open one.
        model_id: the logged model that was measured.
        dataset: the data set that it was measured on, as logged to this run; several are none.

    Raises:
        TrackingError: the store refuses.
    """
    mlflow = load_mlflow()
    run = run or active()
    client = mlflow.MlflowClient(run.uri)
    origin: dict[str, str] = {}
    if dataset is not None and not dataset.parts:
        origin = {"dataset_name": dataset.name, "dataset_digest": dataset.digest}
    kept = [(valid_name(n), float(value), int(s)) for n, value, s in points if _defined(value)]
    with translate_errors(run.uri):
        there = client.get_run(run.run_id)
        times = _times(kept, there.data.metrics, there.info.start_time)
        metrics = [
            mlflow.entities.Metric(name, value, times[name], step, model_id=model_id, **origin)
            for name, value, step in kept
        ]
        for batch in batches(metrics, _BATCH):
            client.log_batch(run.run_id, metrics=batch)


def _times(points: Sequence[Point], shown: Mapping[str, float], start: int) -> dict[str, int]:
    """Return the time of each metric, in milliseconds: the present for a headline that changed."""
    single = {name: value for name, value, step in points if step == 0}
    for name, _, step in points:
        if step:
            single.pop(name, None)
    now = time.time_ns() // 1_000_000
    changed = {name for name, value in single.items() if shown.get(name, value) != value}
    return {name: now if name in changed else start for name, _, _ in points}


def _defined(value: Any) -> bool:
    return value is not None and math.isfinite(value)
