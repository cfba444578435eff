"""What an executor plugin is, and the jobs that it runs.

A job says what to do, not with what: where it runs, the suite is opened from its context, and what
is finished is written into the ledger. An executor hands back only how a job ended, so a job that
ran twice, or half, costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from vidseg.errors import StoreError, VidsegError

ATTEMPTS = 3
"""How often a job is started whose worker dies, before its cells count as failed."""

JobStage = Literal["features", "fit", "score"]


@dataclass(frozen=True)
class Job:
    """A part of a suite; can be pickled.

    Attributes:
        context: what all jobs of a suite have in common, plain data: the suite and its folders.
        stage: what is done: features into the store, fits or scores into the ledger.
        cells: ids of the cells that are fitted, or scored together; none for features.
        video: whose features are computed.
        frames: the video's frames whose features are wanted, by pipeline.
    """

    context: Mapping[str, Any]
    stage: JobStage
    cells: tuple[str, ...] = ()
    video: str = ""
    frames: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class JobResult:
    """How a job ended; can be pickled.

    Attributes:
        failures: errors by id of the cells that failed.
        forwards: extractor forwards that were done.
        fatal: an error that ends the whole suite, such as a full disk.
        died: why its worker died, every time; set by executors.
    """

    failures: Mapping[str, VidsegError] = field(default_factory=dict)
    forwards: int = 0
    fatal: StoreError | None = None
    died: str | None = None


Work = Callable[[Job], JobResult]
"""Does a job; a function of a module, so that it can be pickled by its name."""


class Executor(Protocol):
    """Runs jobs somewhere (entry-point group ``vidseg.executors``).

    One that holds something between calls of ``run``, such as a cluster, may have a method
    ``close()``: it is called when a suite has no more jobs, or is stopped.

    Attributes:
        workers: how many jobs run at a time; 0 means that the caller does the work itself.
    """

    contract: ClassVar[int]

    @property
    def workers(self) -> int: ...

    def run(
        self,
        jobs: Sequence[Job],
        work: Work,
        done: Callable[[Job, JobResult], None],
        stop: Callable[[], None],
    ) -> None:
        """Call ``work`` on every job, wherever that is; return when all are done.

        Args:
            jobs: in any order, independent of each other.
            work: does one job; it raises nothing that belongs to a cell.
            done: called in the caller's thread with each job and its result; the result of a job
                whose worker died ``ATTEMPTS`` times has ``died``.
            stop: raises when the user asked to stop; called often.
        """
        ...
