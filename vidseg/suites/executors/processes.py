"""In several processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.errors import ResourceError, UsageError
from vidseg.suites.executors.base import ATTEMPTS, Job, JobResult, Work

POLL_SECONDS = 0.5
GUARD = "in a script, call vidseg under `if __name__ == '__main__':`, for each process reads it"


class Processes:
    """Run the cells in ``n`` processes, the machine's threads divided among them.

    The processes stay from one stage of a suite to the next, with the suite that they opened.

    Args:
        n: number of processes.
    """

    contract: ClassVar[int] = 1

    def __init__(self, n: Annotated[int, Field(ge=1)] = 2) -> None:
        self.workers = n
        self._pool: ProcessPoolExecutor | None = None
        self._started: Event | None = None
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise UsageError("a process of the executor would start others", hint=GUARD)

    def run(
        self,
        jobs: Sequence[Job],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Run the jobs; a worker that dies has the jobs run again that were under way.

        Raises:
            ResourceError: no process starts.
        """
        attempts: Counter[int] = Counter()
        left = list(range(len(jobs)))
        while left:
            # a process that dies breaks its pool, and nobody can say which of the jobs under way
            # it was: those are run again one by one, so that only the guilty one is blamed
            suspects = [index for index in left if attempts[index]]
            batch = suspects[:1] or left
            finished, under_way = self._batch(jobs, batch, work, done, stop)
            left = [index for index in left if index not in finished]
            for index in under_way - finished:
                attempts[index] += 1
                if attempts[index] >= ATTEMPTS:
                    done(jobs[index], JobResult(died=f"its process died {ATTEMPTS} times"))
                    left.remove(index)

    def _batch(
        self,
        jobs: Sequence[Job],
        indices: Sequence[int],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> tuple[set[int], set[int]]:
        """Run some jobs in one pool.

        Returns:
            Those that finished, and those that were under way when a process died (all that were
            submitted and did not finish, where that is not known).
        """
        finished: set[int] = set()
        under_way: set[int] = set()
        with self._open() as pool:
            waiting: dict[Future[JobResult], int] = {}
            for index in indices:
                try:
                    waiting[pool.submit(work, jobs[index])] = index
                except BrokenProcessPool:
                    self._broken()
                    break
            while waiting:
                stop()
                running = {index for future, index in waiting.items() if future.running()}
                under_way = running or under_way
                ready, _ = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in ready:
                    index = waiting.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        self._broken()
                        continue
                    done(jobs[index], result)
                    finished.add(index)
        return finished, (under_way - finished) or (set(indices[:1]) - finished)

    def _broken(self) -> None:
        """Leave a pool of which a process died; one in which none started is not tried again."""
        self.close()
        if self._started is not None and not self._started.is_set():
            raise ResourceError("no process starts", where="executor processes", hint=GUARD)

    def close(self) -> None:
        """End the processes, when what they do is done."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[ProcessPoolExecutor]:
        """Yield the pool; its processes end at once when this one is stopped in the middle."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._started = self._started or context.Event()
            self._pool = ProcessPoolExecutor(
                self.workers, context, initializer=_prepare, initargs=(self._started,)
            )
        pool = self._pool
        try:
            yield pool
        except BaseException:
            processes = list((getattr(pool, "_processes", None) or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            self._pool = None
            raise


def _prepare(started: Event) -> None:
    """Leave Ctrl-C to the parent, which then ends this process; end when the parent is gone."""
    started.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # a pool's process waits for work for ever when its parent was killed
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
