"""``tune_from:`` of a pipeline: it takes what another one chose; arms with seeds of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import dial
from tests.helpers.dial import FITS
from tests.helpers.suites import InTurn, Place, install, mapping, numbers
from vidseg.errors import UsageError
from vidseg.report import build
from vidseg.suites.cells import select
from vidseg.suites.executors.local import Local
from vidseg.suites.plan import refusals
from vidseg.suites.record import suite_record
from vidseg.suites.suite import make_suite

FILTERS = {"extractor": "filters:octaves=1"}
LEADER: dict[str, Any] = {**FILTERS, "classifier": "dial", "tune": {"dial": [9, 0, 1000]}}
OTHER: dict[str, Any] = {**FILTERS, "classifier": "dial:positive_weight=2"}
FOLLOWER: dict[str, Any] = {**OTHER, "tune_from": "leader"}
PIPELINES = {"follower": FOLLOWER, "leader": LEADER}
ARMS: dict[str, Any] = {
    "arms": {
        "four": {"sampler": "successive:n=4"},
        "alone": {"sampler": "successive:n=2", "pipelines": ["follower"]},
    },
    "comparisons": [],
    "split": "fixed:test=syn00",
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    dial.install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_a_follower_takes_the_choice_and_chooses_where_there_is_none(
    place: Place, executor: Any
) -> None:
    bench = place.bench(pipelines=PIPELINES, **ARMS)
    cells = {cell.id: cell for cell in bench.cells}
    child = cells["four follower/fold 0/seed 0"]
    assert (child.parent, child.depth) == ("four leader/fold 0/seed 0", 1)
    assert cells["alone follower/fold 0/seed 0"].parent is None
    results, plan = place.run(bench, executor())
    assert not results.failures
    assert plan["inner_fits"] == 2 * 2 * 3, "of the leader, and of the follower alone"
    assert len(FITS) == plan["inner_fits"] + 3
    facts = {name: found.facts for name, found in results.finished.items()}
    assert {one["tune_index"] for one in facts.values()} == {0}
    assert "tune_score_0" not in facts["four follower/fold 0/seed 0"]
    fixed = {"follower": {**OTHER, "classifier": "dial:positive_weight=2,dial=0"}}
    again = Place(place.folder / "again")
    own, _ = again.run(again.bench(pipelines=fixed, **ARMS))
    found = numbers(results)
    assert numbers(own) == {name: found[name] for name in found if "follower" in name}
    record = suite_record(bench, bench.cells, results, plan)
    assert {s.name: s.tuned for s in build(record).settings}["four follower"] == (("0", 1),)
    params = {one.name: one.run.params for one in record.settings}
    assert params["four follower"]["tune_from"] == "four leader"
    assert "tune_from" not in params["alone follower"]


def test_its_key_holds_the_key_of_the_leader(place: Place) -> None:
    def keys(leader: Any) -> dict[str, str | None]:
        bench = place.bench(pipelines={"follower": FOLLOWER, "leader": leader}, **ARMS)
        return {cell.id: bench.key(cell) for cell in bench.cells if cell.fold.index == 0}

    before, after = keys(LEADER), keys({**LEADER, "classifier": "dial:positive_weight=3"})
    same = {name for name in before if before[name] == after[name]}
    assert same == {"alone follower/fold 0/seed 0"}
    assert before["four follower/fold 0/seed 0"] != before["four leader/fold 0/seed 0"]


def test_only_takes_the_leader_along_and_a_chosen_pipeline_too(place: Place) -> None:
    bench = place.bench(pipelines=PIPELINES, **ARMS)
    found = [cell.id for cell in select(bench.cells, "four follower/fold 0")]
    assert sorted(found) == ["four follower/fold 0/seed 0", "four leader/fold 0/seed 0"]
    results, _ = place.run(bench, cells=select(bench.cells, "four follower/fold 0"))
    assert len(results.finished) == 2


def test_a_leader_that_could_not_choose_gives_its_own_value(place: Place) -> None:
    data = {"dataset": "synthetic:videos=2,frames=6,size=64x48"}
    results, _ = place.run(place.bench(pipelines=PIPELINES, **ARMS, **data))
    assert {value for value, _ in FITS} == {7}
    assert {found.facts["tune_index"] for found in results.finished.values()} == {-1}


def test_a_leader_that_fails_takes_its_followers_with_it(place: Place) -> None:
    leader = {**LEADER, "tune": {"dial": [-2, -1]}}
    results, _ = place.run(place.bench(pipelines={"follower": FOLLOWER, "leader": leader}, **ARMS))
    said = str(results.failures["four follower/fold 0/seed 0"])
    assert "takes the choice of four leader/fold 0/seed 0, which failed: no value" in said
    assert len(results.failures) == 3


def test_the_resolved_suite_keeps_the_edge() -> None:
    suite = make_suite(mapping(pipelines=PIPELINES, **ARMS))
    again = make_suite(suite.mapping())
    assert again.follows == {"follower": "leader"}
    assert again.mapping() == suite.mapping()
    assert "tune" not in suite.mapping()["pipelines"]["follower"]


def test_an_arm_takes_the_choices_of_another(place: Place) -> None:
    like = {**ARMS["arms"]["alone"], "tuned_as": "four", "seeds": [0, 5]}
    arms = {"four": ARMS["arms"]["four"], "alone": like}
    bench = place.bench(pipelines=PIPELINES, **{**ARMS, "arms": arms})
    parents = {cell.id: cell.parent for cell in bench.cells}
    assert parents["alone follower/fold 0/seed 5"] == "four leader/fold 0/seed 0"
    results, plan = place.run(bench)
    assert plan["inner_fits"] == 2 * 3, "of the leader only"
    assert {found.facts["tune_index"] for found in results.finished.values()} == {0}
    assert make_suite(bench.suite.mapping()).mapping() == bench.suite.mapping()
    own = {"four": ARMS["arms"]["four"], "two": {"sampler": 1, "tuned_as": "four"}}
    suite = make_suite(mapping(pipelines={"leader": LEADER}, arms=own, comparisons=[]))
    (follow,) = [suite.setting(arm, "leader", 0).follow for arm in suite.arms[1:]]
    assert follow is not None
    assert follow.name == "four leader"


def test_an_arm_that_is_tuned_as_one_that_is_left_out_chooses_itself(place: Place) -> None:
    arms = {
        "four": {"sampler": "successive:n=4"},
        "two": {"sampler": "strided:every=5,n=2", "tuned_as": "four"},
    }
    sparse = {"dataset": "synthetic:videos=3,frames=20,size=64x48,labelled=every:5"}
    split = {"split": "fixed:test=syn00", "comparisons": []}
    bench = place.bench(pipelines={"leader": LEADER}, arms=arms, **sparse, **split)
    said = "the arm two is tuned as four, which is left out: it chooses by itself"
    assert said in bench.left_out.notes
    (cell,) = select(bench.cells, "two")
    assert cell.parent is None
    results, plan = place.run(bench, InTurn())
    assert plan["inner_fits"] == 2 * 3
    assert results.finished[cell.id].facts["tune_groups"] == 2
    assert said in suite_record(bench, bench.cells, results, plan).notes
    # an arm that stays takes choices from one that stays
    both = {name: {**arm, "sampler": "strided:every=5,n=2"} for name, arm in arms.items()}
    bench = place.bench(pipelines={"leader": LEADER}, arms=both, **sparse, **split)
    assert not bench.left_out.notes
    assert [one.parent for one in bench.cells][1] == bench.cells[0].id


def test_an_arm_that_is_tuned_as_one_that_fails_fails_too(place: Place) -> None:
    arms = {
        "four": {"sampler": "refusing"},
        "two": {"sampler": 1, "tuned_as": "four"},
        "one": {"sampler": 1},
    }
    split = {"split": "fixed:test=syn00", "comparisons": []}
    bench = place.bench(pipelines={"leader": LEADER}, arms=arms, **split)
    chosen = select([cell for cell in bench.cells if cell.arm.name != "four"], "two")
    assert [cell.id for cell in chosen] == ["two leader/fold 0/seed 0"]
    refused = refusals(bench, bench.cells)
    assert refused["two leader/fold 0/seed 0"] == (
        "they take the choice of four leader/fold 0/seed 0, which fails"
    )
    assert len(refused) == 2
    results, _ = place.run(bench)
    assert list(results.finished) == ["one leader/fold 0/seed 0"]
    assert "this sampler fails" in str(results.failures["two leader/fold 0/seed 0"])


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ({"tuned_as": "for"}, r"there is no arm 'for'; did you mean 'four'"),
        ({"tuned_as": "four", "split": "k-fold:k=2"}, "'four' has another split"),
        ({"tuned_as": "alone"}, "'alone' is tuned as another arm too"),
    ],
)
def test_arms_that_cannot_be_tuned_as_another(like: Any, expected: str) -> None:
    arms = {"four": ARMS["arms"]["four"], "alone": {**ARMS["arms"]["alone"], **like}}
    with pytest.raises(UsageError, match=rf"arms\.alone\.tuned_as.*{expected}"):
        make_suite(mapping(pipelines=PIPELINES, arms=arms, comparisons=[]))


@pytest.mark.parametrize(
    ("follower", "leader", "expected"),
    [
        (
            {"tune_from": "lead"},
            {},
            r"tune_from: there is no pipeline 'lead'; did you mean 'leader",
        ),
        ({"tune": {"dial": [0, 1]}}, {}, "tune_from and tune exclude each other"),
        ({}, {"tune": None}, r"the pipeline leader is not tuned; give leader a grid"),
        ({"classifier": "quick"}, {}, "classifier 'quick' has no parameter 'dial'"),
    ],
)
def test_edges_that_cannot_be(follower: Any, leader: Any, expected: str) -> None:
    made = {"follower": {**FOLLOWER, **follower}, "leader": {**LEADER, **leader}}
    with pytest.raises(UsageError, match=rf"pipelines.follower.tune_from.*{expected[9:]}"):
        make_suite(mapping(pipelines=made, **ARMS))


def test_an_arm_has_seeds_of_its_own(place: Place) -> None:
    arms = {
        "one": {"sampler": 1},
        "noisy": {"sampler": "noised:base=1,copies=2", "seeds": 3},
    }
    more = {"arms": arms, "comparisons": [{"a": "one", "b": "noisy"}]}
    bench = place.bench(**more)
    assert {cell.seed for cell in bench.cells if cell.arm.name == "noisy"} == {0, 1, 2}
    assert len(bench.cells) == 3 + 9
    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    one, noisy = record.settings
    assert list(one.by_seed) == [0]
    assert list(noisy.by_seed) == [0, 1, 2]
    assert [fold.index for fold in noisy.run.folds] == list(range(9))
    assert noisy.run.params["run.seed"] == "0,1,2"
    group = next(iter(noisy.group_scores))
    own = [scores[group]["iou"] for scores in noisy.by_seed.values()]
    assert noisy.group_scores[group]["iou"] == pytest.approx(sum(own) / 3)
    report = build(record)
    assert report.pairs[0].result is not None
    assert make_suite(bench.suite.mapping()).mapping() == bench.suite.mapping()
    with pytest.raises(UsageError, match="the seed 1 stands twice"):
        make_suite(mapping(**{**more, "arms": {**arms, "noisy": {"sampler": 1, "seeds": [1, 1]}}}))
