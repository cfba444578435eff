"""The estimate of a suite's time: what is timed, and how it grows."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.helpers.suites import COUNTS, Place, Quick, install
from vidseg.experiment.training import TrainingFrames
from vidseg.experiment.training_labels import TrainingLabels
from vidseg.suites import estimate, label_times, probes
from vidseg.suites.estimate import calibrate
from vidseg.suites.growth import Curve, Growth
from vidseg.suites.label_times import time_labels
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.plan import describe_plan, make_plan
from vidseg.suites.probes import Times
from vidseg.utils.stopwatch import TRIES, Reading, Stopwatch

FIT = Growth(Curve(((1, 110.0), (2, 120.0))), again=1.0)
"""100 seconds, and 10 for each frame."""
KNOWN = Times(frame=1.0, fit=FIT, read=0.5, model=0.25, baselines=2.0, learn=0.125)
TRACKED = {
    "arms": {"all": {"sampler": "all", "train_labels": "propagated:every=4,tracker=still"}},
    "comparisons": [],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def planned(bench: OpenedSuite) -> dict[str, Any]:
    plan = make_plan(bench, bench.cells)
    return plan | calibrate(bench, bench.cells, plan)


def knowing(monkeypatch: pytest.MonkeyPatch, times: Times) -> None:
    monkeypatch.setattr(estimate, "time_parts", lambda opened, cells: times)


def test_fits_and_scores_of_every_cell_are_counted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowing(monkeypatch, KNOWN)
    plan = planned(place.bench())
    # three folds: `one` trains on 2 frames, `four` on 8; each tests 8 frames
    assert plan["seconds_fits"] == 3 * (2 * 100 + 10 * (2 + 8))
    assert plan["seconds_scoring"] == 3 * (8 * (0.5 + 2 * 0.25 + 2 * 2.0) + 0.125 * (2 + 8))
    assert plan["seconds_forwards"] == plan["forwards_announced"] == 24
    assert "seconds_labels" not in plan
    told = describe_plan(plan)
    assert "about 17 min in one process on this machine when it is idle: 24 s for frames," in told
    assert "15 min for fits" in told
    assert "labels" not in told


def test_masks_are_made_once_for_each_frame(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    knowing(monkeypatch, Times(0.0, FIT, label=1.0))
    assert planned(place.bench())["seconds_forwards"] == 24


def test_further_epochs_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    knowing(monkeypatch, KNOWN)
    often = {"q": {"extractor": "filters:octaves=1", "classifier": "sgd:epochs=5"}}
    # by the paper's rule 5 epochs with one frame of each video, 3 with four
    expected = 3 * (2 * 100 + 10 * (2 + 8) + 2 * 4 + 8 * 2)
    assert planned(place.bench(pipelines=often))["seconds_fits"] == expected


def test_no_fit_takes_longer_than_it_may(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    knowing(monkeypatch, KNOWN)
    assert planned(place.bench(max_time=20))["seconds_fits"] == 6 * 20


def test_inner_fits_of_a_grid_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Times(1.0, FIT, grid=7.0, read=0.5, model=0.25)
    knowing(monkeypatch, known)
    tuned = {
        "q": {
            "extractor": "filters:octaves=1",
            "classifier": "quick",
            "tune": {"reading": [1, 2]},
        }
    }
    plain = 3 * (2 * 100 + 10 * (2 + 8))
    # two training groups, so two inner folds, each with half of the frames, in each of six cells
    inner = 3 * 2 * 7 * (110 + 140)
    held = 3 * 2 * (1 + 4) * (0.5 + 2 * 0.25)
    assert planned(place.bench(pipelines=tuned))["seconds_fits"] == plain + inner + held


def test_values_of_a_path_take_as_long_as_they_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = {"extractor": "filters:octaves=1", "classifier": "quick"}
    bench = place.bench(pipelines={"q": {**pipeline, "path": {"reading": [1, 2]}}})
    slow = next(str(cell.setting.classifier) for cell in bench.cells if cell.at == 2)
    knowing(monkeypatch, Times(1.0, FIT, {slow: 3.0}))
    plain = 3 * (2 * 100 + 10 * (2 + 8))
    assert planned(bench)["seconds_fits"] == plain * (1 + 1 + 3)


def test_a_real_estimate_fits_a_few_frames_only_and_keeps_no_cell(place: Place) -> None:
    bench = place.bench()
    COUNTS.clear()
    plan = planned(bench)
    assert 0 < COUNTS["fits"] <= 1 + 2 * TRIES
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
    assert planned(place.bench())["untimed"] == ["the fits of q"]


def test_finished_fits_take_no_time(place: Place) -> None:
    place.run()
    assert planned(place.bench())["seconds_fits"] == 0


def test_a_classifier_that_cannot_be_timed_is_named(place: Place) -> None:
    plan = planned(
        place.bench(
            pipelines={"q": {"extractor": "filters:octaves=1", "classifier": "quick:trouble=fail"}}
        )
    )
    assert plan["untimed"] == ["the fits of q"]
    assert "the fits of q could not be timed and come on top" in describe_plan(plan)


def ticking(monkeypatch: pytest.MonkeyPatch, module: ModuleType, seconds: float = 0.01) -> None:
    """Let every look at the clock take some seconds."""
    looks = itertools.count()

    def clocks() -> Reading:
        now = next(looks) * seconds
        return Reading(now, now, now, 0.0)

    monkeypatch.setattr(module, "Stopwatch", lambda *given, **more: Stopwatch(clocks=clocks))


@pytest.mark.parametrize(("seconds", "sizes"), [(1.0, [4, 16, 40]), (1.5, [4, 16])])
def test_quick_fits_are_timed_at_more_sizes(
    place: Place, monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int]
) -> None:
    ticking(monkeypatch, probes, seconds)
    videos = "synthetic:videos=3,frames=20,size=64x48"
    bench = place.bench(dataset=videos, arms={"all": {"sampler": "all"}}, comparisons=[])
    fit = probes.time_parts(bench, bench.cells).fit
    assert fit is not None
    assert [frames for frames, _ in fit.once.points] == sizes
    assert fit.again == 0


def test_a_longer_fit_is_timed_where_there_are_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking(monkeypatch, probes, 1.5)
    videos = "synthetic:videos=3,frames=20,size=64x48"
    arms = {"all": {"sampler": "all", "seeds": 100}}
    bench = place.bench(dataset=videos, arms=arms, comparisons=[])
    fit = probes.time_parts(bench, bench.cells).fit
    assert fit is not None
    assert [frames for frames, _ in fit.once.points] == [4, 16, 40]


@pytest.mark.parametrize(("epoch", "again"), [(0.75, 0.75), (0.0, 0.5), (3.0, 1.0)])
def test_further_epochs_are_timed_apart(
    place: Place, monkeypatch: pytest.MonkeyPatch, epoch: float, again: float
) -> None:
    """A fit takes 5 seconds, one for each frame, and more in each further epoch."""
    now, fit = [0.0], Quick.fit

    def slow(self: Quick, train: Any, handle: Any, ctx: Any) -> Any:
        now[0] += 5 + len(train.refs) * (1 + epoch * (ctx.budget.epochs(1, 2) - 1))
        return fit(self, train, handle, ctx)

    monkeypatch.setattr(Quick, "reads", lambda self, images, budget: budget.epochs(images, 2))
    monkeypatch.setattr(Quick, "fit", slow)
    watch = Stopwatch(clocks=lambda: Reading(now[0], now[0], now[0], 0.0))
    monkeypatch.setattr(probes, "Stopwatch", lambda *given, **more: watch)
    bench = place.bench()
    expected = Growth(Curve(((4, 9.0), (8, 13.0))), again)
    assert probes.time_parts(bench, bench.cells).fit == expected


def test_a_trackers_labels_are_timed_for_a_moment_and_grown_with_its_steps(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking(monkeypatch, label_times)
    bench = place.bench(dataset="synthetic:videos=3,frames=60,size=64x48", **TRACKED)
    train = [bench.training(cell) for cell in bench.cells]
    labels = {name: one.labels for t in train if t is not None for name, one in t.labelled.items()}
    steps = sum(one.work([]) for one in labels.values())
    assert steps > 2 * 100 * label_times.LONG
    # the clock is looked at in each step
    assert time_labels(bench, bench.cells) == (pytest.approx(steps / 100, rel=0.05), [])


def test_labels_that_are_kept_take_no_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = place.bench(**TRACKED)
    for cell in bench.cells:
        train = bench.training(cell)
        assert train is not None
        for one in train.labelled.values():
            one.labels.mask(0)
    ticking(monkeypatch, label_times)
    seconds, untimed = time_labels(bench, bench.cells)
    assert seconds < 0.2  # looks at masks
    assert not untimed


def test_labels_of_which_nothing_is_there_after_a_moment_are_named(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking(monkeypatch, label_times)

    def slow(self: Any, indices: Any, task: Any, stop: Any) -> None:
        while True:
            stop()

    monkeypatch.setattr(TrainingLabels, "prepare", slow)
    knowing(monkeypatch, KNOWN)
    plan = planned(place.bench(**TRACKED))
    assert "the labels propagated:every=4" in describe_plan(plan)


def test_a_dry_run_makes_no_labels_to_time_fits_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = place.bench(**TRACKED)
    monkeypatch.setattr(TrainingLabels, "mask", None)
    assert probes.time_parts(bench, bench.cells).fit is not None
