"""Shipped suites on generated videos whose answer is known, through the exact SVM."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.known_answers import answer
from vidseg.report import Report
from vidseg.stats import ExchangeRate, Verdict

STILL, VIDEO, NEW = 0.0, 1.0, 2.0
"""Motion: one picture all along, normal video, an independent scene in every frame."""

found = cache(answer)


def flattery(report: Report) -> float:
    pair = report.pairs[0]
    assert (pair.arm_a, pair.arm_b) == ("group", "frame")
    assert pair.result is not None
    return pair.result.difference


def rate(report: Report) -> ExchangeRate:
    found = report.grids[0].rate
    assert found is not None
    assert found.at == (2, 4)
    return found


def test_frames_without_noise_and_motion_are_the_same_training_set() -> None:
    grid = "arms.{frames} every {every}.matrix.frames"
    pair = [{"a": "1 every 1", "b": "5 every 1"}]
    report = answer(
        "gain-curve",
        STILL,
        groups=6,
        frames=6,
        noise=0.0,
        **{grid: [1, 2, 3, 4, 5], "comparisons": pair, "seeds": [0], "image_size": "32x24"},
    )
    (curve,) = report.curves
    result = report.pairs[0].result
    assert curve.fit is not None
    assert curve.fit.shape == "flat"
    assert result is not None
    assert result.verdict is Verdict.EQUIVALENT
    assert abs(result.difference) < 1e-3
    assert report.sentence.startswith("Label 1 frame of each video, anywhere in it ('1 every 1').")
    # every arm draws two training videos in each fold: how many frames is told, not which
    first = report.frame_lists[0]
    assert (first.setting, first.advised) == ("1 every 1 svm", False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("motion", "verdict"),
    [(STILL, Verdict.BETTER), (VIDEO, Verdict.BETTER), (NEW, Verdict.EQUIVALENT)],
)
def test_a_split_by_frame_flatters_where_frames_repeat(motion: float, verdict: Verdict) -> None:
    report = found("leakage", motion)
    assert all(pair.result and pair.result.verdict is verdict for pair in report.pairs)
    if motion == NEW:
        assert abs(flattery(report)) < 0.01
    if motion == STILL:
        assert report.sentence.startswith("Do not trust the split 'frame'")


@pytest.mark.slow
def test_flattery_falls_with_motion() -> None:
    still, video, new = (flattery(found("leakage", motion)) for motion in (STILL, VIDEO, NEW))
    assert still > video > new
    assert still > 0.05


@pytest.mark.slow
def test_still_videos_gain_nothing_from_frames() -> None:
    report = found("gain-curve", STILL)
    assert report.curves[0].fit is not None
    assert report.curves[0].fit.shape == "flat"
    assert report.pairs[0].result is not None
    assert report.pairs[0].result.verdict is Verdict.EQUIVALENT


@pytest.mark.slow
def test_new_frames_gain() -> None:
    report = found("gain-curve", NEW)
    assert report.curves[0].fit is not None
    assert report.curves[0].fit.shape == "rising"
    assert report.pairs[0].result is not None
    assert report.pairs[0].result.verdict is Verdict.BETTER


@pytest.mark.slow
def test_only_new_videos_help_where_videos_are_still() -> None:
    report = found("iso-budget", STILL)
    assert rate(report).low > 10
    assert report.sentence.startswith("Label new videos before more frames")


@pytest.mark.slow
def test_exchange_rate_is_one_where_every_frame_is_new() -> None:
    found_rate = rate(found("iso-budget", NEW))
    assert found_rate.identified
    assert found_rate.low <= 1 <= found_rate.high
    assert 0.5 < found_rate.rate < 2


@pytest.mark.slow
def test_exchange_rate_lies_between_for_normal_video() -> None:
    between = rate(found("iso-budget", VIDEO))
    assert between.low > 1
    assert (
        rate(found("iso-budget", NEW)).rate < between.rate < rate(found("iso-budget", STILL)).rate
    )
