"""Seconds that work would take on an idle machine, from the processor time that it takes now.

The wall clock of a busy machine also counts the time in which others have the processors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

TRIES, SHORT = 3, 2.0
"""How often short work is timed, and the seconds that the tries may take together."""


@dataclass(frozen=True)
class Reading:
    """Four clocks, in seconds.

    Attributes:
        wall: since any moment.
        thread: processor time of this thread.
        process: processor time of all threads of this process.
        children: processor time of its children that have ended.
    """

    wall: float
    thread: float
    process: float
    children: float

    def __sub__(self, before: Reading) -> Reading:
        return Reading(
            self.wall - before.wall,
            self.thread - before.thread,
            self.process - before.process,
            self.children - before.children,
        )


def read_clocks() -> Reading:
    """Return what the clocks say now."""
    times = os.times()
    return Reading(
        time.perf_counter(),
        time.thread_time(),
        time.process_time(),
        times.children_user + times.children_system,
    )


@dataclass(frozen=True)
class Stopwatch:
    """Times work.

    Attributes:
        threads: on so many the work may be done.
        wall: take the wall clock: a GPU does the work, and processor time does not show it.
        clocks: reads them.
    """

    threads: int = 1
    wall: bool = False
    clocks: Callable[[], Reading] = read_clocks

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the seconds of some work, done once.

        The thread that starts the work takes part in it, or waits: for a child that does it, or for
        other threads, of which no more than ``threads`` are at work.
        """
        before = self.clocks()
        work()
        return self.since(before)

    def since(self, before: Reading) -> float:
        """Return the seconds of what was done since a reading of the clocks."""
        took = self.clocks() - before
        if self.wall:
            return took.wall
        own = max(took.thread, took.process / self.threads)
        return min(took.wall, own + took.children)

    def least(self, work: Callable[[], object]) -> float:
        """Return the least seconds of a few tries, if they are short."""
        found = [self.seconds(work)]
        while len(found) < TRIES and sum(found) < SHORT:
            found.append(self.seconds(work))
        return min(found)
