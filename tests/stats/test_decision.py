"""One rule over cost and score of all arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vidseg.errors import UsageError
from vidseg.stats import Option, Standing, decide, groups_to_show

EIGHT = [f"g{i}" for i in range(8)]


def options(rows: dict[str, tuple[float, float]], groups: list[str], noise: float = 0.002):
    rng = np.random.default_rng(5)
    level = rng.normal(0, 0.1, len(groups))
    made = []
    for name, (cost, mean) in rows.items():
        scores = level + mean + rng.normal(0, noise, len(groups))
        made.append(Option(name, cost, dict(zip(groups, scores.tolist(), strict=True))))
    return made


def test_at_equal_cost_the_better_arm_is_taken_whatever_was_compared() -> None:
    arms = {"1": (1.0, 0.38), "20": (20.0, 0.44), "1by20": (20.0, 0.52), "400": (400.0, 0.521)}
    found = decide(options(arms, EIGHT))
    assert found is not None
    assert (found.standing, found.choice) == (Standing.SHOWN, "1by20")
    assert set(found.shown) == {"1by20", "400"}


def test_a_cheap_arm_of_another_pipeline_beats_the_winner_of_a_comparison() -> None:
    weak = {"1 weak": (1.0, 0.167), "1by20 weak": (20.0, 0.239), "400 weak": (400.0, 0.387)}
    found = decide(options(weak | {"1 C=1": (1.0, 0.429), "1by20 C=1": (20.0, 0.430)}, EIGHT))
    assert found is not None
    assert (found.choice, found.standing) == ("1 C=1", Standing.SHOWN)


def test_not_shown_takes_the_cheapest_near_the_best_and_says_what_would_prove_it() -> None:
    arms = {"first": (10.0, 0.30), "uniform": (10.0, 0.52), "middle": (10.0, 0.518)}
    found = decide(options(arms | {"all": (90.0, 0.525)}, EIGHT, noise=0.03), delta=0.02)
    assert found is not None
    assert found.standing is Standing.NOT_PROVEN
    assert found.choice in ("uniform", "middle")
    assert found.means[found.choice] == max(found.means["uniform"], found.means["middle"])
    assert found.groups_needed is not None
    assert found.groups_needed > len(EIGHT)


def test_not_shown_takes_another_arm_instead_but_shown_does_not() -> None:
    arms = {"20": (20.0, 0.51), "1by20": (20.0, 0.51), "5th": (80.0, 0.50), "1": (1.0, 0.2)}
    made = options(arms, EIGHT, noise=0.05)
    others = [replace(made[0], instead=("1by20", "1", "absent")), *made[1:]]
    one, other = decide(made, delta=0.02), decide(others, delta=0.02)
    assert one is not None
    assert other is not None
    assert (one.choice, one.instead_of) == ("20", "")
    assert (other.choice, other.instead_of, other.best) == ("1by20", "20", "20")
    assert other.standing is Standing.NOT_PROVEN
    assert other.p_values == one.p_values, "what is shown does not depend on it"
    sure = options({**arms, "20": (20.0, 0.65)}, EIGHT)
    found = decide([replace(sure[0], instead=("1by20",)), *sure[1:]])
    assert found is not None
    assert (found.choice, found.standing, found.instead_of) == ("20", Standing.SHOWN, "")


def test_below_the_floor_nothing_is_chosen() -> None:
    found = decide(options({"1": (1.0, 0.1), "20": (20.0, 0.9)}, EIGHT[:5]))
    assert found is not None
    assert (found.standing, found.choice, found.shown) == (Standing.TOO_FEW, None, ())
    assert decide(options({"1": (1.0, 0.1)}, EIGHT)) is None


def test_arms_that_trained_on_the_same_are_one_and_such_groups_say_nothing() -> None:
    few, many = options({"20": (20.0, 0.5), "50": (50.0, 0.5)}, EIGHT)
    alike = dict.fromkeys(EIGHT, "x")
    twins = [Option(o.name, o.cost, o.scores, alike) for o in (few, many)]
    assert decide(twins) is None
    half = {group: group if i < 4 else "x" for i, group in enumerate(EIGHT)}
    other = {group: f"{group}+" if i < 4 else "x" for i, group in enumerate(EIGHT)}
    pair = [Option("20", 20.0, few.scores, half), Option("50", 50.0, few.scores, other)]
    found = decide(pair)
    assert found is not None
    assert found.p_values == {"20": 1, "50": 1}, "four groups are left that can tell"
    assert (found.standing, found.choice) == (Standing.TOO_FEW, None)
    assert (found.compared, set(found.nearest)) == (tuple(EIGHT[:4]), {"20", "50"})


def test_two_arms_are_compared_on_the_groups_in_which_they_trained_otherwise() -> None:
    rows = {"1": (1.0, 0.3), "20": (20.0, 0.5), "50": (50.0, 0.5), "400": (400.0, 0.5)}
    made = options(rows, EIGHT[:7], noise=0.0)
    trained = {one.name: {group: f"{group} {one.name}" for group in EIGHT} for one in made}
    for group in EIGHT[:2]:
        trained["50"][group] = trained["20"][group]
    trained["400"]["g0"] = trained["50"]["g0"]
    found = decide([replace(one, trained=trained[one.name]) for one in made])
    assert found is not None
    assert {name for name, p in found.p_values.items() if p == 1} == {"1", "20", "50"}
    assert (found.standing, found.choice, found.shown) == (Standing.SHOWN, "400", ("400",))
    assert found.nearest == ("400", "20")
    assert found.compared == tuple(EIGHT[1:7])


def test_an_arm_delta_below_the_best_is_rarely_called_as_good() -> None:
    rng, wrong, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        table = rng.normal(0, 0.02, (7, 5)) + 0.5
        table[:, 4] += 0.01
        scores = [dict(zip(EIGHT[:7], column, strict=True)) for column in table.T]
        found = decide([Option(str(i), i, own) for i, own in enumerate(scores)])
        assert found is not None
        wrong += any(name != "4" for name in found.shown)
    assert wrong / runs < 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_groups_to_show_grow_with_spread_and_tests() -> None:
    few = groups_to_show([-0.01, 0.01], 0.01)
    assert few is not None
    assert few < (groups_to_show([-0.02, 0.02], 0.01) or 0)
    assert few < (groups_to_show([-0.01, 0.01], 0.01, comparisons=6) or 0)
    assert groups_to_show([0.1], 0.01) is None


def test_what_is_refused() -> None:
    one = Option("1", 1.0, {"a": 0.5})
    with pytest.raises(UsageError, match="delta"):
        decide([one], delta=0)
    with pytest.raises(UsageError, match="one name"):
        decide([one, one])
