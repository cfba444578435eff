"""Pipelines that start from another one's fitted models: keys, order, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import networks
from tests.helpers.suites import COUNTS, InTurn, Place, install, mapping, numbers
from vidseg.errors import UsageError
from vidseg.suites.cells import select
from vidseg.suites.executors.local import Local
from vidseg.suites.suite import load_suite, make_suite

FILTERS = {"extractor": "filters:octaves=1"}
PIPELINES = {
    "deep": {**FILTERS, "classifier": "tinynet:steps=1", "init_from": "net"},
    "net": {**FILTERS, "classifier": "tinynet:steps=2", "init_from": "base"},
    "base": {**FILTERS, "classifier": "tinynet:steps=3"},
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    networks.forget()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def changed(**pipelines: dict[str, str]) -> dict[str, Any]:
    return {name: {**one, **pipelines.get(name, {})} for name, one in PIPELINES.items()}


def test_a_cell_starts_from_the_same_arm_fold_and_seed(place: Place) -> None:
    bench = place.bench(pipelines=PIPELINES, seeds=[0, 1])
    by_id = {cell.id: cell for cell in bench.cells}
    assert len(by_id) == 2 * 3 * 3 * 2
    child = by_id["four deep/fold 2/seed 1"]
    assert (child.parent, child.depth) == ("four net/fold 2/seed 1", 2)
    assert by_id[child.parent].parent == "four base/fold 2/seed 1"
    assert by_id["four base/fold 2/seed 1"].parent is None
    start = child.setting.init
    assert start is not None
    assert start.setting == by_id[child.parent].setting


def test_the_key_holds_the_key_of_what_it_starts_from(place: Place) -> None:
    def keys(pipelines: Any) -> dict[str, str | None]:
        bench = place.bench(pipelines=pipelines)
        return {cell.id: bench.key(cell) for cell in bench.cells if cell.fold.index == 0}

    before = keys(PIPELINES)
    assert len(set(before.values())) == len(before)
    after = keys(changed(base={"classifier": "tinynet:steps=4"}))
    assert not set(before.values()) & set(after.values()), "all descend from it"
    after = keys(changed(deep={"classifier": "tinynet:steps=4"}))
    same = {name for name in before if before[name] == after[name]}
    assert same == {name for name in before if "deep" not in name}
    alone = {
        name: {k: v for k, v in one.items() if k != "init_from"} for name, one in PIPELINES.items()
    }
    renamed = dict(zip(("x", "net", "base"), alone.values(), strict=True))
    assert keys(alone)["one deep/fold 0/seed 0"] == keys(renamed)["one x/fold 0/seed 0"]
    assert keys(alone)["one deep/fold 0/seed 0"] != before["one deep/fold 0/seed 0"]


def test_only_takes_what_it_starts_from(place: Place) -> None:
    cells = place.bench(pipelines=PIPELINES).cells
    found = [cell.id for cell in select(cells, "one net/fold 1")]
    assert found == ["one net/fold 1/seed 0", "one base/fold 1/seed 0"]
    assert len(select(cells, "base")) == len(cells) / 3


def test_the_resolved_suite_keeps_the_edges() -> None:
    suite = make_suite(mapping(pipelines=PIPELINES))
    assert suite.starts == {"deep": "net", "net": "base"}
    assert make_suite(suite.mapping()).starts == suite.starts
    assert "init_from" not in suite.mapping()["pipelines"]["base"]


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_parents_are_fitted_before_their_children(place: Place, executor: Any) -> None:
    bench = place.bench(pipelines=PIPELINES)
    order: list[str] = []
    results, _ = place.run(bench, executor(), on_fitted=order.append)
    assert not results.failures
    assert len(results.finished) == len(order) == len(bench.cells)
    for cell in bench.cells:
        if cell.parent is not None:
            assert order.index(cell.parent) < order.index(cell.id)
        facts = results.finished[cell.id].facts
        assert facts["started"] == (cell.pipeline != "base")
    counts = numbers(results)
    deep, base = (counts[f"one {name}/fold 0/seed 0"]["model"] for name in ("deep", "base"))
    assert deep != base


def test_what_is_started_from_is_the_fitted_model(place: Place) -> None:
    """Steps 0 of a child leave the model of its parent as it is."""
    pipelines = changed(
        deep={"classifier": "tinynet:steps=0"}, net={"classifier": "tinynet:steps=0"}
    )
    results, _ = place.run(place.bench(pipelines=pipelines))
    counts = numbers(results)
    for arm in ("one", "four"):
        for fold in range(3):
            found = [counts[f"{arm} {name}/fold {fold}/seed 0"]["model"] for name in PIPELINES]
            assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_a_failed_parent_fails_its_children_with_its_reason(place: Place, executor: Any) -> None:
    pipelines = changed(base={"classifier": "quick:trouble=fail,videos=syn00"})
    results, _ = place.run(place.bench(pipelines=pipelines), executor())
    assert COUNTS["fits"] == 2 * 3, "a failed parent is not fitted again for each child"
    failed = {name.partition("/")[0] for name in results.failures}
    assert failed == {f"{arm} {name}" for arm in ("one", "four") for name in PIPELINES}
    assert len(results.failures) == 3 * 2 * 2
    assert len(results.finished) == 3 * 2
    (fold,) = {name.partition("/")[2] for name in results.finished}
    other = next(name for name in results.failures if name.startswith("one deep"))
    place_ = other.partition("/")[2]
    assert place_ != fold
    assert results.failures[other].what.startswith(
        f"starts from one net/{place_}, which failed: starts from one base/{place_}, which failed: "
    )
    assert "this fit fails on purpose" in str(results.failures[other])


def test_a_child_alone_has_its_parent_fitted(place: Place) -> None:
    bench = place.bench(pipelines=PIPELINES)
    (child,) = [cell for cell in bench.cells if cell.id == "one net/fold 0/seed 0"]
    results, _ = place.run(bench, cells=[child])
    assert results.finished[child.id].facts["started"] == 1
    (parent,) = [cell for cell in bench.cells if cell.id == child.parent]
    assert bench.experiments["base"].is_fitted(parent.setting, parent.fold)


TEXT = """name: mine
question: does it?
dataset: synthetic:videos=3
device: cpu
pipelines:
  svm: {extractor: filters, classifier: pixel_svm}
  other:
    extractor: filters
    classifier: pixel_svm:C=2
    init_from: svm
  third: {extractor: filters, classifier: sgd}
arms:
  one: {sampler: 1}
  two: {sampler: 20}
comparisons: [{a: one, b: two}]
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("from: svm", "from: svn", r"yaml:10 pipelines.other.init_from: .*'svn'.*mean 'svm'"),
        ("from: svm", "from: other", r":10 .*init_from: starts from itself \(other from other\)"),
        ("init_from: svm", "init_frm: svm", r":10 .*no key 'init_frm'; did you mean 'init_from'"),
        (
            "classifier: sgd}",
            "classifier: sgd, init_from: svm}",
            r":11 pipelines.third.init_from: the classifier sgd does not start from a fitted",
        ),
        (
            "pixel_svm}",
            "pixel_svm, init_from: other}",
            r":6 pipelines.svm.init_from: starts from itself \(svm from other from svm\)",
        ),
        (
            "{sampler: 20}",
            "{sampler: 20, pipelines: [other, third]}",
            r":10 .*the arm 'two' runs other, but not svm, from which it starts; add svm",
        ),
    ],
)
def test_edges_that_cannot_be(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert TEXT.count(old) == 1
    (tmp_path / "mine.yaml").write_text(TEXT.replace(old, new))
    with pytest.raises(UsageError, match=expected) as caught:
        load_suite(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(caught.value)


def test_an_arm_without_the_child_needs_no_parent(tmp_path: Path) -> None:
    text = TEXT.replace("{sampler: 20}", "{sampler: 20, pipelines: [third]}")
    (tmp_path / "mine.yaml").write_text(text)
    assert load_suite(str(tmp_path / "mine.yaml")).starts == {"other": "svm"}
