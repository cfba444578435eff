"""A simulated annotator as a run of MLflow: parameters, a metric for each way, the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidseg.tracking.log import log_metrics
from vidseg.tracking.run import OpenRun, log_params, open_run
from vidseg.tracking.store import load_mlflow, translate_errors

FILE = "annotator.json"
MEASURED = ("boxes_per_100", "boxes_per_object", "looks_per_100", "iou", "wrong_share")


def log_annotator(found: Mapping[str, Any], experiment: str, name: str) -> OpenRun:
    """Log a simulation to the store of the last ``connect``.

    Args:
        found: as :meth:`vidseg.annotate.simulation.Simulation.to_dict` returns it.
        experiment: name of the experiment.
        name: of the run.

    Raises:
        TrackingError: the store refuses or does not answer.
    """
    params = {f"annotator.{key}": value for key, value in found["settings"].items()}
    points = [
        (f"annotator/{row['way']} {row['ask']}/{each}".replace(" ", "-"), float(row[each]), 0)
        for row in found["rows"]
        for each in MEASURED
    ]
    with open_run(experiment, name, params=params) as run:
        log_params(params, run)
        log_metrics([*points, ("annotator/straight_share", found["straight_share"], 0)], run)
        mlflow = load_mlflow()
        with translate_errors(run.uri):
            mlflow.MlflowClient(run.uri).log_dict(run.run_id, dict(found), FILE)
    return run
