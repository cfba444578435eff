"""``tune:`` of a pipeline: each cell takes its best of a grid in inner folds of its own groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import dial
from tests.helpers.dial import FITS, LAST, LOADS
from tests.helpers.suites import InTurn, Place, install, mapping, numbers
from vidseg.classifiers.linear.exact.problem import Problem
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.errors import Stopped, UsageError
from vidseg.report import build
from vidseg.report.document import Table
from vidseg.report.tables import budget
from vidseg.suites.executors.local import Local
from vidseg.suites.overrides import parse_overrides
from vidseg.suites.plan import describe_plan, make_plan, waiting_cells
from vidseg.suites.record import suite_record
from vidseg.suites.suite import load_suite, make_suite

FILTERS = {"extractor": "filters:octaves=1"}
GRID: dict[str, Any] = {**FILTERS, "classifier": "dial", "tune": {"dial": [9, 0, 1000]}}
FIXED: dict[str, Any] = {**FILTERS, "classifier": "dial:dial=0"}
ONE: dict[str, Any] = {"arms": {"four": {"sampler": "successive:n=4"}}, "comparisons": []}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    dial.install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_every_cell_takes_the_best_value(place: Place, executor: Any) -> None:
    results, plan = place.run(place.bench(pipelines={"a": GRID}, **ONE), executor())
    assert len(results.finished) == 3
    inner = [fit for fit in FITS if len(fit[1]) == 1]
    assert plan["inner_fits"] == len(inner) == 3 * 2 * 3
    assert [value for value, videos in FITS if len(videos) == 2] == [0] * 3
    for found in results.finished.values():
        facts = found.facts
        assert (facts["tune_index"], facts["tune_value"], facts["tune_groups"]) == (0, 0, 2)
        assert facts["tune_fits"] == 6
        assert facts["tune_score_0"] > facts["tune_score_1"] >= facts["tune_score_2"] == 0
        curve = [(value, step) for name, value, step in found.curves if name == "tune/value"]
        assert curve == [(0, 0), (9, 1), (1000, 2)]
    assert set(LOADS) == {0}, "a model is loaded by what fitted it"
    fixed, _ = place.run(place.bench(pipelines={"a": FIXED}, **ONE))
    assert numbers(results) == numbers(fixed)


def test_inner_folds_hold_out_training_groups_and_no_test_group(place: Place) -> None:
    data = {"dataset": "synthetic:videos=5,frames=6,size=64x48", **ONE}
    bench = place.bench(pipelines={"a": GRID}, **data)
    for cell in bench.cells:
        FITS.clear()
        place.run(bench, cells=[cell])
        inner = [videos for _, videos in FITS[:-1]]
        assert len(inner) == 3 * 3
        assert len(set(inner)) == 3, "three groups are held out, each once"
        for videos in inner:
            assert len(videos) == 3
            assert videos < FITS[-1][1]
        assert not FITS[-1][1] & set(cell.fold.test)


def test_the_key_holds_the_grid(place: Place) -> None:
    def keys(pipeline: Any, **more: Any) -> set[str | None]:
        bench = place.bench(pipelines={"a": pipeline}, **ONE, **more)
        return {bench.key(cell) for cell in bench.cells}

    tuned = keys(GRID)
    assert tuned == keys({**GRID, "tune": {"dial": [1000, 0, 9]}}), "numbers ascend"
    assert not tuned & keys({**GRID, "tune": {"dial": [0, 9]}})
    assert not tuned & keys({**FILTERS, "classifier": "dial"})
    assert not tuned & keys(GRID, threshold=0.5), "values are compared at the threshold"
    assert keys(FIXED) == keys(FIXED, threshold=0.5)


def test_a_fit_that_was_stopped_does_not_repeat_inner_fits(place: Place) -> None:
    pipelines = {"a": GRID}
    whole, _ = place.run(place.bench(pipelines=pipelines, **ONE))
    once = list(FITS)
    again = Place(place.folder / "again")
    FITS.clear()
    LAST.append(4)
    with pytest.raises(Stopped):
        again.run(again.bench(pipelines=pipelines, **ONE))
    LAST.clear()
    results, _ = again.run(again.bench(pipelines=pipelines, **ONE))
    assert once == FITS
    assert numbers(results) == numbers(whole)
    for cell, found in results.finished.items():
        other = whole.finished[cell].facts
        same = {k: v for k, v in found.facts.items() if not k.endswith("seconds")}
        assert same == {k: v for k, v in other.items() if not k.endswith("seconds")}
    assert not list(again.folder.glob("ledger/**/tune-*")), "what was kept is cleared"


def test_a_damaged_trial_is_done_again(place: Place) -> None:
    LAST.append(4)
    with pytest.raises(Stopped):
        place.run(place.bench(pipelines={"a": GRID}, **ONE))
    for path in place.folder.glob("ledger/**/tune-0-*.json"):
        path.write_bytes(path.read_bytes()[:40])
    LAST.clear()
    FITS.clear()
    results, _ = place.run(place.bench(pipelines={"a": GRID}, **ONE))
    assert len(FITS) == 3 * 7 - 1, "of four trials three are damaged"
    assert not results.failures


def test_one_training_group_leaves_the_pipelines_own_value(place: Place) -> None:
    data = {"dataset": "synthetic:videos=2,frames=6,size=64x48", **ONE}
    bench = place.bench(pipelines={"a": GRID}, **data)
    said = describe_plan(make_plan(bench, waiting_cells(bench, bench.cells)))
    assert "0 inner fits choose the values of grids; 2 cells have one training group, so" in said
    assert said.endswith("out: they take the pipeline's own dial=7.0")
    results, plan = place.run(bench)
    assert [value for value, _ in FITS] == [7, 7]
    facts = [found.facts for found in results.finished.values()]
    assert [(one["tune_index"], one["tune_value"]) for one in facts] == [(-1, 7)] * 2
    record = suite_record(bench, bench.cells, results, plan)
    assert record.settings[0].run.params["tuned.1"] == "dial=7.0 (not tuned)"
    assert build(record).settings[0].tuned == (("7.0 (not tuned)", 2),)


def test_a_value_that_cannot_be_fitted_is_left_out(place: Place) -> None:
    pipelines = {"a": {**GRID, "tune": {"dial": [-1, 0, 5]}}}
    results, _ = place.run(place.bench(pipelines=pipelines, **ONE))
    assert {found.facts["tune_value"] for found in results.finished.values()} == {0}
    assert all("tune_score_0" not in found.facts for found in results.finished.values())
    worse = {"a": {**GRID, "tune": {"dial": [-2, -1]}}}
    results, _ = place.run(place.bench(pipelines=worse, **ONE))
    expected = "tune: no value of dial of -2, -1 can be fitted, the first with: the loss is not"
    assert len(results.failures) == 3
    assert all(str(error).startswith(expected) for error in results.failures.values())


def test_ties_go_to_the_smaller(place: Place) -> None:
    pipelines = {"a": {**GRID, "tune": {"dial": [2000, 1000]}}}
    results, _ = place.run(place.bench(pipelines=pipelines, **ONE))
    assert {found.facts["tune_value"] for found in results.finished.values()} == {1000}


def test_an_inner_threshold_takes_the_inner_fits_of_the_best_value(place: Place) -> None:
    own, _ = place.run(place.bench(pipelines={"a": FIXED}, threshold="inner", **ONE))
    FITS.clear()
    results, _ = place.run(place.bench(pipelines={"a": GRID}, threshold="inner", **ONE))
    assert len(FITS) == 3 * (2 * 3 + 1), "no further fit for the threshold"
    for cell, found in results.finished.items():
        assert found.facts["threshold"] == own.finished[cell].facts["threshold"]
        assert found.facts["inner_iou"] == own.finished[cell].facts["inner_iou"]


def test_networks_and_words_are_tuned_alike(place: Place) -> None:
    pipelines = {
        "net": {**FILTERS, "classifier": "tinynet", "tune": {"steps": [0, 30]}},
        "vgg": {
            "extractor": "timm:model=test_resnet,weights=random",
            "classifier": "vgg:epochs=1",
            "tune": {"optimizer": ["sgd", "adamw"]},
        },
    }
    bench = place.bench(pipelines=pipelines, **ONE, split="fixed:test=syn00")
    results, plan = place.run(bench)
    assert not results.failures
    assert len(results.finished) == 2
    record = suite_record(bench, bench.cells, results, plan)
    net, vgg = (setting.run.params for setting in record.settings)
    assert net["tune"] == "steps of 0, 30"
    assert vgg["tuned.0"] in ("optimizer=sgd", "optimizer=adamw")
    for cell, found in results.finished.items():
        scores = [found.facts[f"tune_score_{i}"] for i in range(2)]
        assert found.facts["tune_index"] == int(np.argmax(scores)), cell
        assert ("tune_value" in found.facts) == ("net" in cell)


def test_the_exact_svm_goes_along_the_path_of_costs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    own = Problem.open

    def counted(fit: Any, settings: Any) -> Problem:
        opened.append(len(fit.train.refs))
        return own(fit, settings)

    monkeypatch.setattr(Problem, "open", counted)
    grid = {**FILTERS, "classifier": "pixel_svm:tolerance=1e-8", "tune": {"C": [1, 1e-4]}}
    more = {"pipelines": {"a": grid}, **ONE, "split": "fixed:test=syn00"}
    (path,) = place.run(place.bench(**more))[0].finished.values()
    assert opened == [4, 4, 8], "both values from one reading of each inner fold"
    opened.clear()
    monkeypatch.setattr(PixelSvm, "paths", frozenset())
    other = Place(place.folder / "alone")
    (alone,) = other.run(other.bench(**more))[0].finished.values()
    assert opened == [4, 4, 4, 4, 8]
    for index in range(2):
        name = f"tune_score_{index}"
        assert path.facts[name] == pytest.approx(alone.facts[name], abs=2e-3)
    assert path.facts["C"] == path.facts["tune_value"] == alone.facts["C"]


def test_the_report_says_what_each_arm_chose(place: Place) -> None:
    bench = place.bench(pipelines={"a": GRID, "fixed": FIXED}, **ONE)
    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    assert "tune_value" not in record.settings[0].facts, "a mean over cells would say nothing"
    section = budget(build(record))
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert table.head[-1] == "tuned"
    assert {row[0]: row[-1] for row in table.rows}["four a"] == "0 × 3"
    assert {row[0]: row[-1] for row in table.rows}["four fixed"] == "–"
    assert any("a: dial of 0, 9, 1000" in note for note in table.notes)


def test_the_resolved_suite_keeps_the_grid() -> None:
    suite = make_suite(mapping(pipelines={"a": GRID, "fixed": FIXED}))
    again = make_suite(suite.mapping())
    assert again.tunings == suite.tunings
    assert str(again.tunings["a"]) == "dial of 0, 9, 1000"
    assert "tune" not in suite.mapping()["pipelines"]["fixed"]


TEXT = """name: mine
question: does it?
dataset: synthetic:videos=3
device: cpu
pipelines:
  svm: {extractor: filters, classifier: pixel_svm}
  other:
    extractor: filters
    classifier: sgd
    tune: {C: [1, 10]}
arms:
  one: {sampler: 1}
"""


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("tune: {C: [1]}", r"yaml:10 pipelines.other.tune: C has one value.*classifier: sgd:C=1"),
        ("tune: {C: []}", r"yaml:10 pipelines.other.tune.C: \[\] is refused"),
        ("tune: {C: 1}", r"yaml:10 pipelines.other.tune.C"),
        ("tune: {}", "yaml:10 pipelines.other.tune: nothing is tuned; write"),
        ("tune: {C: [1, 2], epochs: [1, 2]}", "C, epochs are tuned; write a grid of one parameter"),
        ("tune: {c: [1, 10]}", "other.tune: classifier 'sgd' has no parameter 'c'"),
        ("tune: {C: [1, -1]}", "other.tune: classifier 'sgd': C=-1 is refused"),
        ("tune: {C: [1, [2]]}", r"other.tune: \[2\] is refused; a value of C is one scalar"),
        ("tune: {C: [1, 1.0]}", "other.tune: C=1 stands twice"),
        ("tune: {C: [1, 2]}\n    init_from: svm", "does not start from a fitted model"),
        ("tune: {epochs: [1, 2]}\nepochs: 3", "other.tune: epochs=3 of the suite stands above"),
        ("tune: {positive_weight: [1, 2]}\nprior: 0.5", "tune .*positive_weight is given"),
        ("tun: {C: [1, 10]}", "no key 'tun'; did you mean 'tune'"),
    ],
)
def test_grids_that_cannot_be(tmp_path: Path, new: str, expected: str) -> None:
    (tmp_path / "mine.yaml").write_text(TEXT.replace("tune: {C: [1, 10]}", new))
    with pytest.raises(UsageError, match=expected) as caught:
        load_suite(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(caught.value)


def test_what_starts_from_a_model_is_not_tuned(tmp_path: Path) -> None:
    text = TEXT.replace("classifier: sgd", "classifier: pixel_svm").replace(
        "tune: {C: [1, 10]}", "tune: {C: [1, 10]}\n    init_from: svm"
    )
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"other\.tune: tune and init_from exclude each other"):
        load_suite(str(tmp_path / "mine.yaml"))


def test_a_grid_may_be_set_and_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TEXT)
    path = str(tmp_path / "mine.yaml")
    changed = load_suite(path, {"pipelines.other.tune.C": [0.5, 5]})
    assert str(changed.tunings["other"]) == "C of 0.5, 5"
    assert load_suite(path, {"pipelines.other.tune": "none"}).tunings == {}
    given = parse_overrides(["pipelines.svm.tune=C=1,C=0.1"])
    assert str(load_suite(path, given).tunings["svm"]) == "C of 0.1, 1"
    with pytest.raises(UsageError, match=r"svm\.tune.*'C=1,' .*empty item; write C=1,C=10"):
        load_suite(path, {"pipelines.svm.tune": "C=1,"})
