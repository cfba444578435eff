"""In this process, one cell after the other: the default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from vidseg.suites.executors.base import Job, JobResult


class Local:
    """Run the cells in this process, one after the other."""

    contract: ClassVar[int] = 1
    workers = 0

    def __init__(self) -> None:
        """Take no parameter."""

    def run(
        self,
        tasks: Sequence[Job],
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Run the tasks here, in order."""
        from vidseg.suites.worker import work

        for task in tasks:
            stop()
            done(task, work(task))
