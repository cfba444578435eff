"""Suites that count a human's minutes: the suite labels, its plan, its record and its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.suites import Place, install
from vidseg.cli.plan_lines import show_minutes
from vidseg.report import build, suite_from_json, suite_to_json, write_report
from vidseg.report.closing import cost
from vidseg.report.document import Table
from vidseg.report.wording import seconds
from vidseg.suites.effort import efforts
from vidseg.suites.record import suite_record
from vidseg.suites.suite import Suite, load_suite, make_suite

STILL = "synthetic:videos=3,frames=17,size=64x48,motion=0"
ARMS = {
    "keys": {"sampler": "strided:every=8"},
    "tracked": {"sampler": "all", "train_labels": "propagated:budget=8,tracker=still"},
    "mended": {"sampler": "all", "train_labels": "assisted:every=40,tracker=still"},
    "all": {"sampler": "all"},
}
PAIRS = [{"a": "keys", "b": "tracked"}, {"a": "tracked", "b": "all"}]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path)


def opened(place: Place, **more: Any) -> Any:
    given = {"dataset": STILL, "train_labels": "boxes", "arms": ARMS, "comparisons": PAIRS}
    return place.bench(**given, **more)


def test_of_still_objects_all_frames_cost_what_key_frames_do_and_teach_what_all_do(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = opened(place, seconds_per_box=7, seconds_per_look=2)
    found = efforts(bench)
    keys, tracked, mended, everything = (found[arm] for arm in ARMS)
    assert tracked == keys
    assert keys.looks == 9
    assert mended.boxes == keys.boxes * 2 / 3  # the first frame and the last
    assert everything.looks == 51
    assert everything.boxes == keys.boxes * 17 / 3
    show_minutes(found, bench.suite.price)
    assert "7 s a box drawn, 2 s a frame looked at" in capsys.readouterr().out

    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    scores = {one.arm: one.run.headline["iou"] for one in record.settings}
    assert scores["tracked"] == scores["mended"] == scores["all"]
    effort = record.settings[0].effort
    assert effort["seconds"] == 7 * keys.boxes + 2 * 9

    again = suite_from_json(suite_to_json(record))
    assert build(again).settings[1].effort == build(record).settings[1].effort
    write_report([again], place.folder / "report")
    text = (place.folder / "report" / "report.md").read_text()
    assert "it holds for tracked and mended, not for all" in text
    assert "2 s a frame looked at" in text
    assert "At about equal minutes, ‘tracked’ against ‘keys’" in text

    report = build(record)
    gained = [
        replace(pair, result=replace(pair.result, difference=gain))
        for pair, gain in zip(report.pairs, (0.01, 0.02), strict=True)
        if pair.result
    ]
    section = cost(replace(report, pairs=gained))
    assert section is not None
    (table,) = section.blocks
    assert isinstance(table, Table)
    spent = 7 * (everything.boxes - tracked.boxes) + 2 * (everything.looks - tracked.looks)
    assert [row[1] for row in table.rows] == [seconds(spent)]
    assert [row[4] for row in table.rows] == [seconds(spent / 2)]
    assert "Gained for no more time: keys → tracked" in table.notes[1]


def test_minutes_are_counted_only_where_a_price_is_given(place: Place) -> None:
    bench = opened(place)
    cells = [cell for cell in bench.cells if cell.arm.name == "keys"]
    results, plan = place.run(bench, cells=cells)
    record = suite_record(bench, cells, results, plan)
    assert record.settings[0].effort == {}
    write_report([record], place.folder / "report")
    text = (place.folder / "report" / "report.md").read_text()
    assert "Minutes of each arm" not in text


def test_prices_of_the_suite_are_those_of_its_labels() -> None:
    suite = load_suite("labels", {"seconds_per_look": 3, "dataset": STILL})
    assert suite.price is not None
    assert (suite.price.box, suite.price.look) == (7, 3)
    arms = {arm.name: arm.labelling.source for arm in suite.arms}
    assert arms["mended"].params["seconds_per_look"] == 3
    assert arms["in a row"].params["seconds_per_box"] == 7
    own = make_suite(suite.mapping())
    assert own.mapping() == suite.mapping()
    assert isinstance(own, Suite)
    assert [arm.labelling for arm in own.arms] == [arm.labelling for arm in suite.arms]


def test_what_an_arm_says_itself_stays() -> None:
    mine = "assisted:budget=20,seconds_per_look=5"
    suite = load_suite("labels", {"dataset": STILL, "arms.mended.train_labels": mine})
    arm = next(arm for arm in suite.arms if arm.name == "mended")
    assert arm.labelling.source.params["seconds_per_look"] == 5
    assert arm.labelling.source.params["seconds_per_box"] == 7
