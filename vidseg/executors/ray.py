"""On a Ray cluster; a local one is started when no address is given."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from vidseg.errors import PluginError, ResourceError
from vidseg.executors.base import ATTEMPTS, Outcome, Task

POLL_SECONDS = 0.5


class Ray:
    """Run the cells as Ray tasks (``pip install 'vidseg[ray]'``).

    The nodes must see the same data, store and ledger folders, and have vidseg installed.

    Args:
        address: of an existing cluster, such as ``ray://head:10001`` or ``auto``; null starts one
            on this machine for the length of the suite.
        n: how many cells run at a time, and how many CPUs a local cluster has.
    """

    contract: ClassVar[int] = 1

    def __init__(self, address: str | None = None, n: Annotated[int, Field(ge=1)] = 2) -> None:
        self.address, self.workers = address, n
        if importlib.util.find_spec("ray") is None:
            raise PluginError(
                "the executor ray needs the package ray", hint="pip install 'vidseg[ray]'"
            )

    def run(
        self,
        tasks: Sequence[Task],
        done: Callable[[Task, Outcome], None],
        stop: Callable[[], None],
    ) -> None:
        """Run the tasks; Ray runs those of a dead worker again."""
        with self._cluster() as ray:
            remote = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(_work)
            queue = list(tasks)
            running: dict[Any, Task] = {}
            while queue or running:
                stop()
                while queue and len(running) < self.workers:
                    task = queue.pop(0)
                    running[remote.remote(task)] = task
                ready, _ = ray.wait(list(running), timeout=POLL_SECONDS)
                for reference in ready:
                    task = running.pop(reference)
                    try:
                        outcome = ray.get(reference)
                    except ray.exceptions.RayError as error:
                        outcome = {"died": " ".join(str(error).split())[:300]}
                    done(task, outcome)

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Any]:
        import ray

        options: dict[str, Any] = (
            {"address": self.address}
            if self.address
            else {
                "num_cpus": self.workers,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }
        )
        try:
            ray.init(ignore_reinit_error=True, log_to_driver=False, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ResourceError(
                f"Ray does not start: {error}",
                where=f"ray {self.address or 'on this machine'}",
                hint="check the address, or use the executor processes",
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _work(task: Task) -> Outcome:
    from vidseg.suites.worker import work

    return work(task)
