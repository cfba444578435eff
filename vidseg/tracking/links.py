"""Where to look at runs: addresses of MLflow's pages, and the command that serves them."""

from __future__ import annotations

import shlex
from typing import Literal
from urllib.parse import quote, urlsplit

from vidseg.tasks.registry import find_task
from vidseg.tracking.store import redact

Role = Literal["run", "suite", "setting"]

ROLE = "vidseg.role"

_TRAINING_UI = "workflowType=machine_learning"  # else a new browser shows the pages for LLM work


def primary_metric() -> str:
    """Return the metric by which runs are ranked: ``test/iou``."""
    return f"test/{find_task().primary}"


def served_by_http(uri: str) -> bool:
    """Return whether a browser can open the tracking URI."""
    return urlsplit(uri).scheme in ("http", "https")


def _page(uri: str) -> str:
    return redact(uri).rstrip("/") if served_by_http(uri) else "http://127.0.0.1:5000"


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the address of a run's page; on port 5000 of this machine where no server is named."""
    return f"{_page(uri)}/#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING_UI}"


def compare_url(
    uri: str, experiment_id: str, role: Role = "setting", parent: str | None = None
) -> str:
    """Return the address of the chart that compares runs of one role, flat, best first.

    Nested runs are not shown in the UI's charts unless the list is sorted by a metric.

    Args:
        uri: of the tracking store.
        experiment_id: the experiment that holds the runs.
        role: of the runs.
        parent: id of a suite's run, whose settings alone are compared; None takes all runs.
    """
    only = f" and tags.`mlflow.parentRunId`='{parent}'" if parent else ""
    query = {
        "searchFilter": f"tags.`{ROLE}`='{role}'{only}",
        "orderByKey": f"metrics.`{primary_metric()}`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "compareRunsMode": "CHART",
    }
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"{_page(uri)}/#/experiments/{experiment_id}/runs?{text}&{_TRAINING_UI}"


def ui_command(uri: str) -> str:
    """Return the command that shows a store without a server; it serves this machine only."""
    return f"mlflow ui --backend-store-uri {shlex.quote(redact(uri))} --host 127.0.0.1 --port 5000"
