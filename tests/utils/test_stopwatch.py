"""Seconds of an idle machine, from clocks that a test sets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vidseg.utils.stopwatch import Reading, Stopwatch, read_clocks

NOTHING = Reading(0.0, 0.0, 0.0, 0.0)


def timed(took: Reading, threads: int = 1, wall: bool = False) -> float:
    shown = iter([NOTHING, took])
    return Stopwatch(threads, wall, lambda: next(shown)).seconds(lambda: None)


def test_on_a_busy_machine_only_the_works_own_processor_time_counts() -> None:
    assert timed(Reading(10.0, 1.0, 1.0, 0.0)) == 1.0
    assert timed(Reading(10.0, 1.0, 1.0, 0.0), threads=4) == 1.0


def test_threads_share_the_work() -> None:
    assert timed(Reading(10.0, 1.0, 3.0, 0.0), threads=2) == 1.5
    # one of four threads starts the work, waits, and does what cannot be shared
    assert timed(Reading(10.0, 2.0, 3.0, 0.0), threads=4) == 2.0


def test_a_child_process_is_waited_for() -> None:
    assert timed(Reading(10.0, 0.5, 0.5, 2.0), threads=2) == 2.5


def test_more_processor_time_than_wall_time_is_not_believed() -> None:
    assert timed(Reading(3.0, 1.0, 5.0, 0.0)) == 3.0


def test_the_work_of_a_gpu_is_timed_by_the_wall_clock() -> None:
    assert timed(Reading(10.0, 1.0, 1.0, 0.0), wall=True) == 10.0


@pytest.mark.parametrize(
    ("seconds", "least", "calls"), [([0.5, 0.25, 0.75], 0.25, 3), ([1, 1.5], 1, 2), ([2], 2, 1)]
)
def test_the_least_of_a_few_short_tries(seconds: list[float], least: float, calls: int) -> None:
    def shown() -> Iterator[Reading]:
        now = 0.0
        for each in seconds:
            yield Reading(now, now, now, 0.0)
            now += each
            yield Reading(now, now, now, 0.0)

    clock, done = shown(), []
    watch = Stopwatch(clocks=lambda: next(clock))
    assert watch.least(lambda: done.append(1)) == pytest.approx(least)
    assert len(done) == calls


def test_the_real_clocks_do_not_go_back() -> None:
    before = read_clocks()
    took = read_clocks() - before
    assert min(took.wall, took.thread, took.process, took.children) >= 0
