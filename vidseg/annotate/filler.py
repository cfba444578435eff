"""Tracks the gaps between key boxes in a thread of its own, while the page is being used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from vidseg.errors import VidsegError
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.fill import Filled, Method, fill
from vidseg.trackers.gaps import Gap, Runs
from vidseg.trackers.run import Frames, run_gaps, updates
from vidseg.types import Size


@dataclass(frozen=True)
class Job:
    """One gap to fill.

    Attributes:
        gap: its ``track`` is the object's id.
        tracker: spec; unused by the method ``linear``.
        method: how.
        first: goes before jobs that are not, and interrupts them.
    """

    gap: Gap
    tracker: str
    method: Method
    first: bool = False

    @property
    def place(self) -> tuple[int, int, int]:
        """Object and frames: a new job of the same place replaces the old one."""
        return self.gap.track, self.gap.first, self.gap.last


class _InterruptedError(Exception):
    """The gaps at work are set aside, or stopped."""


@dataclass
class FillState:
    """How far it is: steps done and in all, the objects at work, the last error."""

    done: int = 0
    total: int = 0
    ids: list[int] = field(default_factory=list)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it for the page."""
        return {"done": self.done, "total": self.total, "ids": self.ids, "error": self.error}


class Filler:
    """Fills gaps one after the other; jobs that go first interrupt the others.

    Args:
        frames: of the video.
        size: of the frames.
        write: takes a finished gap, in the filler's thread.
    """

    def __init__(self, frames: Frames, size: Size, write: Callable[[Gap, Filled], None]) -> None:
        self._frames, self._size, self._write = frames, size, write
        self._waiting: dict[tuple[int, int, int], Job] = {}
        self._changed = threading.Condition()
        self._interrupt = self._closed = False
        self.state = FillState()
        self._thread = threading.Thread(target=self._work, name="fill", daemon=True)
        self._thread.start()

    def add(self, jobs: Iterable[Job]) -> None:
        """Take further jobs."""
        taken = list(jobs)
        if not taken:
            return
        with self._changed:
            self.state.error = ""
            for job in taken:
                self._waiting.pop(job.place, None)
                self._waiting[job.place] = job
                self._interrupt |= job.first
            self._count()
            self._changed.notify_all()

    def stop(self) -> None:
        """Forget all jobs; what is finished stays."""
        with self._changed:
            self._waiting.clear()
            self._interrupt = True
            self._count()

    def wait(self, seconds: float) -> bool:
        """Return whether all jobs are done after at most some seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = self._interrupt = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                self._interrupt = False
                jobs = self._next()
            try:
                self._fill(jobs)
            except _InterruptedError:
                continue
            except VidsegError as error:
                self._failed(jobs, str(error))
            except Exception as error:
                text = " ".join(str(error).split())[:200]
                self._failed(jobs, f"this should not happen: {type(error).__name__}: {text}")

    def _next(self) -> list[Job]:
        """Return the jobs that one pass can do: of one tracker and method."""
        jobs = [job for job in self._waiting.values() if job.first] or [*self._waiting.values()]
        way = jobs[0].tracker, jobs[0].method
        return [job for job in jobs if (job.tracker, job.method) == way]

    def _fill(self, jobs: list[Job]) -> None:
        by_gap = {job.gap: job for job in jobs}
        method = jobs[0].method
        runs: Iterable[tuple[Gap, Runs | None]]
        if method == "linear":
            runs = [(gap, None) for gap in by_gap]
        else:
            source = TrackerSource.of(jobs[0].tracker)
            runs = run_gaps(self._frames, by_gap, source, self._size, bar=self, stop=self._check)
        for gap, found in runs:
            self._check()
            self._write(gap, fill(gap, found, method))
            self._finished(by_gap[gap])

    def advance(self, steps: float = 1) -> None:
        """Count a step of a tracker."""
        self.state.done += int(steps)

    def _check(self) -> None:
        if self._interrupt:
            raise _InterruptedError

    def _finished(self, job: Job) -> None:
        with self._changed:
            if self._waiting.get(job.place) is job:
                del self._waiting[job.place]
            if not self._waiting:
                self._count()
            self._changed.notify_all()

    def _failed(self, jobs: list[Job], what: str) -> None:
        with self._changed:
            for job in jobs:
                if self._waiting.get(job.place) is job:
                    del self._waiting[job.place]
            self._count()
            self.state.error = what
            self._changed.notify_all()

    def _count(self) -> None:
        gaps = [job.gap for job in self._waiting.values()]
        self.state.total, self.state.done = updates(gaps), 0
        self.state.ids = sorted({gap.track for gap in gaps})
