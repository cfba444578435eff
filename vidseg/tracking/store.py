"""The MLflow store: which one, is it alive, made once."""

from __future__ import annotations

import logging
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock

from vidseg.errors import TrackingError, UnreachableError, UsageError
from vidseg.tracking.git import GitContext, without_credentials
from vidseg.utils.paths import user_path

Found = TypeVar("Found")

DEFAULT_FILE = "mlflow.db"
ARTIFACTS = "mlruns"
"""Folder beside a sqlite file that holds the artifacts; MLflow's own default name."""

PING_SECONDS = 5.0
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # we print addresses of our own
    _RETRIES: "3",  # the default, 7, takes four minutes
    "GIT_PYTHON_REFRESH": "quiet",
}
"""MLflow's settings where the user has none."""

ATTEMPTS = 5
"""How often a write is tried that other processes make at the same moment."""

# of sqlite, PostgreSQL, MySQL and SQL Server, and of MLflow itself
_CONFLICT = re.compile(
    r"UNIQUE constraint|duplicate key|Duplicate entry|RESOURCE_ALREADY_EXISTS", re.IGNORECASE
)
_SQLITE = "sqlite:///"


def load_mlflow() -> Any:
    """Import MLflow (2-5 s) with :data:`SETTINGS`, and without the lines it logs on its own."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("mlflow.pyfunc", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # a sample that could not be sent is none that anybody waits for
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    # logs the traceback of what it raises as well, and that is told by `translate_errors`
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return mlflow


@contextmanager
def translate_errors(uri: str, hint: str = "") -> Iterator[None]:
    """Turn what MLflow and its transports raise into a :class:`TrackingError` of one line.

    Raises:
        UnreachableError: the server went away.
        TrackingError: anything else.
    """
    mlflow = load_mlflow()
    import alembic.util
    import requests
    import sqlalchemy.exc

    refusals = (
        mlflow.MlflowException,
        requests.RequestException,
        sqlalchemy.exc.SQLAlchemyError,
        alembic.util.CommandError,
    )
    try:
        yield
    except refusals as error:
        raise _explained(error, uri, hint) from error
    except OSError as error:
        raise TrackingError(
            f"cannot write {error.filename or 'an artifact'}: {error.strerror or error}",
            where=redact(uri),
            hint=hint or "free the disk or choose another --tracking-uri",
        ) from error


def _explained(error: BaseException, uri: str, hint: str) -> TrackingError:
    """Return the error of ours for what MLflow or a transport of it raised."""
    import requests

    causes = list(_causes(error))
    if any(isinstance(one, requests.ConnectionError | requests.Timeout) for one in causes):
        # of the transports' errors, each longer than the next, the innermost is the system's
        reasons = [one.strerror for one in causes if isinstance(one, OSError) and one.strerror]
        return _dead(uri, reasons[-1] if reasons else type(causes[-1]).__name__)
    text = str(error).strip() or type(error).__name__
    if "database or disk is full" in text:
        return TrackingError("the disk is full", where=redact(uri), hint=hint or "free space")
    return TrackingError(text.splitlines()[0][:500], where=redact(uri), hint=hint)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def retry_conflicts(call: Callable[[], Found]) -> Found:
    """Return what ``call`` returns; where another process wrote the same row first, call it again.

    MLflow looks whether a row is there and then inserts it; of two processes that do so in one
    instant the store refuses the second, which finds the row when it looks again.
    """
    mlflow = load_mlflow()
    for _ in range(ATTEMPTS - 1):
        try:
            return call()
        except mlflow.MlflowException as error:
            if not _CONFLICT.search(str(error)):
                raise
    return call()


@contextmanager
def claiming(uri: str) -> Iterator[None]:
    """Let one process at a time choose a run of a sqlite store to fill again."""
    file = sqlite_file(uri)
    with FileLock(f"{file}.lock") if file is not None else nullcontext():
        yield


@contextmanager
def no_retries() -> Iterator[None]:
    """Let requests fail without a second try: the server is known to be away."""
    before = os.environ.get(_RETRIES)
    os.environ[_RETRIES] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_RETRIES]
        else:
            os.environ[_RETRIES] = before


@contextmanager
def restored() -> Iterator[None]:
    """Give MLflow back, after a ``with`` block, the store of the session that called us."""
    before = os.environ.get("MLFLOW_TRACKING_URI")  # MLflow's own `set_tracking_uri` sets it
    try:
        yield
    finally:
        if (mlflow := sys.modules.get("mlflow")) is not None:
            mlflow.set_tracking_uri(before or None)


def connect_existing(tracking_uri: str | None = None) -> str:
    """Connect as :func:`connect` does, but make nothing: for commands that only read.

    Raises:
        UsageError, TrackingError: as for :func:`connect`; there is no such sqlite store.
    """
    uri = resolve(tracking_uri)
    file = sqlite_file(uri)
    if file is not None and not (file.exists() and file.stat().st_size):
        raise TrackingError(
            "there is no such tracking store",
            where=redact(uri),
            hint="name it with --tracking-uri or MLFLOW_TRACKING_URI",
        )
    return connect(tracking_uri)


def connect(tracking_uri: str | None = None) -> str:
    """Choose the tracking store, see that it answers, make a new sqlite store once; return its URI.

    Args:
        tracking_uri: None: the environment's ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``
            in the working directory. A relative sqlite path is made absolute, so that later
            changes of directory, child processes and printed commands mean the same file.

    Raises:
        UsageError: a bare folder or ``file:`` URI (MLflow's file store is gone), a sqlite URI
            without a file.
        TrackingError: the server does not answer within ``PING_SECONDS``; the database cannot be
            made, or has the schema of another MLflow.
    """
    uri = resolve(tracking_uri)
    ping(uri)
    mlflow = load_mlflow()
    if (database := sqlite_file(uri)) is not None:
        _prepare(uri, database)
    mlflow.set_tracking_uri(uri)
    _register_git_context()
    return uri


def resolve(tracking_uri: str | None = None) -> str:
    """Return the tracking URI that :func:`connect` would use, without touching it."""
    uri = (tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "").strip()
    uri = uri or f"{_SQLITE}{DEFAULT_FILE}"
    scheme = urlsplit(uri).scheme
    if uri in ("databricks", "databricks-uc"):
        return uri
    if scheme in ("", "file") or len(scheme) == 1:
        raise UsageError(
            f"{uri!r} is a folder, and MLflow has no file store any more",
            where="tracking URI",
            hint=f"use {_SQLITE}{DEFAULT_FILE} or the http address of a server",
        )
    return uri if (file := sqlite_file(uri)) is None else f"{_SQLITE}{file.as_posix()}"


def sqlite_file(uri: str) -> Path | None:
    """Return the absolute path of a ``sqlite:///`` URI's file, None for other stores.

    Raises:
        UsageError: the URI names no file, or the memory.
    """
    if urlsplit(uri).scheme != "sqlite":
        return None
    name = uri.removeprefix(_SQLITE)
    if name == uri or not name or name.startswith((":memory:", "?")) or name.endswith("/"):
        raise UsageError(
            f"{uri!r} names no file", where="tracking URI", hint=f"write {_SQLITE}{DEFAULT_FILE}"
        )
    return user_path(name).absolute()


def redact(uri: str) -> str:
    """Return ``uri`` as it may be printed: without credentials."""
    return without_credentials(uri)


def ping(uri: str) -> None:
    """See that a server answers, where there is one; MLflow itself would retry for minutes.

    Raises:
        UnreachableError: it does not.
    """
    if urlsplit(uri).scheme not in ("http", "https"):
        return
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    certificate = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    try:
        context = ssl.create_default_context(cafile=certificate)
        if insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(f"{redact(uri).rstrip('/')}/health")
        urllib.request.urlopen(request, timeout=PING_SECONDS, context=context).close()
    except urllib.error.HTTPError as error:
        # Any other answer, such as 401 or 404 of a proxy, is an answer.
        if error.code in (502, 503, 504):
            raise _dead(uri, f"HTTP {error.code}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise _dead(uri, str(getattr(reason, "strerror", None) or reason)) from error


def _dead(uri: str, reason: str) -> UnreachableError:
    return UnreachableError(
        f"the tracking server does not answer ({reason})",
        where=redact(uri),
        hint="start it (mlflow server --host 127.0.0.1 --port 5000), or choose another "
        f"--tracking-uri, such as {_SQLITE}{DEFAULT_FILE}",
    )


def artifact_root(uri: str) -> Path | None:
    """Return where a sqlite store keeps artifacts: beside the file, whatever the directory is."""
    file = sqlite_file(uri)
    return None if file is None else file.parent / ARTIFACTS


def open_sqlite(uri: str) -> Any:
    """Return MLflow's store of a sqlite URI, with its artifacts beside the file."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore(uri, str(artifact_root(uri)))


def _prepare(uri: str, database: Path) -> None:
    """Make a new sqlite store under a lock, or open the one that is there.

    Processes that first touch a new sqlite store at once run its migrations into each other. A new
    store is made under another name and then renamed: one killed half way leaves nothing behind.
    """
    hint = f"if it is of an older MLflow, copy it and run: mlflow db upgrade {uri}"
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            if not database.exists() or database.stat().st_size == 0:
                _make(database)
            with translate_errors(uri, hint):
                open_sqlite(uri)
    except OSError as error:
        raise TrackingError(
            f"cannot make or open the file: {error.strerror or error}",
            where=redact(uri),
            hint="choose a writable --tracking-uri",
        ) from error


def _make(database: Path) -> None:
    new = database.with_name(f"{database.name}.new")
    for rest in (new, Path(f"{new}-journal")):
        rest.unlink(missing_ok=True)
    uri = f"{_SQLITE}{new.as_posix()}"
    with translate_errors(uri):
        open_sqlite(uri).engine.dispose()
    new.replace(database)


def _register_git_context() -> None:
    """Register the context provider where no installed distribution declares it."""
    from mlflow.tracking.context import registry

    known = registry._run_context_provider_registry
    if not any(isinstance(provider, GitContext) for provider in known):
        known.register(GitContext)
