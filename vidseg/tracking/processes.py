"""Runs whose process was killed: recognised by their tags, and closed."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidseg.tracking.store import load_mlflow, translate_errors

HOST, BOOT, PID, STARTED, NAMESPACE = (
    "vidseg.host",
    "vidseg.boot",
    "vidseg.pid",
    "vidseg.started",
    "vidseg.pidns",
)

_START_TOLERANCE = 2.0  # seconds; the system derives the start from clock ticks


def process_tags() -> dict[str, str]:
    """Return the tags by which a later start can tell whether this process still lives."""
    import psutil

    me = psutil.Process()
    return {
        HOST: socket.gethostname(),
        BOOT: _boot(),
        NAMESPACE: _namespace(),
        PID: str(me.pid),
        STARTED: f"{me.create_time():.2f}",
    }


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"


def _namespace() -> str:
    """Return the process-id namespace: containers of one host may share its name, not its ids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "host"


def is_dead(tags: Mapping[str, str]) -> bool:
    """Return whether the process that wrote ``tags`` is certainly gone; in doubt it lives."""
    if any(key not in tags for key in (HOST, BOOT, PID, STARTED)):
        return False
    if tags[HOST] != socket.gethostname():
        return False
    if tags[BOOT] != _boot() and sys.platform == "linux":
        return True
    return tags.get(NAMESPACE, _namespace()) == _namespace() and not _lives(tags)


def _lives(tags: Mapping[str, str]) -> bool:
    import psutil

    try:
        process = psutil.Process(int(tags[PID]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - float(tags[STARTED])) < _START_TOLERANCE
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, ValueError):
        return False


def reap(tracking_uri: str) -> list[str]:
    """Close the runs whose process was killed, as KILLED; return their ids.

    Runs of other hosts, of living processes, and runs that vidseg did not start are left alone.

    Args:
        tracking_uri: a URI that :func:`connect` returned.

    Raises:
        TrackingError: the store refuses.
    """
    mlflow = load_mlflow()
    client = mlflow.MlflowClient(tracking_uri)
    with translate_errors(tracking_uri):
        dead = [run.info.run_id for run in _running(client) if is_dead(run.data.tags)]
        for run_id in dead:
            client.set_tag(run_id, "vidseg.error", "the process was killed")
            client.set_terminated(run_id, status="KILLED")
    return dead


def _running(client: Any) -> Iterator[Any]:
    """Yield the runs of all experiments that say they run on this host."""
    query = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{socket.gethostname()}'"
    experiments = [experiment.experiment_id for experiment in _experiments(client)]
    token = None
    while experiments:
        page = client.search_runs(experiments, query, max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _experiments(client: Any) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_experiments(page_token=token)
        yield from page
        if not (token := page.token):
            return
