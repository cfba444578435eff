"""Networks as they were before the end of their training, as logged models with their step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidseg.errors import StoreError
from vidseg.experiment.records import ModelRecord
from vidseg.tracking.live import HeldPoints
from vidseg.tracking.metrics import model_points
from vidseg.tracking.model import DIGEST, digest_of, find_model, model_arguments
from vidseg.tracking.run import OpenRun, valid_name
from vidseg.tracking.store import load_mlflow, translate_errors
from vidseg.types import State
from vidseg.utils.scratch import scratch


def log_checkpoints(model: ModelRecord, run: OpenRun) -> list[str]:
    """Log the kept checkpoints of the served model; return the ids of their logged models.

    Each can be opened, served and registered as the model at the end can. Its metrics are the
    points of the training curves at its step. Those that the run has already are kept.

    Args:
        model: the served model, with the files of its checkpoints.
        run: the run, which holds the curves.

    Raises:
        TrackingError: the store refuses.
        StoreError: a file was altered.
    """
    made = []
    held = HeldPoints(run.uri, run.run_id)
    for step, path in model.checkpoints:
        record = replace(model, state=_state(path), epoch=step)
        with translate_errors(run.uri):
            model_id = _logged(record, step, run)
            _link(model_id, record, held, run)
        made.append(model_id)
    return made


def _state(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise StoreError("cannot be read", where=path, hint="remove it, or use --fresh") from error


def _logged(record: ModelRecord, step: int, run: OpenRun) -> str:
    """Return the id of a checkpoint's logged model, made where the run has none.

    Not by ``log_model``, which would give it all that the run measured at its step, other folds'
    scores as well.
    """
    mlflow = load_mlflow()
    client, digest = mlflow.MlflowClient(run.uri), digest_of(record)
    if known := find_model(client, run, digest):
        return known
    with scratch() as folder:
        arguments = model_arguments(record, folder)
        arguments.pop("input_example")  # it would be predicted once for each
        files = folder / "saved"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there is no example
            mlflow.pyfunc.save_model(str(files), **arguments)
        model = client.create_logged_model(
            run.experiment_id, f"checkpoint-{step}", run.run_id, tags={DIGEST: digest}
        )
        client.log_model_artifacts(model.model_id, str(files))
        client.finalize_logged_model(model.model_id, "READY")
    output = mlflow.entities.LoggedModelOutput(model.model_id, step)
    client.log_outputs(run.run_id, [output])
    return str(model.model_id)


def _link(model_id: str, record: ModelRecord, held: HeldPoints, run: OpenRun) -> None:
    """Give a checkpoint the points of the curves at its step, as the run holds them."""
    mlflow = load_mlflow()
    metrics: Sequence[Any] = [
        mlflow.entities.Metric(name, there.value, there.timestamp, step, model_id=model_id)
        for name, _, step in ((valid_name(n), v, s) for n, v, s in model_points(record))
        if step == record.epoch and (there := held.of(name).get(step)) is not None
    ]
    if metrics:
        mlflow.MlflowClient(run.uri).log_batch(run.run_id, metrics=metrics)
