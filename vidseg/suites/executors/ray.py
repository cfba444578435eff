"""On a Ray cluster; a local one is started when no address is given."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from vidseg.errors import PluginError, ResourceError
from vidseg.suites.executors.base import ATTEMPTS, Job, JobResult, Work

POLL_SECONDS = 0.5
PING_SECONDS = 5.0


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
        self._joined = False
        if importlib.util.find_spec("ray") is None:
            raise PluginError(
                "the executor ray needs the package ray", hint="pip install 'vidseg[ray]'"
            )

    def run(
        self,
        jobs: Sequence[Job],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Run the jobs as Ray tasks; Ray runs those of a dead worker again."""
        ray = self._cluster()
        remote = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(work)
        queue = list(jobs)
        running: dict[Any, Job] = {}
        while queue or running:
            stop()
            while queue and len(running) < self.workers:
                job = queue.pop(0)
                running[remote.remote(job)] = job
            ready, _ = ray.wait(list(running), timeout=POLL_SECONDS)
            for reference in ready:
                job = running.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayError as error:
                    result = JobResult(died=" ".join(str(error).split())[:300])
                done(job, result)

    def close(self) -> None:
        """End the cluster that was started here, or leave the one that was joined."""
        if self._joined:
            import ray

            ray.shutdown()
            self._joined = False

    def _cluster(self) -> Any:
        """Return Ray, joined to the cluster; the suite's stages share one.

        Raises:
            ResourceError: there is none.
        """
        import ray

        if self._joined:
            return ray
        where = f"ray {self.address or 'on this machine'}"
        hint = "check the address, or use the executor processes"
        try:
            _ping(self.address or "")
            with _own_sigterm():
                ray.init(
                    ignore_reinit_error=True,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **self._options(),
                )
        except OSError as error:
            reason = error.strerror or str(error).rstrip(".")
            raise ResourceError(f"does not answer: {reason}", where=where, hint=hint) from error
        except (ImportError, RuntimeError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise ResourceError(f"Ray does not start: {reason}", where=where, hint=hint) from error
        self._joined = True
        return ray

    def _options(self) -> dict[str, Any]:
        if self.address:
            return {"address": self.address}
        return {
            "address": "local",  # not the cluster that may run on this machine
            "num_cpus": self.workers,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }


def _ping(address: str) -> None:
    """See that something listens at ``host:port``: Ray itself would retry for minutes.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PING_SECONDS).close()


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep our handler of SIGTERM: Ray's would end the command without closing its run."""
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)
