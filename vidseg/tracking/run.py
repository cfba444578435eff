"""An open run of MLflow: opened in one place, given its parameters, closed whatever happens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidseg.errors import Stopped, TrackingError, UnreachableError
from vidseg.tracking.links import ROLE, Role, primary_metric, run_url, served_by_http, ui_command
from vidseg.tracking.processes import process_tags, reap
from vidseg.tracking.store import (
    claiming,
    load_mlflow,
    no_retries,
    open_sqlite,
    redact,
    translate_errors,
)

ERROR, KEY = "vidseg.error", "vidseg.key"
LONGEST_TAG = 8000

_PARAMS = 100  # parameters or tags a call
_LONGEST_PARAM = 6000
_LONGEST_NAME = 250


@dataclass(frozen=True)
class OpenRun:
    """A run of MLflow that is being filled.

    Attributes:
        uri: tracking URI.
        experiment_id: id of its experiment.
        run_id: its id.
        reused: `mlflow run` made it; its name and experiment are not ours.
    """

    uri: str
    experiment_id: str
    run_id: str
    reused: bool = False

    @property
    def link(self) -> str:
        """Return the address of the run's page, or the command that starts the UI."""
        if not served_by_http(self.uri):
            return ui_command(self.uri)
        return run_url(self.uri, self.experiment_id, self.run_id)


@contextlib.contextmanager
def open_run(
    experiment: str,
    name: str,
    *,
    role: Role = "run",
    params: Mapping[str, Any] | None = None,
    key: str | None = None,
    notice: Any = None,
    system_metrics: bool = False,
) -> Iterator[OpenRun]:
    """Open a run for the length of a ``with`` block, in the store of the last ``connect``.

    Under `mlflow run` (``MLFLOW_RUN_ID``) that run is filled: neither renamed nor moved. Inside
    another block the run is its child. The first run of a process closes those that were killed
    (:func:`vidseg.tracking.processes.reap`).

    The run ends FINISHED; KILLED on :class:`Stopped` or Ctrl-C; FAILED, with the line of the error
    as tag ``vidseg.error``, on anything else.

    Args:
        experiment: name of the experiment; made when it is new.
        name: name of the run.
        role: tag ``vidseg.role``; the UI's flat list of settings filters by it.
        params: parameters that are known at the start, see :func:`log_params`.
        key: when given, a run of the experiment with this key is filled again instead of a new one.
        notice: called with one line of text for each thing the user should know, or None.
        system_metrics: log load and memory of CPU, GPU and disk meanwhile, as ``system/...``.

    Raises:
        TrackingError: the store refuses, or does not hold the run that `mlflow run` started.
    """
    mlflow = load_mlflow()
    uri = mlflow.get_tracking_uri()
    with translate_errors(uri):
        watch = system_metrics or None  # None: as MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING says
        opened = _start(mlflow, uri, experiment, name, role, key, notice, watch)
    try:
        if params:
            log_params(params, opened)
        yield opened
    except BaseException as error:
        with no_retries() if isinstance(error, UnreachableError) else contextlib.nullcontext():
            with contextlib.suppress(TrackingError), translate_errors(uri):
                mlflow.MlflowClient(uri).set_tag(opened.run_id, ERROR, _line(error))
            _end(mlflow, opened, "KILLED" if _stopped(error) else "FAILED")
        raise
    _end(mlflow, opened, "FINISHED")


def _start(
    mlflow: Any,
    uri: str,
    experiment: str,
    name: str,
    role: Role,
    key: str | None,
    notice: Any,
    watch: bool | None,
) -> OpenRun:
    tags = {ROLE: role, **process_tags(), **({KEY: key} if key else {})}
    nested = mlflow.active_run() is not None
    given = os.environ.pop("MLFLOW_RUN_ID", "") if not nested else ""
    if given:
        run = _resume_project_run(mlflow, uri, given, tags, watch)
        return OpenRun(uri, run.info.experiment_id, given, reused=True)
    if not nested and (dead := reap(uri)) and notice:
        notice(f"closed {len(dead)} run(s) whose process was killed: {', '.join(dead)}")
    experiment_id = ensure_experiment(uri, experiment)
    with claiming(uri) if key else contextlib.nullcontext():
        known = find_by_key(mlflow, uri, experiment_id, key) if key else None
        run = mlflow.start_run(
            run_id=known,
            experiment_id=experiment_id,
            run_name=name,
            nested=nested,
            tags=tags,
            log_system_metrics=watch,
        )
    return OpenRun(uri, experiment_id, run.info.run_id)


def _resume_project_run(
    mlflow: Any, uri: str, run_id: str, tags: dict[str, str], watch: bool | None
) -> Any:
    """Take over the run that `mlflow run` started; it lacks our git tags, as it was not us."""
    from vidseg.tracking.git import GitContext

    try:
        there = mlflow.MlflowClient(uri).get_run(run_id).data.tags
    except mlflow.MlflowException as error:
        raise TrackingError(
            f"the run {run_id}, which `mlflow run` started, is not there",
            where=redact(uri),
            hint="leave out --tracking-uri under `mlflow run`, or unset MLFLOW_RUN_ID",
        ) from error
    missing = {name: value for name, value in GitContext().tags().items() if name not in there}
    return mlflow.start_run(run_id=run_id, tags={**missing, **tags}, log_system_metrics=watch)


def find_by_key(mlflow: Any, uri: str, experiment_id: str, key: str) -> str | None:
    """Return a run of this key that no living process fills: one that did not finish, if any."""
    query = f"tags.`{KEY}` = '{key}' and attributes.status != 'RUNNING'"
    found = mlflow.MlflowClient(uri).search_runs([experiment_id], query)
    best = min(found, key=lambda run: run.info.status == "FINISHED", default=None)
    return best.info.run_id if best else None


def name_of_experiment(number: str) -> str:
    """Return the name of the experiment that ``MLFLOW_EXPERIMENT_ID`` names.

    Raises:
        TrackingError: the store of the last ``connect`` has none of that id.
    """
    mlflow = load_mlflow()
    uri = mlflow.get_tracking_uri()
    with translate_errors(uri):
        try:
            return str(mlflow.MlflowClient(uri).get_experiment(number).name)
        except mlflow.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
    raise TrackingError(
        f"there is no experiment {number!r}, which MLFLOW_EXPERIMENT_ID names",
        where=redact(uri),
        hint="unset it, or give --experiment NAME",
    )


def ensure_experiment(uri: str, name: str) -> str:
    """Return the id of the experiment, making it when it is new.

    Raises:
        TrackingError: it was deleted, or the store refuses.
    """
    mlflow = load_mlflow()
    client = mlflow.MlflowClient(uri)
    with translate_errors(uri):
        found = client.get_experiment_by_name(name) or _make_experiment(mlflow, uri, name)
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} was deleted",
            where=redact(uri),
            hint=f"choose another --experiment, or run: mlflow experiments restore "
            f"--experiment-id {found.experiment_id}",
        )
    return str(found.experiment_id)


def _make_experiment(mlflow: Any, uri: str, name: str) -> Any:
    client = mlflow.MlflowClient(uri)
    try:
        # Through the client, a sqlite store would put artifacts into the working directory.
        maker = open_sqlite(uri) if uri.startswith("sqlite:") else client
        made = maker.create_experiment(name)
        client.set_experiment_tag(made, "mlflow.experimentKind", "custom_model_development")
        client.set_experiment_tag(made, "mlflow.experiment.primaryMetric.name", primary_metric())
        client.set_experiment_tag(made, "mlflow.experiment.primaryMetric.greaterIsBetter", "True")
    except mlflow.MlflowException:
        # Another process may have made it since we looked.
        if client.get_experiment_by_name(name) is None:
            raise
    return client.get_experiment_by_name(name)


def _stopped(error: BaseException) -> bool:
    codes = (130, 143)
    return isinstance(error, Stopped | KeyboardInterrupt) or (
        isinstance(error, SystemExit) and error.code in codes
    )


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:LONGEST_TAG]


def _end(mlflow: Any, run: OpenRun, status: str) -> None:
    """Close the run; a server that died must not hide the error that is being raised."""
    quiet = contextlib.suppress(TrackingError) if status != "FINISHED" else contextlib.nullcontext()
    active = mlflow.active_run()
    with quiet, translate_errors(run.uri):
        if active is not None and active.info.run_id == run.run_id:
            mlflow.end_run(status)
        else:
            mlflow.MlflowClient(run.uri).set_terminated(run.run_id, status=status)


def log_params(params: Mapping[str, Any], run: OpenRun | None = None) -> None:
    """Log the parameters that are not there yet.

    A name that holds another value already, such as `mlflow run`'s own parameter ``seed``, is
    logged as ``vidseg.seed``. Long values are cut, with an ellipsis, at MLflow's limit.

    Raises:
        TrackingError: the store refuses.
    """
    mlflow = load_mlflow()
    run = run or active()
    client = mlflow.MlflowClient(run.uri)
    with translate_errors(run.uri):
        there = client.get_run(run.run_id).data.params
        new = dict(_new_params(params, there))
        for batch in batches(list(new.items()), _PARAMS):
            client.log_batch(run.run_id, params=[mlflow.entities.Param(*pair) for pair in batch])


def _new_params(params: Mapping[str, Any], there: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for given, value in params.items():
        name, text = valid_name(given), str(value)
        text = text if len(text) <= _LONGEST_PARAM else text[: _LONGEST_PARAM - 1] + "…"
        if name in there and there[name] != text:
            name = f"vidseg.{name}"
        if name not in there:
            yield name, text


def valid_name(name: str) -> str:
    """Return ``name`` with what MLflow refuses in names replaced by ``_``."""
    kept = "".join(char if char.isalnum() or char in "_-. /" else "_" for char in name)
    return kept[:_LONGEST_NAME].strip("/") or "_"


def active() -> OpenRun:
    """Return the run of the innermost :func:`open_run`.

    Raises:
        TrackingError: there is none.
    """
    mlflow = load_mlflow()
    uri, run = mlflow.get_tracking_uri(), mlflow.active_run()
    if run is None:
        raise TrackingError("no run is open", hint="log inside `with open_run(...)`")
    return OpenRun(uri, run.info.experiment_id, run.info.run_id)


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield ``items`` in parts of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
