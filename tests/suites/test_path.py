"""``path:`` of a pipeline: its comparisons at other values of a parameter, and what that shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import dial
from tests.helpers.suites import InTurn, Place, install, mapping, numbers
from vidseg.errors import UsageError
from vidseg.experiment.records import SuiteRecord
from vidseg.report import build, suite_from_json, suite_to_json
from vidseg.report.document import Table
from vidseg.report.facts import PathPoint
from vidseg.report.regularisation import path_line, regularisation
from vidseg.report.write import short
from vidseg.stats import compare
from vidseg.suites.cells import select
from vidseg.suites.executors.local import Local
from vidseg.suites.plan import describe_plan, make_plan, waiting_cells
from vidseg.suites.record import suite_record
from vidseg.suites.suite import load_suite, make_suite

FILTERS = {"extractor": "filters:octaves=1"}
PIPELINES: dict[str, Any] = {
    "a": {**FILTERS, "classifier": "dial:dial=0", "path": {"dial": [0, 9]}},
    "b": {**FILTERS, "classifier": "dial:dial=0", "sensitivity": True},
}
ONE_FOLD = {"split": "fixed:test=syn00"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    dial.install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def recorded(place: Place, executor: Any = None, **changes: Any) -> SuiteRecord:
    bench = place.bench(**{"pipelines": PIPELINES, **ONE_FOLD, **changes})
    results, plan = place.run(bench, executor)
    return suite_record(bench, bench.cells, results, plan)


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_compared_arms_are_fitted_at_each_value(place: Place, executor: Any) -> None:
    arms = {"one": {"sampler": 1}, "four": {"sampler": "successive:n=4"}, "x": {"sampler": 1}}
    bench = place.bench(pipelines=PIPELINES, arms=arms, **ONE_FOLD)
    along = [cell for cell in bench.cells if cell.at is not None]
    assert len(bench.cells) == 2 * 3 + 2 * 2
    assert {cell.arm.name for cell in along} == {"one", "four"}, "others are compared with nothing"
    assert len(select(bench.cells, "four a dial=9")) == 1
    plan = make_plan(bench, waiting_cells(bench, bench.cells))
    assert "4 of the cells are fitted at other values" in describe_plan(plan)
    results, plan = place.run(bench, executor())
    record = suite_record(bench, bench.cells, results, plan)
    assert [s.name for s in record.settings] == ["one a", "four a", "x a", "one b", "four b", "x b"]
    assert [(p.arm, p.value) for p in record.paths] == [
        ("one", 0), ("one", 9), ("four", 0), ("four", 9)
    ]  # fmt: skip
    own = {s.name: s.group_scores for s in record.settings}
    assert record.paths[0].group_scores == own["one a"], "the same fit"
    fixed = {"a": {**FILTERS, "classifier": "dial:dial=9"}}
    again = recorded(Place(place.folder / "again"), pipelines=fixed)
    assert record.paths[3].group_scores == again.settings[1].group_scores
    assert (
        numbers(results)["four a dial=0/fold 0/seed 0"] == numbers(results)["four b/fold 0/seed 0"]
    )


@pytest.mark.parametrize("executor", [Local, InTurn])
def test_what_a_tuned_cell_came_to_is_fitted_once(place: Place, executor: Any) -> None:
    grid = {"a": {**FILTERS, "classifier": "dial", "tune": {"dial": [9, 0]}, "path": True}}
    bench = place.bench(pipelines=grid)
    results, _ = place.run(bench, executor())
    outer = Counter(value for value, videos in dial.FITS if len(videos) == 2)
    assert outer == {0: 6, 9: 6}, "six cells chose 0, and those of the path at 0 took their fits"
    assert Counter(dial.LOADS)[0] == 6, "they are scored once as well"
    found, alone = numbers(results), Place(place.folder / "alone")
    along = [cell for cell in bench.cells if cell.at is not None]
    fixed, _ = alone.run(alone.bench(pipelines=grid), cells=along)
    assert {cell.id: found[cell.id] for cell in along} == numbers(fixed)
    for cell in along:
        facts = [dict(one.finished[cell.id].facts) for one in (results, fixed)]
        assert facts[0].pop("fit_seconds") >= 0 <= facts[1].pop("fit_seconds")
        assert facts[0] == facts[1]
        assert results.finished[cell.id].curves == fixed.finished[cell.id].curves


def test_a_chosen_threshold_is_that_of_the_cell_itself(place: Place) -> None:
    grid = {"a": {**FILTERS, "classifier": "dial", "tune": {"dial": [9, 0]}, "path": True}}
    place.run(place.bench(pipelines=grid, threshold="inner", **ONE_FOLD))
    outer = Counter(value for value, videos in dial.FITS if len(videos) == 2)
    assert outer == {0: 4, 9: 2}


def test_the_resolved_suite_and_the_record_keep_the_path(place: Place) -> None:
    suite = make_suite(mapping(pipelines=PIPELINES))
    assert make_suite(suite.mapping()).paths == suite.paths
    assert suite.mapping()["pipelines"]["a"]["path"] == {"dial": [0, 9]}
    record = recorded(place)
    again = suite_from_json(suite_to_json(record))
    assert again.paths == record.paths
    record.paths = []
    assert build(record).paths == []


def test_a_failed_value_is_a_failure_of_its_setting(place: Place) -> None:
    pipelines = {"a": {**PIPELINES["a"], "path": {"dial": [-1, 0]}}}
    record = recorded(place, pipelines=pipelines)
    one = record.settings[0]
    assert one.complete
    assert [row["cell"] for row in one.failures] == ["one a dial=-1/fold 0/seed 0"]
    assert {path.value for path in record.paths} == {0}


def test_a_path_is_that_of_the_grid_or_its_own() -> None:
    def paths(**pipeline: Any) -> Any:
        one = {**FILTERS, "classifier": "dial", **pipeline}
        return make_suite(mapping(pipelines={"a": one})).paths.get("a")

    assert str(paths(tune={"dial": [5, 1]}, path=True)) == "dial of 1, 5"
    assert str(paths(tune={"dial": [5, 1]}, path="dial=3,dial=2")) == "dial of 2, 3"
    assert paths(path="none") is None
    for wrong, expected in (
        (True, r"pipelines\.a\.path: the pipeline is not tuned, so its path has no values; write"),
        ({"dial": [1]}, "path: dial has one value"),
        ({"dia": [1, 2]}, "path: classifier 'dial' has no parameter 'dia'"),
    ):
        with pytest.raises(UsageError, match=expected):
            paths(path=wrong)


def test_another_classifier_drops_the_path() -> None:
    given = {"dataset": "synthetic:videos=4", "pipelines.*.classifier": "vgg"}
    assert load_suite("paper", given).paths == {}
    kept = load_suite("paper", {**given, "pipelines.*.classifier": "sgd"})
    assert list(kept.paths) == ["svm"]


def along(record: SuiteRecord, shift: dict[Any, float]) -> None:
    """Let the second arm lie above the first by so much at each value."""
    first = {one.value: one for one in record.paths if one.arm == "one"}
    for one in record.paths:
        if one.arm == "four":
            one.group_scores = {
                group: {**scores, "iou": scores["iou"] + shift[one.value] + 0.001 * place}
                for place, (group, scores) in enumerate(first[one.value].group_scores.items())
            }


def test_the_report_says_where_the_answer_turns(place: Place) -> None:
    eight = {"dataset": "synthetic:videos=8,frames=4,size=64x48", "split": "k-fold:k=2"}
    pipelines = {"a": {**PIPELINES["a"], "path": {"dial": [0, 9]}}, "b": PIPELINES["b"]}
    record = recorded(place, pipelines=pipelines, **eight)
    for setting in record.settings:  # both arms score the same, but for a trace
        setting.group_scores = {
            group: {"iou": 0.5 + 0.0001 * i} for i, group in enumerate(setting.group_scores)
        }
        setting.trained = {}
    along(record, {0: 0.0, 9: 0.2})
    report = build(record)
    (line,) = [one for one in report.hints if "regularisation" in one]
    assert line.startswith(
        "one → four depends on the regularisation: at dial = 9 'four' gains +20.4 IoU points over "
        "'one' (95.3 % +20.1 to +20.6, better), with the pipeline as it is 0.0 ("
    )
    section = regularisation(report)
    assert section is not None
    assert section.title == "Does it depend on the regularisation?"
    assert [block.kind for block in section.blocks] == ["bullets", "table"], "no log axis from 0"
    table = section.blocks[1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["dial = 0", "dial = 9", "as it is (a)", "b"]
    assert table.rows[1][1].endswith(", better")
    assert "b (dial) says the same of one → four" in section.blocks[0].items[1]  # type: ignore[union-attr]
    along(record, {0: 0.0, 9: 0.004})
    same = build(record)
    assert not [one for one in same.hints if "regularisation" in one]
    lines = regularisation(same).blocks[0].items  # type: ignore[union-attr]
    assert lines[0].startswith("one → four does not turn along the path of dial (+0.4 to +0.8 IoU")


def test_a_turn_of_which_neither_side_is_shown_is_no_more_than_seen(place: Place) -> None:
    report = build(recorded(place))
    (path,) = report.paths
    zero, up = (dict.fromkeys("abc", value) for value in (0.5, 0.7))
    seen = replace(
        path,
        points=[PathPoint(9, compare(zero, up, 0.01, 0.95))],
        own=compare(zero, zero, 0.01, 0.95),
    )
    line = path_line(report, seen)
    assert line.startswith("one → four may depend on the regularisation: at dial = 9")
    assert line.count("cannot tell") == 2


def test_what_each_arm_chose_is_easy_to_find(place: Place) -> None:
    tuned = {"a": {**FILTERS, "classifier": "dial", "tune": {"dial": [0, 9]}}}
    report = build(recorded(place, pipelines=tuned))
    assert "  one a chose dial: 0 × 1" in short(report)
    section = regularisation(report)
    assert section is not None
    assert section.title == "What each arm chose"
    table = section.blocks[-1]
    assert isinstance(table, Table)
    assert table.head == ["setting", "dial = 0", "dial = 9"]
    assert table.rows == [["one a", "1", ""], ["four a", "1", ""]]
    assert "Most cells took an end of the grid: one a and four a" in table.notes[1]
