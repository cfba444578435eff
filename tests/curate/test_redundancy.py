"""Near copies at each spacing, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.curate.redundancy import NEAR, covered, is_near, redundancy


def line(*steps: float) -> np.ndarray:
    """Return descriptors on a line, so many near-copy distances apart."""
    return np.cumsum(np.array(steps))[:, None] * NEAR * np.ones((1, 1))


def test_every_frame_is_kept_a_near_copy_or_another():
    still, moving = line(*[0] * 10), line(*[2] * 20)
    two, five, ten = redundancy([still, moving], [25.0, 10.0])
    assert (two.every, five.every, ten.every) == (2, 5, 10)
    assert two.kept == pytest.approx(15 / 30)
    assert two.near == pytest.approx(5 / 30), "the still video's"
    assert two.other == pytest.approx(10 / 30)
    assert (five.kept, five.near) == (pytest.approx(6 / 30), pytest.approx(8 / 30))
    assert ten.seconds == (0.4, 1.0)
    for one in (two, five, ten):
        assert one.kept + one.near + one.other == pytest.approx(1)


def test_without_a_frame_rate_there_are_no_seconds():
    assert redundancy([line(0, 0, 0)], [None])[0].seconds is None
    assert redundancy([line(0)], [25.0]) == []


def test_the_kept_frame_that_is_nearest_in_time_counts():
    points = line(0, 0.5, 5, 0.9, 0.9)
    assert is_near(points, [0, 3]).tolist() == [True, True, True, True, True]
    assert is_near(points, [0]).tolist() == [True, True, False, False, False]
    assert is_near(points, [4]).tolist() == [False, False, False, True, True]
    assert not is_near(points, []).any()


def test_covered_looks_at_all_chosen_frames():
    there_and_back = line(0, 5, -5, 5)
    assert covered(there_and_back, [0]) == 0.5
    assert covered(there_and_back, [0, 1]) == 1.0
    assert covered(there_and_back, []) == 0.0
