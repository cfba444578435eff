"""Sign-flip test, interval, verdicts, Holm, groups needed: against independent references."""

from __future__ import annotations

import doctest
import importlib
import inspect
import itertools
import math
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vidseg import stats
from vidseg.errors import DataError, UsageError
from vidseg.stats import (
    Verdict,
    average_seeds,
    compare,
    groups_needed,
    groups_to_show,
    holm,
    sign_flip,
    smallest_groups,
    with_holm,
)
from vidseg.stats.power import MOST
from vidseg.stats.signflip import DRAWS, EXACT_UP_TO, sign_flips

small = st.lists(st.integers(-20, 20), min_size=2, max_size=8)


def brute_p(differences: list[int], halves: int) -> float:
    """Enumerate all sign patterns about ``halves / 2``, in integers."""
    shifted = 2 * np.array(differences) - halves
    signs = np.array(list(itertools.product((1, -1), repeat=len(shifted))))
    return float(np.mean(np.abs(signs @ shifted) >= abs(shifted.sum())))


@given(small, st.integers(-40, 40))
@settings(max_examples=150, deadline=None)
def test_p_equals_enumeration(differences: list[int], halves: int) -> None:
    assert sign_flip(differences).p_value(halves / 2) == brute_p(differences, halves)


@given(small, st.sampled_from([0.5, 0.75, 0.8, 0.9, 0.95, 0.97]))
@settings(max_examples=60, deadline=None)
def test_interval_holds_what_the_test_keeps(differences: list[int], level: float) -> None:
    test = sign_flip(differences)
    interval = test.interval(level)
    for halves in range(-42, 43):
        kept = brute_p(differences, halves) > 1 - level + 1e-12
        assert kept if not interval.bounded else kept == (halves / 2 in interval)


@pytest.mark.parametrize("size", [5, 8, 12])
def test_p_equals_scipy(size: int) -> None:
    values = np.random.default_rng(size).normal(0.4, 1, size)
    reference = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(values).p_value() == pytest.approx(reference.pvalue, abs=1e-12)


def test_drawn_patterns_agree_with_the_t_test_and_with_themselves() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, 40)
    test, reference = sign_flip(values), scipy_stats.ttest_1samp(values, 0)
    assert not test.exact
    assert test.p_value() == pytest.approx(reference.pvalue, rel=0.15)
    ends = reference.confidence_interval(0.95)
    interval = test.interval()
    width = ends.high - ends.low
    assert interval.low == pytest.approx(ends.low, abs=0.04 * width)
    assert interval.high == pytest.approx(ends.high, abs=0.04 * width)
    assert interval.level == pytest.approx(0.95, abs=2 / DRAWS)
    assert sign_flip(values).interval() == interval
    assert test.p_floor == 2 / (DRAWS + 1)


def test_drawn_interval_inverts_its_own_test() -> None:
    test = sign_flip(np.random.default_rng(4).normal(0.2, 1, EXACT_UP_TO + 4))
    interval = test.interval()
    for end, outside in ((interval.low, -1e-6), (interval.high, 1e-6)):
        assert test.p_value(end) > 0.05
        assert test.p_value(end + outside) <= 0.05


def test_drawn_subsets_of_many_groups_are_distinct_and_not_empty() -> None:
    powers = 2.0 ** np.arange(EXACT_UP_TO + 1)
    sizes_and_codes = sign_flips(np.stack([powers, np.ones(len(powers))], axis=1))
    assert np.isfinite(sizes_and_codes[0].means).all()
    assert (sizes_and_codes[1].means == 1).all()
    assert len(sizes_and_codes[0].means) == DRAWS


def test_interval_is_exact_on_a_symmetric_two_point_world() -> None:
    """Every sign pattern of fixed sizes is equally likely: coverage by full enumeration."""
    sizes = np.array([1.0, 1.7, 2.9, 4.3, 7.1, 11.3])
    worlds = np.array(list(itertools.product((1, -1), repeat=6))) * sizes
    held = [0.0 in test.interval(0.8) for test in sign_flips(worlds.T.copy())]
    assert np.mean(held) == sign_flip(sizes).interval(0.8).level == 1 - 2 * 6 / 64


@pytest.mark.parametrize(("groups", "level"), [(2, 0.5), (4, 0.875), (5, 0.9375)])
def test_few_groups_have_no_bounded_interval(groups: int, level: float) -> None:
    values = np.arange(1.0, groups + 1)
    interval = sign_flip(values).interval(0.95)
    assert (interval.low, interval.high) == (1, groups)
    assert (interval.level, interval.bounded) == (level, False)


def test_six_groups_do() -> None:
    interval = sign_flip(np.arange(1.0, 7)).interval(0.95)
    assert interval.bounded
    assert (interval.low, interval.high, interval.level) == (1, 6, 1 - 2 / 64)
    assert smallest_groups(0.95) == 6
    assert smallest_groups(0.95, comparisons=6) == 8


def test_one_group() -> None:
    result = compare({"a": 0.1}, {"a": 0.9})
    assert (result.p_value, result.p_floor) == (1, 1)
    assert (result.interval.low, result.interval.high) == (-math.inf, math.inf)
    assert result.verdict is Verdict.CANNOT_TELL
    assert result.groups_needed is None


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [[1.0, 2.0]]])
def test_differences_that_are_none(bad: list[float]) -> None:
    with pytest.raises(DataError):
        sign_flip(bad)


def arms(differences: list[float]) -> tuple[dict[str, float], dict[str, float]]:
    a = {f"g{i}": 0.5 for i in range(len(differences))}
    return a, {name: a[name] + d for name, d in zip(a, differences, strict=True)}


@pytest.mark.parametrize(
    ("differences", "verdict", "beyond"),
    [
        ([0.03, 0.05, 0.04, 0.06, 0.02, 0.05, 0.04], Verdict.BETTER, True),
        ([-0.03, -0.05, -0.04, -0.06, -0.02, -0.05, -0.04], Verdict.WORSE, True),
        ([0.002, 0.05, 0.04, 0.06, 0.001, 0.05, 0.04], Verdict.BETTER, False),
        ([0.004, 0.002, 0.003, 0.005, 0.004, 0.003, 0.002], Verdict.EQUIVALENT, False),
        ([0.03, -0.05, 0.04, 0.06, -0.02, 0.05, 0.04], Verdict.CANNOT_TELL, False),
        ([0.01] * 7, Verdict.BETTER, False),
        ([0.0] * 7, Verdict.EQUIVALENT, False),
        ([0.0] * 5, Verdict.CANNOT_TELL, False),
        ([0.0] * 4, Verdict.CANNOT_TELL, False),
        ([0.05] * 5, Verdict.CANNOT_TELL, False),
        ([0.05] * 6, Verdict.BETTER, True),
    ],
)
def test_verdicts(differences: list[float], verdict: Verdict, beyond: bool) -> None:
    result = compare(*arms(differences), delta=0.01)
    assert (result.verdict, result.beyond_delta) == (verdict, beyond)
    assert result.difference == pytest.approx(np.mean(differences))


def test_all_ties() -> None:
    result = compare(*arms([0.0] * 7))
    assert result.p_value == 1
    assert (result.interval.low, result.interval.high) == (0, 0)
    assert compare(*arms([0.0] * 7), delta=0).verdict is Verdict.CANNOT_TELL


@given(st.lists(st.floats(-0.05, 0.05), min_size=6, max_size=9))
@settings(max_examples=100, deadline=None)
def test_verdict_agrees_with_p_and_turns_with_the_arms(differences: list[float]) -> None:
    a, b = arms(differences)
    result, turned = compare(a, b), compare(b, a)
    excludes = result.interval.low > 0 or result.interval.high < 0
    assert excludes == (result.p_value <= 0.05)
    opposite = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert turned.verdict is opposite.get(result.verdict, result.verdict)
    assert turned.p_value == result.p_value
    assert turned.interval.low == pytest.approx(-result.interval.high, abs=1e-15)


def test_groups_without_a_score_leave_both_arms() -> None:
    a = {"x": 0.5, "y": None, "z": 0.4, "only a": 0.1, "n": math.nan}
    b = {"x": 0.6, "y": 0.7, "z": 0.5, "n": math.nan, "only b": 0.2}
    result = compare(a, b)
    assert result.groups == ("x", "z")
    assert [(e.group, e.arm, e.reason) for e in result.left_out] == [
        ("n", "both", "undefined"),
        ("only a", "b", "missing"),
        ("only b", "a", "missing"),
        ("y", "a", "undefined"),
    ]
    with pytest.raises(DataError, match="no group"):
        compare({"x": None}, {"x": 0.5})


@pytest.mark.parametrize(
    "wrong", [{"delta": -1}, {"delta": math.nan}, {"level": 0.4}, {"level": 1}]
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        compare(*arms([0.1, 0.2]), **wrong)


def test_seeds_are_averaged_inside_groups() -> None:
    means = average_seeds({"x": {0: 0.2, 1: 0.4}, "y": {0: math.nan, 1: 0.3}, "z": {0: None}})
    assert means["x"] == pytest.approx(0.3)
    assert means["y"] == 0.3
    assert math.isnan(means["z"])


def test_holm_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1 raised to the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.02, math.nan, 0.03])[::2] == pytest.approx([0.04, 0.04])
    with pytest.raises(UsageError):
        holm([1.2])


def test_holm_takes_back_what_chance_may_explain() -> None:
    strong = compare(*arms([0.04 + 0.001 * i for i in range(9)]))
    weak = compare(*arms([0.04, 0.05, 0.03, 0.06, 0.02, 0.05]))
    same = compare(*arms([0.0] * 6))
    assert weak.verdict is Verdict.BETTER
    guarded = with_holm([weak, strong, same])
    assert [c.verdict for c in guarded] == [
        Verdict.CANNOT_TELL,
        Verdict.BETTER,
        Verdict.EQUIVALENT,
    ]
    assert guarded[0].p_adjusted == pytest.approx(2 * weak.p_value)
    assert guarded[0].p_value == weak.p_value


@pytest.mark.parametrize("effect", [1.5, 1.0])
def test_groups_needed_reach_their_power_and_fewer_do_not(effect: float) -> None:
    groups = groups_needed([-math.sqrt(0.5), math.sqrt(0.5)], effect)
    assert groups is not None
    rng = np.random.default_rng(7)

    def power(count: int) -> float:
        finds = sign_flips(rng.normal(effect, 1, (count, 1500)))
        nothing = sign_flips(rng.normal(0, 1, (count, 1500)))
        inner = [test.interval(0.9) for test in nothing]
        equates = np.mean([-effect < i.low and i.high < effect for i in inner])
        return min(float(np.mean([t.p_value() <= 0.05 for t in finds])), float(equates))

    assert power(groups) > 0.8 - 3 * math.sqrt(0.16 / 1500)
    assert power(groups - 2) < 0.8


def test_groups_needed_at_the_edges() -> None:
    assert groups_needed([0.3], 0.01) is None
    assert groups_needed([0.2, 0.2, 0.2], 0.01) == 6
    assert groups_needed([-1.0, 1.0], 50.0) == 6
    assert groups_needed([-1.0, 1.0], 0.01, level=0.9) < groups_needed([-1.0, 1.0], 0.01)
    assert groups_needed([-1.0, 1.0], 1.0, power=0.95) > groups_needed([-1.0, 1.0], 1.0)
    with pytest.raises(UsageError):
        groups_needed([0.1, 0.2], 0)


@pytest.mark.parametrize("effect", [1e-12, 1e-300])
def test_a_search_for_groups_ends(effect: float) -> None:
    spread = [0.05, -0.05, 0.04, -0.04, 0.03, -0.03, 0.02, -0.02]
    assert groups_needed(spread, effect) == groups_to_show(spread, effect) == MOST


def test_differences_that_cancel_have_no_mean() -> None:
    a = np.array([0.31, 0.42, 0.53, 0.64, 0.35, 0.46, 0.57, 0.38])
    b = a + np.array([-0.35] + [0.05] * 7)
    assert (b - a).mean() != 0, "rounded"
    names = "abcdefgh"
    found = compare(dict(zip(names, a, strict=True)), dict(zip(names, b, strict=True)))
    assert found.difference == 0
    assert found.p_value == 1


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(stats.__path__)])
def test_examples_of_docstrings_run(name: str):
    module = importlib.import_module(f"vidseg.stats.{name}")
    assert doctest.testmod(module).failed == 0


def test_every_public_function_has_an_example():
    functions = [getattr(stats, name) for name in stats.__all__]
    bare = [
        f.__name__ for f in functions if inspect.isfunction(f) and ">>>" not in (f.__doc__ or "")
    ]
    assert bare == []
