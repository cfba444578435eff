"""In this process, one cell after the other: the default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from vidseg.suites.executors.base import Job, JobResult, Work


class Local:
    """Run the cells in this process, one after the other."""

    contract: ClassVar[int] = 1
    workers = 0

    def __init__(self) -> None:
        """Take no parameter."""

    def run(
        self,
        jobs: Sequence[Job],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Run the jobs here, in order."""
        for job in jobs:
            stop()
            done(job, work(job))
