"""The tracking store: found, pinged, made once, and cleared of dead runs."""

from __future__ import annotations

import http.server
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from vidseg.errors import TrackingError, UnreachableError, UsageError
from vidseg.tracking import processes, store


def test_uri_is_the_option_then_the_environment_then_sqlite_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.resolve() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert store.resolve() == "http://somewhere:5000"
    assert store.resolve("sqlite:///a/b.db") == f"sqlite:///{tmp_path / 'a' / 'b.db'}"


@pytest.mark.parametrize(
    "uri",
    ["mlruns", "./mlruns", "file:///tmp/mlruns", "C:\\runs", "sqlite://", "sqlite:///:memory:"],
)
def test_stores_that_are_no_files_are_refused(uri: str) -> None:
    with pytest.raises(UsageError, match=r"sqlite:///mlflow\.db"):
        store.connect(uri)


def test_dead_server_is_one_line_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}"
    begin = time.monotonic()
    with pytest.raises(TrackingError, match=r"does not answer.*mlflow server") as caught:
        store.connect(uri)
    assert time.monotonic() - begin < store.PING_SECONDS
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_server_that_went_away_is_told_in_a_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = store.load_mlflow()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    begin = time.monotonic()
    with (
        pytest.raises(UnreachableError) as caught,
        store.no_retries(),
        store.translate_errors(uri),
    ):
        mlflow.MlflowClient(uri).get_run("a" * 32)
    assert time.monotonic() - begin < 2, "no second try"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert caught.value.what == "the tracking server does not answer (Connection refused)"
    assert caught.value.where == uri


def test_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PING_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TrackingError, match="timed out"):
            store.connect(f"http://127.0.0.1:{port}")


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers everything with one status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("answering", [502, 503], indirect=True)
def test_proxy_without_its_server_is_dead(answering: str) -> None:
    with pytest.raises(TrackingError, match="HTTP 50"):
        store.connect(answering)


@pytest.mark.parametrize("answering", [200, 401, 404], indirect=True)
def test_any_other_answer_is_an_answer(answering: str) -> None:
    store.ping(answering)


def test_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot make or open"):
        store.connect(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to look at" * 40)
    with pytest.raises(TrackingError, match="not a database"):
        store.connect(f"sqlite:///{tmp_path}/mlflow.db")


def test_database_of_another_mlflow_says_how_to_upgrade(tracking: str) -> None:
    file = store.sqlite_file(tracking)
    assert file is not None
    old = file.with_name("old.db")
    old.write_bytes(file.read_bytes())
    with sqlite3.connect(old) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ff01da956556'")
    connection.close()
    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        store.connect(f"sqlite:///{old}")


WORKER = """
import sys, time
while time.time() < float(sys.argv[2]): time.sleep(0.01)
from vidseg.tracking.store import connect
from vidseg.tracking.run import open_run
uri = connect(sys.argv[1])
with open_run("together", sys.argv[3], params={"worker": sys.argv[3]}): pass
"""


def test_processes_that_first_touch_a_store_at_once_share_it(tmp_path: Path) -> None:
    file = tmp_path / "with space" / "mlflow.db"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    begin = str(time.time() + 1)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, f"sqlite:///{file}", begin, str(number)],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
        homes = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        (check,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    assert rows == [("0", "FINISHED"), ("1", "FINISHED")]
    assert check == "ok"
    assert all(home.startswith(str(file.parent / "mlruns")) for (home,) in homes)
    assert sorted(p.name for p in file.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_store_whose_maker_was_killed_is_made_again(
    tmp_path: Path,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a killed process leaves is a file under the other name, half made."""
    half = tmp_path / "mlflow.db.new"
    half.write_bytes(migrated.read_bytes()[:4096])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    uri = store.connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert store.open_sqlite(uri).search_experiments()
    assert not half.exists()


def start(uri: str, tags: dict[str, str]) -> str:
    import mlflow

    run = mlflow.MlflowClient(uri).create_run("0", tags=tags)
    return str(run.info.run_id)


def status(uri: str, run_id: str) -> str:
    import mlflow

    return str(mlflow.MlflowClient(uri).get_run(run_id).info.status)


def dead_pid() -> str:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    return str(gone.pid)


def test_reap_closes_dead_runs_of_this_host_only(tracking: str) -> None:
    mine = processes.process_tags()
    namespace = {processes.NAMESPACE: "pid:[1]", processes.PID: dead_pid()}
    dead = [
        start(tracking, {**mine, processes.PID: dead_pid()}),
        start(tracking, {**mine, processes.STARTED: "12345.0"}),
        start(tracking, {**mine, processes.BOOT: "another boot"}),
    ]
    alive = [
        start(tracking, mine),
        start(tracking, {**mine, processes.HOST: "elsewhere", processes.PID: dead_pid()}),
        start(tracking, {**mine, **namespace}),
        start(tracking, {}),
        start(tracking, {processes.HOST: mine[processes.HOST]}),
    ]
    assert sorted(processes.reap(tracking)) == sorted(dead)
    assert {status(tracking, run) for run in dead} == {"KILLED"}
    assert {status(tracking, run) for run in alive} == {"RUNNING"}
    assert processes.reap(tracking) == []


def test_run_that_was_killed_is_reaped_by_the_next(tracking: str) -> None:
    from vidseg.tracking.run import open_run

    told: list[str] = []
    run_id = start(tracking, {**processes.process_tags(), processes.PID: dead_pid()})
    with open_run("next", "next", notice=told.append):
        assert status(tracking, run_id) == "KILLED"
    assert len(told) == 1
    assert run_id in told[0]
