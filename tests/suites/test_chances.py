"""What so many scenes can never tell is said before a suite starts."""

from __future__ import annotations

import pytest

from tests.helpers.suites import Place, install
from vidseg.suites.chances import chances, describe_chances, missing_lead
from vidseg.suites.suite import Suite, load_suite


def suite(**changes: object) -> Suite:
    return load_suite("gain-curve", {"dataset": "synthetic:videos=4", **changes})


def said(one: Suite, groups: int) -> str:
    return " ".join(chances(one, groups, {arm.name for arm in one.arms}))


def test_holm_is_in_the_floor() -> None:
    two = suite()
    assert said(two, 5).startswith("5 scenes can never tell: the smallest possible p is 0.0625; 6")
    assert said(two, 6) == (
        "6 scenes can never show 2 comparisons better or worse, at most equivalent: after Holm's "
        "correction the smallest possible p is 0.0625; 7 "
        "scenes are the least, or mark one of them lead: true, which is tested alone"
    )
    assert said(two, 7) == ""
    assert said(suite(comparisons=[]), 2) == ""


def test_the_lead_is_not_in_the_family_and_checks_are_not_either() -> None:
    pairs = [
        {"a": "1 every 1", "b": "20 every 1", "lead": True},
        {"a": "20 every 1", "b": "20 every 5"},
    ]
    assert said(suite(comparisons=pairs), 6) == ""
    more = [*pairs, {"a": "1 every 1", "b": "20 every 5"}]
    assert said(suite(comparisons=more), 6).startswith("6 scenes can never show the other 2 comp")
    check = {"extractor": "filters", "classifier": "sgd", "sensitivity": True}
    assert said(suite(comparisons=pairs, **{"pipelines.sgd": check}), 6) == ""
    check = {"extractor": "filters", "classifier": "sgd"}
    assert "the other 3 comparisons" in said(
        suite(comparisons=pairs, **{"pipelines.sgd": check}), 6
    )


def test_comparisons_with_an_oracle_are_not_in_the_family() -> None:
    selectors = load_suite("selectors", {"dataset": "synthetic:videos=4"})
    assert said(selectors, 8) == ""
    assert "6 comparisons better or worse, at most equivalent: after Holm's correction" in said(
        selectors, 7
    )


def test_a_lead_that_is_not_made() -> None:
    data = {"dataset": "synthetic:videos=4"}
    paper = load_suite("paper", data)
    arms = {arm.name for arm in paper.arms}
    assert missing_lead(paper, arms) == []
    assert missing_lead(paper, arms - {"400"}) == [
        "the lead comparison, 1by20 -> 400, is not made (without 400): none is tested alone, "
        "Holm's correction guards all together"
    ]
    unet = load_suite("paper", data, ["unet"])
    (line,) = missing_lead(unet, {arm.name for arm in unet.arms})
    assert "(without 1by20)" in line
    assert missing_lead(suite(), set()) == []


def test_a_lead_that_is_not_made_is_not_asked_for_again() -> None:
    pairs = [
        {"a": "1 every 1", "b": "20 every 1", "lead": True},
        {"a": "1 every 1", "b": "20 every 5"},
        {"a": "1 every 5", "b": "20 every 5"},
    ]
    one = suite(comparisons=pairs)
    (line,) = chances(one, 6, {arm.name for arm in one.arms} - {"20 every 1"})
    assert "can never show 2 comparisons" in line
    assert "lead: true" not in line


def test_the_groups_that_folds_test_on_count(place: Place) -> None:
    bench = place.bench()
    (line,) = describe_chances(bench)
    assert line.startswith("3 scenes can never tell: the smallest possible p is 0.25")


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path_factory.mktemp("place"))
