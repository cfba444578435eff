"""Gain curves: shape, fit, where they flatten; and effective test frames."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vidseg.errors import DataError, UsageError
from vidseg.stats import GainCurve, effective_frames, fit_gain_curve

COUNTS = [1, 2, 5, 10, 20, 50, 100]


def curve(
    groups: int, b: float, c: float, noise: float = 0.002, seed: int = 0, delta: float = 0.01
) -> GainCurve:
    rng = np.random.default_rng(seed)
    gain = -b * np.array(COUNTS, float) ** -c * rng.normal(1, 0.1, (groups, 1))
    scores = rng.uniform(0.4, 0.8, (groups, 1)) + gain + rng.normal(0, noise, (groups, 7))
    table = {f"g{i}": row for i, row in enumerate(scores.tolist())}
    return fit_gain_curve(COUNTS, table, delta=delta)


@pytest.mark.parametrize(("b", "c"), [(0.3, 0.7), (0.2, 0.3), (0.3, 1.5)])
def test_a_power_law_is_found_again(b: float, c: float) -> None:
    fit = curve(8, b, c)
    assert fit.shape == "rising"
    assert fit.c == pytest.approx(c, rel=0.2)
    truth = ((0.01 / b) + 100**-c) ** (-1 / c)
    assert math.floor(truth) + 1 in fit.flattens
    assert fit.flattens_at == pytest.approx(truth, rel=0.2, abs=1)
    assert fit.gain == pytest.approx(b * (1 - 100**-c), rel=0.15)
    assert fit.gain in fit.gain_interval
    assert fit.predict([1, 100]) == pytest.approx([fit.means[0], fit.means[-1]], abs=0.01)
    assert fit.rms < 0.005


def test_a_falling_curve_is_said_to_fall() -> None:
    fit = curve(8, -0.3, 0.7)
    assert fit.shape == "falling"
    assert (fit.flattens_at, fit.flattens, fit.best) == (None, None, 1)
    assert fit.gain_interval.high < 0


def test_flat_videos_are_flat() -> None:
    fit = curve(8, 0.0, 0.7)
    assert fit.shape == "flat"
    assert (fit.flattens_at, fit.flattens.low, fit.flattens.high) == (1, 1, 1)
    assert all(entry.high < 0.01 for entry in fit.remaining)


def test_equal_scores_everywhere_are_flat() -> None:
    fit = fit_gain_curve(COUNTS, {f"g{i}": [0.5] * 7 for i in range(6)})
    assert fit.shape == "flat"
    assert fit.p_value == 1
    assert fit.flattens_at == 1


def test_four_groups_cannot_tell_and_say_at_which_level_they_speak() -> None:
    fit = curve(4, 0.3, 0.7)
    assert fit.shape == "cannot tell"
    assert fit.p_value == fit.p_floor == 0.125
    assert (fit.flattens.level, fit.flattens.bounded) == (0.875, False)
    assert fit.flattens.low < fit.flattens_at < fit.flattens.high


def test_flat_curves_are_called_curved_at_most_as_often_as_said() -> None:
    fits = [curve(7, 0.0, 0.7, noise=0.02, seed=seed, delta=0.001) for seed in range(200)]
    found = np.mean([fit.p_value <= 0.05 for fit in fits])
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert np.mean([fit.p_value <= 0.5 for fit in fits]) > 0.35


def test_the_flattening_point_is_covered_and_narrowed_down() -> None:
    truth = math.floor((0.01 / 0.1 + 100**-0.7) ** (-1 / 0.7)) + 1
    found = [curve(7, 0.1, 0.7, noise=0.01, seed=seed).flattens for seed in range(100)]
    held = [truth in entry for entry in found]
    assert np.mean(held) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 100)
    assert np.median([entry.low for entry in found]) > truth / 3
    assert np.median([entry.high for entry in found]) < 2 * truth


@pytest.mark.parametrize(
    "means",
    [[30, 42, 55, 52, 50], [30, 42, 55, 52, 54.5], [30, 45, 38, 46, 50]],
    ids=["falls", "bends", "jumps"],
)
def test_a_fit_that_is_not_the_curve_gives_no_flattening_point(means: list[float]) -> None:
    table = {f"g{i}": [m / 100 + 0.02 * i for m in means] for i in range(8)}
    fit = fit_gain_curve([1, 2, 5, 10, 20], table)
    assert fit.shape == "rising"
    assert (fit.flattens_at, fit.flattens) == (None, None)
    assert fit.best == [1, 2, 5, 10, 20][int(np.argmax(means))]


@pytest.mark.parametrize("means", [[35, 50, 55, 50, 34], [35, 50, 55, 45, 34.8]])
def test_a_curve_that_rises_and_falls_again_is_neither_flat_nor_rising(means: list[float]) -> None:
    table = {f"g{i}": [m / 100 + 0.02 * i for m in means] for i in range(8)}
    assert fit_gain_curve([1, 2, 5, 10, 20], table).shape == "peaked"
    turned = {group: [1 - value for value in row] for group, row in table.items()}
    assert fit_gain_curve([1, 2, 5, 10, 20], turned).shape == "cannot tell"


def test_a_group_with_a_hole_is_left_out() -> None:
    rows = {f"g{i}": [0.1 * i + 0.01 * j for j in range(7)] for i in range(6)}
    fit = fit_gain_curve(COUNTS, rows | {"hole": [0.1, None, 0.3, 0.3, 0.3, 0.3, 0.3]})
    assert fit.left_out == ("hole",)
    assert len(fit.groups) == 6


def test_what_carries_no_curve_is_refused() -> None:
    rows = {"a": [0.1] * 4, "b": [0.2] * 4}
    with pytest.raises(UsageError, match="4 frame counts carry no curve"):
        fit_gain_curve([1, 2, 5, 10], rows)
    with pytest.raises(DataError, match="a: scores of shape"):
        fit_gain_curve(COUNTS, rows)
    with pytest.raises(DataError, match="two are needed"):
        fit_gain_curve(COUNTS, {"a": [0.1] * 7})
    with pytest.raises(UsageError):
        fit_gain_curve(COUNTS[::-1], {"a": [0.1] * 7, "b": [0.2] * 7})
    with pytest.raises(UsageError):
        fit_gain_curve(COUNTS, {"a": [0.1] * 7, "b": [0.2] * 7}, delta=0)


def autoregressive(memory: float, frames: int, seed: int) -> list[float]:
    noise = np.random.default_rng(seed).standard_normal(frames + 200)
    for i in range(1, len(noise)):
        noise[i] += memory * noise[i - 1]
    return noise[200:].tolist()


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_effective_frames_of_a_known_process(memory: float) -> None:
    lags = np.arange(1, 600)
    truth = 600 / (1 + 2 * ((1 - lags / 600) * memory**lags).sum())
    found = np.median([effective_frames(autoregressive(memory, 600, s)) for s in range(60)])
    assert found == pytest.approx(truth, rel=0.2)


def test_effective_frames_predict_the_variance_of_the_mean() -> None:
    runs = np.array([autoregressive(0.8, 300, seed) for seed in range(400)])
    seen = runs.var() / runs.mean(axis=1).var()
    assert np.median([effective_frames(run) for run in runs]) == pytest.approx(seen, rel=0.25)


def test_effective_frames_at_the_edges() -> None:
    assert effective_frames([0.4] * 50) == 1
    assert effective_frames([0.4]) == 1
    assert effective_frames([0.1, 0.9] * 20) == 40
    assert 1 <= effective_frames([0.1, 0.9]) <= 2
    assert 1 <= effective_frames(np.linspace(0, 1, 100)) < 5
    series = autoregressive(0.5, 400, 0)
    holes = [math.nan if i % 10 == 3 else x for i, x in enumerate(series)]
    assert effective_frames(holes) == pytest.approx(effective_frames(series), rel=0.3)
    for bad in ([], [math.nan], [[1.0, 2.0]]):
        with pytest.raises(DataError):
            effective_frames(bad)
