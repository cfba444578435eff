"""How seconds of fits grow from a few timings."""

from __future__ import annotations

import pytest

from vidseg.suites.growth import Curve, Growth


def test_a_curve_goes_through_its_timings_and_on_as_before() -> None:
    curve = Curve.through([(16, 2.0), (4, 1.0), (64, 8.0)])
    assert [curve(work) for work in (4, 10, 16, 40, 64)] == [1.0, 1.5, 2.0, 5.0, 8.0]
    assert curve(128) == pytest.approx(16.0)
    assert curve(1) == pytest.approx(0.75)


def test_a_curve_never_falls() -> None:
    assert Curve.through([(4, 2.0), (16, 1.0)])(16) == 2.0
    assert Curve.through([(4, 2.0), (16, 1.0)])(32) == 4.0  # nothing is known: in proportion
    assert Curve.through([(4, 1.0), (4, 1.2)])(8) == pytest.approx(2.4)


def test_a_curve_grows_no_faster_than_in_proportion() -> None:
    assert Curve.through([(4, 1.0), (16, 8.0)])(32) == pytest.approx(16.0)


def test_the_slope_of_a_curve_is_that_from_end_to_end() -> None:
    assert Curve.through([(4, 1.0), (16, 3.0), (20, 3.0)]).slope == pytest.approx(0.125)
    assert Curve.through([(4, 1.0), (16, 1.0)]).slope == Curve.through([(16, 1.0)]).slope == 0.0625


def test_further_epochs_are_added() -> None:
    assert Growth(Curve(((1, 110.0), (2, 120.0))), 2.0)(8, 3) == 180.0 + 48.0
