"""The benchmark of the advice: what was seen, which rule takes what, what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import _rules, _truths, regret
from benchmarks._followed import PRESENT, case, mixed, summary
from benchmarks._rules import RULES, Seen
from vidseg.stats import Option, Standing, decide

FRAMES = np.array([1.0, 20.0, 5.0, 20.0])
GAPS = np.array([50.0, 32.0, 5.0, 1.2])
WITHIN = np.zeros((4, 4), bool)
WITHIN[0] = True
WITHIN[2, 3] = True
FURTHER = np.zeros((4, 4), bool)
FURTHER[1, 2:] = True


def seen(means: list[float], scatter: float = 0.0) -> Seen:
    """Return four scenes whose arms have these means."""
    rest = scatter * np.array([[1, -1, 1, -1], [-1, 1, 1, -1], [1, 1, -1, -1], [-1, -1, -1, 3]])
    return Seen(FRAMES, np.array(means) + rest - rest.mean(axis=0), GAPS, WITHIN, FURTHER)


def test_what_was_seen_on_one_half_is_followed_on_the_other(tmp_path: Path) -> None:
    options = {"image_size": "32x24", "split": "leave-one-group-out", "test_stride": 4}
    data = "synthetic:videos=4,frames=10,size=48x32,motion=1"
    scenes = regret.open_scenes("generated", data, tmp_path / "none", tmp_path, options)
    (row,) = regret.record(scenes, 1, 0)
    first, second = row["halves"]
    names = [sorted(half["arms"]["1"]["scores"]) for half in row["halves"]]
    assert sorted(names[0] + names[1]) == scenes.groups
    assert first["standing"] == "too few groups"
    assert first["arms"]["every 5th"]["frames"] == 2
    assert first["arms"]["every 5th"]["gap"] == pytest.approx((0 + 1 + 2 + 2 + 1 + 0 + 10) / 10)
    assert ["every 20th", "every 5th"] in first["within"]
    assert ["every 5th", "every 20th"] not in first["within"]
    assert first["further"] == {}, "20 frames are all that there are"
    found = regret.followed(first, second)
    assert not set(found) & {*RULES, "the advice"}  # two scenes can show nothing
    scores = {arm: np.mean(list(one["scores"].values())) for arm, one in second["arms"].items()}
    for arm, score in scores.items():
        own = found[f"always '{arm}'"]
        assert own["regret"] == pytest.approx(max(scores.values()) - score)
        assert own["frames"] == second["arms"][arm]["frames"]


def test_the_present_rule_is_that_of_the_report() -> None:
    rng, arms, taken = np.random.default_rng(0), "abcd", set()
    for _ in range(30):
        found = seen(rng.normal(0.5, 0.01, 4).tolist(), 0.02)
        columns = [dict(zip("wxyz", column, strict=True)) for column in found.scores.T.tolist()]
        made = [
            Option(arm, cost, scores, instead=("c", "d") if arm == "b" else ())
            for arm, cost, scores in zip(arms, FRAMES.tolist(), columns, strict=True)
        ]
        decision = decide(made, 0.01, 0.85)
        assert decision is not None
        if decision.standing is Standing.NOT_PROVEN:
            assert decision.choice == arms[RULES[PRESENT](found, 0.01)]
            taken.add(decision.choice)
    assert len(taken) > 2


def test_divisions_are_distinct_and_no_more_than_there_are() -> None:
    found = regret.divisions(list("abcd"), 20, 0)
    assert {frozenset(map(frozenset, map(tuple, one))) for one in found} == {
        frozenset({frozenset("ab"), frozenset("cd")}),
        frozenset({frozenset("ac"), frozenset("bd")}),
        frozenset({frozenset("ad"), frozenset("bc")}),
    }
    assert len(found) == 3
    assert len(regret.divisions(list("abcdefgh"), 20, 0)) == 20


def test_rules_take_what_they_say() -> None:
    means = [0.50, 0.55, 0.53, 0.545]
    arms = {name: rule(seen(means, 0.001), 0.02) for name, rule in RULES.items()}
    assert arms["within delta"] == arms["within delta, none in a row"] == 2
    assert arms["highest mean"] == arms["within delta, nested"] == 1
    assert arms["highest mean, not in a row"] == 3
    assert RULES["within delta, not in a row"](seen(means, 0.001), 0.004) == 3
    # standard errors of the differences are far above 5 points
    assert RULES["one standard error"](seen(means, 0.2), 0.02) == 0


def test_means_are_shrunk_the_more_the_more_they_scatter() -> None:
    means = [0.40, 0.47, 0.55, 0.60]
    np.testing.assert_allclose(_rules.to_mean(seen(means)), means)
    np.testing.assert_allclose(_rules.to_mean(seen(means, 1.0)), np.mean(means))
    five = Seen(
        np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
        np.array([[0.1, 0.5, 0.2, 0.9, 0.6], [0.5, 0.1, 0.8, 0.3, 0.9]]),
        np.zeros(5),
        np.zeros((5, 5), bool),
        np.zeros((5, 5), bool),
    )
    along = np.log(five.frames)
    slope, start = np.polyfit(along, five.means, 1)
    np.testing.assert_allclose(_rules.to_line(five, along), start + slope * along)
    # a line that would fall is level
    left = (_rules.to_line(five, -along) - five.means.mean()) / (five.means - five.means.mean())
    np.testing.assert_allclose(left, left[0])
    assert 0 < left[0] < 1


def test_nested_arms_never_fall() -> None:
    found = _rules.rising(seen([0.5, 0.9, 0.6, 0.4]))
    np.testing.assert_allclose(found, [0.5, 0.9, 0.5, 0.5])


def test_regret_beside_arms_that_are_drawn_without_looking() -> None:
    fixed = [(1.0, 0.10), (20.0, 0.30), (5.0, 0.04), (20.0, 0.0)]
    assert mixed(fixed, 5.0) == pytest.approx(0.04)
    assert mixed(fixed, 3.0) == pytest.approx(0.07)
    assert mixed(fixed, 12.5) == pytest.approx(0.02)
    assert mixed(fixed, 99.0) == 0.0
    found = case({"rule": "b"}, {"a": 0.5, "b": 0.45}, {"a": 20.0, "b": 5.0})
    assert found["rule"] == {"arm": "b", "regret": pytest.approx(0.05), "frames": 5.0}
    assert found["the best"] == {"arm": "a", "regret": 0.0, "frames": 20.0}
    rows = [{"set": "s", "division": i, "followed": found} for i in range(2)]
    assert "| s | rule | 2 of 2 | 5.00 | 5.0 | 0% | 5.0 | +0.00 |" in summary(rows)


def test_simulated_suites_scatter_around_their_truth() -> None:
    truth = _truths.Truth(gain=0.3, scatter=0.02, groups=4000)
    lost = truth.seen(np.random.default_rng(0)).means - truth.means
    np.testing.assert_allclose(lost - lost.mean(), 0, atol=0.01)
    rows = list(regret.simulated(1, 0))
    assert len({row["set"] for row in rows}) == 2
    assert all(row["followed"]["the best"]["regret"] == 0 for row in rows)
