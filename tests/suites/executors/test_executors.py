"""Executors: the same numbers everywhere, and workers that die."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT
from tests.helpers import trees
from tests.helpers.deadly import deadly, deadly_job
from tests.helpers.suites import InTurn, Place, install, numbers
from vidseg import plugins
from vidseg.errors import PluginError, ResourceError, Stopped
from vidseg.suites.executors.base import ATTEMPTS, Job, JobResult
from vidseg.suites.executors.processes import Processes
from vidseg.suites.executors.ray import Ray

SGD = {"s": {"extractor": "filters:octaves=1", "classifier": "sgd:epochs=2"}}


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run jobs in processes; return the result of each, and how often each was begun."""
    # workers find the tests as the parent does
    monkeypatch.syspath_prepend(str(ROOT))

    def run(*todo: str, n: int = 2) -> tuple[dict[str, JobResult], Counter[str]]:
        jobs = [deadly_job(tmp_path, str(i), do) for i, do in enumerate(todo)]
        results: dict[str, JobResult] = {}

        def take(job: Job, result: JobResult) -> None:
            assert job.cells[0] not in results, "told twice"
            results[job.cells[0]] = result

        Processes(n).run(jobs, deadly, take, lambda: None)
        return results, Counter(path.name.split(".")[0] for path in tmp_path.iterdir())

    return run


def test_every_task_is_done_once(done: Any) -> None:
    results, begun = done(*["work"] * 7)
    assert set(results) == set(begun) == {str(i) for i in range(7)}
    assert set(begun.values()) == {1}
    assert done()[0] == {}


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_only_the_guilty_task_is_blamed(done: Any, death: str) -> None:
    results, begun = done("work", death, "work", "work", "work")
    assert set(results) == {str(i) for i in range(5)}
    assert [name for name, result in results.items() if result.died] == ["1"]
    assert f"died {ATTEMPTS} times" in results["1"].died
    # a death so early that nobody saw the task begin is not counted
    assert ATTEMPTS <= begun["1"] <= ATTEMPTS + 1
    assert all(begun[name] <= 2 for name in "0234")


def test_a_worker_that_dies_once_has_its_tasks_done_again(done: Any) -> None:
    results, begun = done("work", "die once", "work")
    assert not any(result.died for result in results.values())
    assert len(results) == 3
    assert begun["1"] == 2


def test_nothing_but_deaths(done: Any) -> None:
    results, begun = done("exit", "kill", n=2)
    assert all(result.died for result in results.values())
    assert all(count <= ATTEMPTS for count in begun.values())


def test_stop_ends_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    jobs = [deadly_job(tmp_path, str(i), "sleep") for i in range(4)]

    def stop() -> None:
        if len(list(tmp_path.iterdir())) >= 2:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        Processes(2).run(jobs, deadly, lambda job, result: None, stop)
    gone([int(path.name.split(".")[2]) for path in tmp_path.iterdir()])


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    code = (
        "from tests.helpers.deadly import deadly, deadly_job\n"
        "from vidseg.suites.executors.processes import Processes\n"
        "if __name__ == '__main__':\n"
        f"    jobs = [deadly_job({str(tmp_path)!r}, 'a', 'sleep')] * 2\n"
        "    Processes(2).run(jobs, deadly, print, lambda: None)\n"
    )
    script = tmp_path.parent / f"{tmp_path.name}.py"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script)], env=environment)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(path.name.split(".")[2]) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    gone(workers)


def gone(pids: list[int]) -> None:
    """Assert that processes end within a few seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(map(lives, pids)):
        time.sleep(0.05)
    assert not any(map(lives, pids))


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    "classifier", ["sgd:epochs=2", pytest.param("pixel_svm", marks=pytest.mark.slow)]
)
def test_processes_give_the_bits_of_one_process(tmp_path: Path, classifier: str) -> None:
    noisy = {"sampler": "noised:base=1,copies=2,window=4"}
    changes: dict[str, Any] = {
        "pipelines": {"p": {"extractor": "filters:octaves=1", "classifier": classifier}},
        "arms": {"one": {"sampler": 1}, "four": {"sampler": "window:n=4"}, "noisy": noisy},
        "comparisons": [],
        "dataset": "synthetic:videos=2,frames=6,size=64x48",
    }
    here, there = Place(tmp_path / "here"), Place(tmp_path / "there")
    local, plan = here.run(here.bench(**changes))
    processes, same = there.run(there.bench(**changes), Processes(2))
    assert not processes.failures
    assert numbers(processes) == numbers(local)
    assert {c: f.key for c, f in processes.finished.items()} == {
        c: f.key for c, f in local.finished.items()
    }
    assert plan["forwards_announced"] == same["forwards_announced"]
    assert processes.forwards == local.forwards
    assert plan["forwards_exact"] or classifier == "pixel_svm", "it reads as often as it needs"
    if plan["forwards_exact"]:
        assert local.forwards == plan["forwards_announced"]


@pytest.mark.slow
def test_a_fit_that_kills_its_process_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package" / "quick-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: quick\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[vidseg.classifiers]\nquick = tests.helpers.suites:Quick\n"
    )
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.syspath_prepend(str(package.parent))
    place = Place(tmp_path)
    deadly_fit = {"extractor": "filters:octaves=1", "classifier": "quick:trouble=die,videos=syn00"}
    bench = place.bench(
        pipelines={"q": {**deadly_fit, "classifier": "quick"}, "bad": deadly_fit},
        arms={"one": {"sampler": 1}},
        comparisons=[],
    )
    results, _ = place.run(bench, Processes(2))
    failed = {c.id for c in bench.cells if c.pipeline == "bad" and "syn00" in c.fold.train}
    assert set(results.failures) == failed
    assert all(f"died {ATTEMPTS} times" in text for text in map(str, results.failures.values()))
    assert len(results.finished) == len(bench.cells) - len(failed)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_ray_that_is_not_installed_is_one_line() -> None:
    with pytest.raises(PluginError, match=r"needs the package ray; pip install 'vidseg\[ray\]'"):
        plugins.create("executor", "ray")


def test_executors_that_are_not_meant() -> None:
    with pytest.raises(PluginError, match="n=0 is refused"):
        plugins.create("executor", "processes:n=0")
    with pytest.raises(PluginError, match="did you mean 'processes'"):
        plugins.create("executor", "process")


class Closing(InTurn):
    """Notes its stages and that it was closed; stops the suite in the stage of that name."""

    def __init__(self, end: str = "") -> None:
        super().__init__()
        self.end, self.calls = end, list[str]()

    def run(self, jobs: Any, work: Any, done: Any, stop: Any) -> None:
        self.calls.append(jobs[0].stage)
        if self.calls[-1] == self.end:
            raise Stopped("enough")
        super().run(jobs, work, done, stop)

    def close(self) -> None:
        self.calls.append("closed")


def test_executors_are_closed_when_the_suite_is_done_or_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    place, stopped, done = Place(tmp_path), Closing("fit"), Closing()
    with pytest.raises(Stopped):
        place.run(executor=stopped)
    assert stopped.calls == ["features", "fit", "closed"]
    place.run(executor=done)
    assert done.calls == ["features", "fit", "score", "closed"]


def test_workers_elsewhere_find_relative_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    for name in "abc":
        trees.mot_sequence(tmp_path / "data" / "mot", name, frames=6, seed=ord(name))
    here, there = tmp_path / "here", tmp_path / "there"

    class Elsewhere(InTurn):
        def run(self, jobs: Any, work: Any, done: Any, stop: Any) -> None:
            os.chdir(there)
            os.environ.pop("VIDSEG_DATA")
            super().run(jobs, work, done, stop)

    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("VIDSEG_DATA", "../data")
    place = Place(tmp_path)
    executor = Elsewhere()
    results, _ = place.run(place.bench(dataset="mot:mot"), executor)
    assert not results.failures
    assert [job.stage for job in executor.asked].count("fit") == 6, "done by the workers"


def fake_ray(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    """Put a module in the place of Ray; return its calls."""
    calls: list[Any] = []
    module = types.ModuleType("ray")
    module.init = lambda **options: calls.append(options)  # type: ignore[attr-defined]
    module.shutdown = lambda: calls.append("shutdown")  # type: ignore[attr-defined]
    for name, value in changes.items():
        setattr(module, name, value)
    module.__spec__ = importlib.machinery.ModuleSpec("ray", None)
    monkeypatch.setitem(sys.modules, "ray", module)
    return calls


def test_ray_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for scheme in ("", "ray://"):
        executor = Ray(f"{scheme}127.0.0.1:{port}")
        with pytest.raises(ResourceError, match=r"does not answer: Connection refused; check"):
            executor._cluster()
    assert not calls


def test_ray_leaves_the_signal_and_ends_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        assert options["address"] == "local", "another cluster of this machine is not meant"
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    calls = fake_ray(monkeypatch, init=init)
    ours = signal.getsignal(signal.SIGTERM)
    executor = Ray()
    executor.close()
    assert not calls, "nothing was started"
    executor._cluster()
    executor._cluster()
    assert signal.getsignal(signal.SIGTERM) == ours
    executor.close()
    executor.close()
    assert calls == ["shutdown"]


@pytest.mark.slow
def test_a_local_ray_cluster_gives_the_bits_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    changes: dict[str, Any] = {"pipelines": SGD, "comparisons": []}
    here, there = Place(tmp_path / "here"), Place(tmp_path / "there")
    local, _ = here.run(here.bench(**changes))
    ray, _ = there.run(there.bench(**changes), Ray(n=2))
    import ray as module

    assert not module.is_initialized()
    assert not ray.failures
    assert numbers(ray) == numbers(local)
    assert ray.forwards == local.forwards


def test_processes_stay_from_one_stage_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    executor = Processes(1)
    for name in ("a", "b"):
        executor.run([deadly_job(tmp_path, name, "work")], deadly, print, lambda: None)
    (worker,) = {int(path.name.split(".")[2]) for path in tmp_path.iterdir()}
    assert lives(worker)
    executor.close()
    gone([worker])
    executor.run([deadly_job(tmp_path, "c", "work")], deadly, print, lambda: None)
    executor.close()
    assert len({path.name.split(".")[2] for path in tmp_path.iterdir()}) == 2


def test_a_script_without_a_guard_is_refused(tmp_path: Path) -> None:
    """Each process imports the script, which would start processes in turn."""
    script = tmp_path / "script.py"
    script.write_text(
        "from vidseg.suites.executors.base import Job\n"
        "from vidseg.suites.executors.processes import Processes\n"
        "from tests.helpers.deadly import deadly\n"
        "print('read')\n"
        "Processes(1).run([Job({}, 'fit', ('a',))], deadly, print, lambda: None)\n"
    )
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 1
    assert ran.stdout.splitlines() == ["read", "read"]
    assert "vidseg.errors.UsageError: a process of the executor would start others" in ran.stderr
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("vidseg.errors.ResourceError: executor processes: no process starts")
    assert "`if __name__ == '__main__':`" in last
