"""What an executor plugin is.

A task is plain data (see :mod:`vidseg.suites.worker`): where it runs, it opens the suite by itself
and writes what it finishes into the ledger. An executor returns nothing but outcomes, so a task
that ran twice, or half, costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

Job = dict[str, Any]
JobResult = dict[str, Any]

ATTEMPTS = 3
"""How often a task is started whose worker dies, before its cells count as failed."""


class Executor(Protocol):
    """Runs tasks somewhere (entry-point group ``vidseg.executors``).

    One that holds something between calls of ``run``, such as a cluster, may have a method
    ``close()``: it is called when a suite has no more tasks, or is stopped.

    Attributes:
        workers: how many tasks run at a time; 0 means that the caller does the work itself.
    """

    contract: ClassVar[int]

    @property
    def workers(self) -> int: ...

    def run(
        self,
        tasks: Sequence[Job],
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Run ``vidseg.suites.worker.work`` on every task; return when all are done.

        Args:
            tasks: in any order, independent of each other.
            done: called in the caller's thread with each task and its outcome; the outcome of a
                task whose worker died ``ATTEMPTS`` times is ``{"died": reason}``.
            stop: raises when the user asked to stop; called often.
        """
        ...
