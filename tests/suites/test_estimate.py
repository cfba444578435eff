"""The estimate of a suite's time: what is timed, and how it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.suites import COUNTS, Place, install
from vidseg.experiment.training import TrainingFrames
from vidseg.suites import estimate
from vidseg.suites.estimate import Rate, Times, calibrate
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.plan import describe_plan, make_plan

KNOWN = Times(1.0, Rate(100.0, 10.0), None, 0.0, 0.5, 0.25, 2.0, 0.125)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def planned(bench: OpenedSuite) -> dict[str, Any]:
    plan = make_plan(bench, bench.cells)
    return plan | calibrate(bench, bench.cells, plan)


def test_a_rate_goes_through_two_timings_and_never_falls() -> None:
    assert Rate.through((4, 1.0), (16, 2.2))(100) == pytest.approx(10.6)
    assert Rate.through((4, 2.0), (16, 1.0))(32) == pytest.approx(2.0)
    assert Rate.through((4, 1.0), (4, 1.2))(8) == pytest.approx(2.4)
    assert Rate.through((4, 1.0), (16, 8.0))(32) == pytest.approx(16.0)


def test_fits_and_scores_of_every_cell_are_counted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_times", lambda opened, cells: KNOWN)
    plan = planned(place.bench())
    # three folds: `one` trains on 2 frames, `four` on 8; each tests 8 frames
    assert plan["seconds_fits"] == 3 * (2 * 100 + 10 * (2 + 8))
    assert plan["seconds_scoring"] == 3 * (8 * (0.5 + 2 * 0.25 + 2 * 2.0) + 0.125 * (2 + 8))
    assert plan["seconds_forwards"] == plan["forwards_announced"] == 24
    assert "about 17 min in one process" in describe_plan(plan)
    assert "24 s for frames and features, 15 min for fits" in describe_plan(plan)


def test_readings_of_a_fit_count_as_often_as_there_are_epochs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_times", lambda opened, cells: KNOWN)
    often = {"q": {"extractor": "filters:octaves=1", "classifier": "quick:reading=5"}}
    assert planned(place.bench(pipelines=often))["seconds_fits"] == 3 * (2 * 100 + 50 * (2 + 8))


def test_inner_fits_of_a_grid_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Times(1.0, Rate(100.0, 10.0), Rate(1000.0, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0)
    monkeypatch.setattr(estimate, "_times", lambda opened, cells: known)
    tuned = {
        "q": {
            "extractor": "filters:octaves=1",
            "classifier": "quick",
            "tune": {"reading": [1, 2]},
        }
    }
    plain = 3 * (2 * 100 + 10 * (2 + 8))
    # two training groups, so two inner folds in each of six cells
    assert planned(place.bench(pipelines=tuned))["seconds_fits"] == plain + 6 * 2 * 1000


def test_a_real_estimate_fits_a_few_frames_only_and_keeps_no_cell(place: Place) -> None:
    bench = place.bench()
    COUNTS.clear()
    plan = planned(bench)
    assert 0 < COUNTS["fits"] <= 2 * estimate.TRIES
    assert not list((place.folder / "ledger").rglob("*.json"))
    assert all(0 < plan[f"seconds_{part}"] < 60 for part in ("forwards", "fits", "scoring"))
    assert "untimed" not in plan


def test_frames_that_show_nothing_are_timed_with_one_that_does(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the training frames 0 to 7 of two videos only the fourth has foreground."""
    mask = TrainingFrames.mask
    monkeypatch.setattr(
        TrainingFrames,
        "mask",
        lambda self, ref: mask(self, ref) if ref.index == 3 else np.full_like(mask(self, ref), -1),
    )
    bench = place.bench(arms={"all": {"sampler": "all"}}, comparisons=[])
    plan = planned(bench)
    assert plan["seconds_fits"] > 0
    assert "untimed" not in plan


def test_labels_that_cannot_be_learnt_end_no_dry_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = TrainingFrames.mask
    nothing = lambda self, ref: np.full_like(mask(self, ref), -1)  # noqa: E731
    monkeypatch.setattr(TrainingFrames, "mask", nothing)
    assert planned(place.bench())["untimed"] == ["q"]


def test_finished_fits_take_no_time(place: Place) -> None:
    place.run()
    assert planned(place.bench())["seconds_fits"] == 0


def test_a_classifier_that_cannot_be_timed_is_named(place: Place) -> None:
    plan = planned(
        place.bench(
            pipelines={"q": {"extractor": "filters:octaves=1", "classifier": "quick:trouble=fail"}}
        )
    )
    assert plan["untimed"] == ["q"]
    assert "the fits of q could not be timed and come on top" in describe_plan(plan)
