"""Processes of a launcher that fit together: sums, order, failures of one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from vidseg.errors import DataError, Stopped, UsageError
from vidseg.experiment.distributed import (
    ALONE,
    Team,
    check_executor,
    current,
    first_process,
    joined,
    launched,
    team_for,
)
from vidseg.experiment.ledger import Ledger
from vidseg.utils.stop import listening

# a server that has imported torch: each test's processes start from it at once
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launcher(rank: int, world: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }


# ---- what the processes do together; rank 0 alone gets what is own ----


def total(team: Team, numbers: list[float], *, own: str = "") -> tuple[list[float], str]:
    mine = np.array(numbers) * (team.rank + 1)
    return team.reduce(team.reduce(mine) / 2).tolist(), own


def refuse(team: Team) -> None:
    team.reduce(np.ones(1))
    raise DataError("one class only", where="video a")


def fail_in_one(team: Team, guilty: int) -> float:
    team.reduce(np.ones(1))
    if team.rank == guilty:
        raise DataError("is truncated", where="video b, frame 3")
    return float(team.reduce(np.ones(1))[0])


def fail_behind(team: Team) -> None:
    team.reduce(np.ones(1))
    if team.rank == 1:
        raise ZeroDivisionError("of no use")


def die_in_one(team: Team) -> float:
    team.reduce(np.ones(1))
    if team.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(team.reduce(np.ones(1))[0])


def stop_in_one(team: Team, guilty: int) -> float:
    if team.rank == guilty:
        os.kill(os.getpid(), signal.SIGTERM)
    while True:
        team.reduce(np.ones(1))


# ---- what rank 0 does ----


def sums(team: Team, out: Path) -> None:
    assert current() is team
    for count in (3, 100_000):
        found, own = team.run(total, list(range(count)), own="mine")
        assert own == "mine"
        assert found == [3.0 * n for n in range(count)]
    integers = team.run(add_integers)
    assert integers == (2**60 + 1) * 3
    out.write_text("done")


def add_integers(team: Team) -> int:
    found = team.reduce(np.array([(2**60 + 1) * (team.rank + 1)]))
    assert found.dtype == np.int64
    return int(found[0])


def go_on(team: Team, out: Path) -> None:
    for _ in range(2):
        with pytest.raises(DataError, match="video a: one class only"):
            team.run(refuse)
        assert team.run(total, [1.0])[0] == [3.0]
    out.write_text("done")


def lose_one(team: Team, out: Path) -> None:
    team.run(fail_in_one, 1)


def lose_first(team: Team, out: Path) -> None:
    team.run(fail_in_one, 0)


def lose_behind(team: Team, out: Path) -> None:
    team.run(fail_behind)


def lose_dead(team: Team, out: Path) -> None:
    team.run(die_in_one)


def lose_stopped(team: Team, out: Path) -> None:
    team.run(stop_in_one, 1)


def lose_first_stopped(team: Team, out: Path) -> None:
    team.run(stop_in_one, 0)


def member(scenario: Callable[[Team, Path], None], rank: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ.update(launcher(rank, 2, port))
    with listening():
        try:
            with joined() as team:
                scenario(team, out)
        except Stopped as error:
            out.write_text(str(error))
            raise SystemExit(error.exit_code) from error


def play(scenario: Callable[[Team, Path], None], folder: Path) -> tuple[str, list[int | None]]:
    """Run a scenario in two processes; return what the first one wrote, and the exit codes."""
    port, outs = free_port(), [folder / "0", folder / "1"]
    processes: list[BaseProcess] = [
        FORKS.Process(target=member, args=(scenario, rank, port, outs[rank])) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        if process.is_alive():
            process.kill()
    assert not outs[1].exists(), "the first process alone says what happened"
    return outs[0].read_text() if outs[0].exists() else "", [p.exitcode for p in processes]


def test_sums_are_those_of_all_processes(tmp_path: Path) -> None:
    assert play(sums, tmp_path) == ("done", [0, 0])


def test_what_all_refuse_is_an_error_and_the_next_part_works(tmp_path: Path) -> None:
    assert play(go_on, tmp_path) == ("done", [0, 0])


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (lose_one, "process 2 of 2: video b, frame 3: is truncated"),
        (lose_first, "video b, frame 3: is truncated"),
        (lose_behind, "process 2 of 2: ZeroDivisionError: of no use"),
        (lose_stopped, "process 2 of 2: stopped by SIGTERM"),
    ],
)
def test_one_that_fails_ends_all(
    tmp_path: Path, scenario: Callable[[Team, Path], None], expected: str
) -> None:
    said, codes = play(scenario, tmp_path)
    assert said.startswith(expected)
    assert codes[0] == 1
    assert codes[1] in (0, 1, 143)


def test_the_first_that_is_stopped_ends_all(tmp_path: Path) -> None:
    said, codes = play(lose_first_stopped, tmp_path)
    assert said.startswith("stopped by SIGTERM")
    assert codes[0] == 143
    assert codes[1] in (0, 1)


def test_one_that_is_killed_ends_the_first(tmp_path: Path) -> None:
    said, codes = play(lose_dead, tmp_path)
    assert "another process of this run ended" in said
    assert codes == [1, -signal.SIGKILL]


# ---- without a launcher, and beside one ----


def test_without_a_launcher_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    array = np.ones(2)
    with joined() as team:
        assert team is ALONE is current()
        assert (team.rank, team.world) == (0, 1)
        assert team.reduce(array) is array
        assert team.run(total, [2.0], own="x") == ([1.0], "x")
    assert not launched()
    assert first_process()
    check_executor(2)


def test_workers_beside_a_launcher_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in launcher(1, 2, 1).items():
        monkeypatch.setenv(name, value)
    assert launched()
    assert not first_process()
    with pytest.raises(UsageError, match="--executor: a launcher started 2 processes"):
        check_executor(2)
    check_executor(0)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launched()


def test_a_cell_is_shared_where_classifier_and_frames_allow_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vidseg.classifiers.linear.pixel_svm import PixelSvm
    from vidseg.classifiers.linear.sgd import Sgd
    from vidseg.experiment import distributed

    team = Team(0, 3)
    monkeypatch.setattr(distributed, "_current", [ALONE, team])
    assert team_for(PixelSvm(), 3) is team
    assert team_for(PixelSvm(), 2) is ALONE
    assert team_for(Sgd(), 300) is ALONE


# ---- the command line ----

RUN = [
    *("run", "--dataset", "synthetic:videos=3,frames=6", "--image-size", "48x32"),
    *("--sampler", "successive:n=3", "--extractor", "filters:octaves=2", "--threads", "1"),
    *("--split", "fixed:test=syn00", "--no-refit"),
    *("--classifier", "pixel_svm:tolerance=1e-10,C=0.1"),
]


def command(folder: Path, name: str, world: int, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable]
    if world > 1:
        words += ["-m", "torch.distributed.run", "--nproc-per-node", str(world)]
        words += ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    words += ["-m", "vidseg", *RUN, *more, "--ledger", str(folder / name)]
    words += ["--tracking-uri", f"sqlite:///{folder / name}.db", "--store", str(folder / "store")]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        words,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_torchrun_does_what_one_process_does(tmp_path: Path) -> None:
    one, two = (command(tmp_path, name, world) for name, world in (("one", 1), ("two", 2)))
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert two.stdout.count("mean over groups") == 1
    assert two.stderr.count("cell 1 of 1") == one.stderr.count("cell 1 of 1") == 1
    found = []
    for name in ("one", "two"):
        ledger = Ledger(tmp_path / name)
        (file,) = ledger.root.rglob("fit.json")
        stage = ledger.read(file.parent.name, "fit")
        assert stage is not None
        assert stage.model is not None
        found.append((file.parent.name, stage.result["facts"], stage.model.load()))
        assert len(list(file.parent.glob("score-*.json"))) == 1
        assert not (file.parent / "work").exists()
        with sqlite3.connect(tmp_path / f"{name}.db") as store:
            assert store.execute("select status from runs").fetchall() == [("FINISHED",)]
    (key, alone, state), (same_key, shared, same_state) = found
    assert key == same_key
    assert (shared["processes"], "processes" in alone) == (2, False)
    assert shared["points"] == alone["points"]
    assert shared["objective"] == pytest.approx(alone["objective"], rel=1e-8)
    for name, array in state.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(same_state[name], array, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_what_is_refused_under_torchrun_is_said_once(tmp_path: Path) -> None:
    done = command(tmp_path, "ledger", 2, "--sampler", "successive:n=30")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("vidseg: error: ")]
    assert len(said) == 1
    assert "needs 30 frames, the video has 6" in said[0]
    done = command(tmp_path, "ledger", 2, "--executor", "processes")
    said = [line for line in done.stderr.splitlines() if line.startswith("vidseg: error: ")]
    assert said == [
        "vidseg: error: --executor: a launcher started 2 processes, which fit cells together; "
        "leave it out, or start the command without the launcher"
    ]
