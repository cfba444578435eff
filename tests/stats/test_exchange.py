"""Exchange rate, its Fieller interval, and what a budget should buy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from vidseg.errors import DataError, UsageError
from vidseg.stats import ExchangeRate, best_allocation, exchange_rate, sign_flip
from vidseg.stats.exchange import fieller

VIDEOS, FRAMES = (1, 2, 4, 8), (5, 10, 20, 40)


def estimate(
    score: Callable[[float, float], float],
    groups: int = 8,
    noise: float = 0.003,
    at: tuple[float, float] = (4, 10),
    seed: int = 0,
) -> ExchangeRate:
    rng = np.random.default_rng(seed)
    grid = np.array([[score(v, f) for f in FRAMES] for v in VIDEOS])
    scores = {
        f"g{i}": (grid * rng.normal(1, 0.1) + rng.normal(0, noise, grid.shape)).tolist()
        for i in range(groups)
    }
    return exchange_rate(VIDEOS, FRAMES, scores, at=at)


def test_where_every_frame_is_new_the_rate_is_one() -> None:
    found = estimate(lambda v, f: 0.7 - 0.5 * (v * f) ** -0.5)
    assert found.identified
    assert found.low < 1 < found.high
    assert found.rate == pytest.approx(1, abs=0.2)
    assert (found.videos, found.frames) == ((2, 4, 8), (5, 10, 20))


def test_on_still_videos_there_is_no_rate() -> None:
    found = estimate(lambda v, f: 0.4 + 0.06 * math.log(v))
    assert not found.identified
    assert found.low > 5
    assert found.high == math.inf


def test_between_the_two_it_moves_the_right_way() -> None:
    rates = [
        estimate(lambda v, f, c=c: 0.3 + 0.06 * math.log(v) + c * math.log(f)).rate
        for c in (0.06, 0.03, 0.015)
    ]
    assert rates == pytest.approx([1, 2, 4], rel=0.25)
    assert rates == sorted(rates)


def test_exactly_still_videos() -> None:
    found = estimate(lambda v, f: 0.4 + 0.06 * math.log(v), noise=0)
    assert (found.rate, found.high, found.identified) == (math.inf, math.inf, False)
    nothing = estimate(lambda v, f: 0.4, noise=0)
    assert math.isnan(nothing.rate)
    assert (nothing.low, nothing.high, nothing.identified) == (0, math.inf, False)


def test_frames_that_harm_make_no_rate() -> None:
    found = estimate(lambda v, f: 0.4 + 0.06 * math.log(v) - 0.03 * math.log(f))
    assert (found.rate, found.low, found.high) == (math.inf, math.inf, math.inf)
    assert not found.identified


def test_four_groups_identify_nothing_at_95() -> None:
    found = estimate(lambda v, f: 0.7 - 0.5 * (v * f) ** -0.5, groups=4)
    assert (found.level, found.identified) == (0.875, False)
    assert found.low < 1 < found.high < 2


@pytest.mark.parametrize("level", [0.75, 0.9, 0.95])
def test_interval_is_what_enumeration_keeps(level: float) -> None:
    rng = np.random.default_rng(11)
    signs = np.array(list(itertools.product((1, -1), repeat=7)))
    for _ in range(20):
        effects = rng.normal((1.0, 0.8), (0.6, 0.3), (7, 2))
        low, high, _, bounded = fieller(effects, level)
        kept = []
        for rho in np.linspace(-2, 12, 701):
            values = effects[:, 0] - rho * effects[:, 1]
            p = np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-12)
            if p > 1 - level:
                kept.append(rho)
        if bounded and high < 11.9:
            assert low == pytest.approx(min(kept), abs=0.0201)
            assert high == pytest.approx(max(kept), abs=0.0201)
        elif not bounded:
            assert high == math.inf
            assert max(kept) == 12


def test_bounded_exactly_where_extra_frames_are_seen_to_gain() -> None:
    rng = np.random.default_rng(8)
    said = []
    for _ in range(300):
        effects = rng.normal((0.06, 0.02), 0.02, (6, 2))
        interval = sign_flip(effects[:, 1]).interval(0.8)
        _, high, level, bounded = fieller(effects, 0.8)
        assert bounded == math.isfinite(high) == (interval.low > 0)
        assert level == interval.level
        said.append(bounded)
    assert 0.2 < np.mean(said) < 0.95


@pytest.mark.parametrize("truth", [1.0, 3.0])
def test_interval_covers(truth: float) -> None:
    rng = np.random.default_rng(5)
    held, known = [], []
    for _ in range(400):
        effects = rng.normal((0.06, 0.06 / truth), (0.02, 0.015), (9, 2))
        low, high, level, bounded = fieller(effects)
        held.append(low <= truth <= high)
        known.append(bounded)
    assert np.mean(held) == pytest.approx(level, abs=3 * math.sqrt(0.05 * 0.95 / 400))
    assert np.mean(known) > 0.7


def test_interval_equals_the_t_fieller_with_many_groups() -> None:
    rng = np.random.default_rng(2)
    effects = rng.normal((0.06, 0.03), (0.02, 0.01), (60, 2))
    low, high, _, _ = fieller(effects)
    (x, y), cov = effects.mean(axis=0), np.cov(effects.T) / 60
    t2 = 2.001**2
    a, b, c = y**2 - t2 * cov[1, 1], x * y - t2 * cov[0, 1], x**2 - t2 * cov[0, 0]
    root = math.sqrt(b**2 - a * c)
    assert (low, high) == pytest.approx(((b - root) / a, (b + root) / a), rel=0.02)


def test_points_and_grids_that_carry_no_rate() -> None:
    scores = {"a": [[0.1, 0.2], [0.3, 0.4]], "b": [[0.1, 0.2], [0.3, 0.4]]}
    assert exchange_rate([1, 2], [5, 10], scores, at=(1.5, 10)).rate == pytest.approx(2)
    with pytest.raises(UsageError, match="videos: 3 is outside"):
        exchange_rate([1, 2], [5, 10], scores, at=(3, 10))
    with pytest.raises(UsageError, match="frames"):
        exchange_rate([1, 2], [5], scores, at=(1, 5))
    with pytest.raises(DataError, match="two are needed"):
        exchange_rate([1, 2], [5, 10], {**scores, "b": [[0.1, None], [0.3, 0.4]]}, at=(1, 5))


def test_a_hole_outside_the_neighbourhood_does_not_matter() -> None:
    grid = [[0.1 * v + 0.05 * f for f in range(4)] for v in range(4)]
    holed = [[*row[:3], None] for row in grid]
    found = exchange_rate(VIDEOS, FRAMES, {"a": grid, "b": holed}, at=(2, 10))
    assert found.groups == ("a", "b")


def rated(b: float, c: float, low: float = 1.5, high: float = 4.0) -> ExchangeRate:
    rate = b / c if c else math.inf
    return ExchangeRate(
        rate, low, high, 0.95, True, b, c, (4, 10), (2, 4, 8), (5, 10, 20), ("a", "b"), ()
    )


@pytest.mark.parametrize("cost_per_video", [50.0, 400.0])
@pytest.mark.parametrize("budget", [3e3, 3e4])
def test_allocation_is_the_best_of_all(cost_per_video: float, budget: float) -> None:
    rate = rated(0.06, 0.02)
    chosen = best_allocation(rate, budget, cost_per_video, 7.0, max_frames=400)
    every = {
        (v, f): 0.06 * math.log(v) + 0.02 * math.log(f)
        for v in range(1, int(budget / cost_per_video) + 1)
        for f in range(1, 401)
        if v * (cost_per_video + 7 * f) <= budget
    }
    best = max(every.values())
    assert every[chosen.videos, chosen.frames] == pytest.approx(best, abs=1e-12)
    assert chosen.cost == chosen.videos * (cost_per_video + 7 * chosen.frames) <= budget
    assert chosen.frames_low <= chosen.frames <= chosen.frames_high


def test_allocation_comes_near_the_closed_form() -> None:
    chosen = best_allocation(rated(0.06, 0.02), 1e7, 400, 7, max_frames=400)
    assert chosen.frames == pytest.approx(400 / 7 / (3 - 1), abs=1)
    assert chosen.extrapolates


def test_allocation_at_the_edges() -> None:
    still = best_allocation(rated(0.06, 0.0, high=math.inf), 1000, 93, 7, max_frames=400)
    assert (still.videos, still.frames) == (10, 1)
    new = best_allocation(rated(0.05, 0.05, low=0.5), 1e4, 100, 7, max_frames=20)
    assert new.frames == 20
    few = best_allocation(rated(0.06, 0.02), 1e4, 100, 7, max_frames=400, max_videos=3)
    assert few.videos == 3
    with pytest.raises(UsageError, match="buys no video"):
        best_allocation(rated(0.06, 0.02), 100, 100, 7, max_frames=400)
    with pytest.raises(UsageError, match="positive"):
        best_allocation(rated(0.06, 0.02), 100, 10, 0, max_frames=400)
    with pytest.raises(DataError, match="neither"):
        best_allocation(rated(-0.06, -0.02), 1000, 10, 1, max_frames=400)
