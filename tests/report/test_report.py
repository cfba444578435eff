"""Facts and sentences of reports, on records with planted effects."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.helpers import reports
from vidseg.errors import DataError
from vidseg.report import build, closing, short, suite_from_json, suite_to_json
from vidseg.report.document import Table
from vidseg.report.facts import Kind, Report
from vidseg.report.pages import make_page
from vidseg.report.published import TABLES, paper_pipeline, tables_for
from vidseg.report.tables import budget
from vidseg.stats import Verdict

FOUR = ["TUD-Stadtmitte", "TUD-Campus", "MOT16-09-quarter", "KITTI-17"]
TWELVE = [f"scene-{i:02d}" for i in range(12)]
ALL = {
    "paper": reports.paper(FOUR),
    "gain": reports.gain_curve(TWELVE),
    "iso": reports.iso_budget(TWELVE),
    "leakage": reports.leakage(TWELVE),
}


def test_four_groups_cannot_tell_and_say_why() -> None:
    report = build(reports.paper(FOUR))
    assert report.kind is Kind.COMPARISONS
    assert {p.result.verdict for p in report.pairs if p.result} == {Verdict.CANNOT_TELL}
    for said in (
        "We cannot tell yet whether 20 frames per video beat 1",
        "87.5 % interval",
        "with 4 groups the smallest possible p is 0.125",
        "no 95 % interval is bounded",
        "smallest difference of interest is 1 IoU point",
        "to confirm a difference this large takes about",
        ". Until then 1 frame per video is the cheaper choice",
    ):
        assert said in report.sentence
    assert report.sentence.endswith(".")
    assert not report.frame_lists[0].advised
    assert report.frame_lists[0].arm == "1"


def test_twelve_groups_advise_the_best_winner() -> None:
    report = build(reports.paper(TWELVE))
    assert report.lead is not None
    lead = report.pairs[report.lead]
    assert lead.arm_b == "400"
    assert report.sentence.startswith("Keep 400 frames per video rather than '1by20'")
    first = report.frame_lists[0]
    assert first.advised
    assert first.arm == "400"
    assert first.frames["scene-00"] == list(range(400))


def test_holm_looks_at_every_comparison_that_was_made() -> None:
    pairs = build(reports.paper(TWELVE)).pairs
    p_values = sorted(p.result.p_value for p in pairs if p.result)
    best = min(p.result.p_adjusted for p in pairs if p.result)
    assert best == pytest.approx(p_values[0] * len(pairs))


def test_equivalent_advises_the_cheaper_arm() -> None:
    few = reports.setting("20", "svm", TWELVE, lambda *_: 0.5, noise=0.002)
    many = reports.setting("400", "svm", TWELVE, lambda *_: 0.5, frames=range(400), noise=0.002)
    report = build(reports.suite("mine", [few, many], [("20", "400")]))
    assert report.sentence.startswith("Keep 20 frames per video; 400 do no better")
    assert "90 % interval" in report.sentence
    assert report.frame_lists[0].setting == "20 svm"


def test_worse_keeps_a() -> None:
    level = {"1": 0.5, "20": 0.4}
    made = [
        reports.setting(arm, "svm", TWELVE, lambda a, _: level[a], frames=range(n))
        for arm, n in (("1", 1), ("20", 20))
    ]
    report = build(reports.suite("mine", made, [("1", "20")]))
    assert report.sentence.startswith("Keep 1 frame per video rather than 20: IoU")
    assert "falls by" in report.sentence


def test_an_oracle_is_compared_and_never_advised() -> None:
    groups = [f"g{i}" for i in range(12)]
    worth = {"random": 0.40, "uniform": 0.45, "foreground": 0.60}
    frames = {"random": [1], "uniform": [2], "foreground": [3]}
    settings = [
        reports.setting(arm, "svm", groups, lambda arm, _: worth[arm], frames=frames[arm])
        for arm in worth
    ]
    pairs = [("random", "uniform"), ("random", "foreground")]

    def made(**oracle: bool) -> Report:
        arms = {arm: {"sampler": {"use": arm}} for arm in worth}
        arms["foreground"] |= oracle
        return build(reports.suite("selectors", settings, pairs, arms=arms))

    taken, plain = made(oracle=True), made()
    assert plain.to_label is not None
    assert plain.to_label.arm == "foreground", "it would be advised if nothing marked it"
    assert taken.to_label is not None
    assert (taken.to_label.arm, taken.to_label.advised) == ("uniform", True)
    assert {one.arm for one in taken.frame_lists} == {"random", "uniform"}
    assert [pair.arm_b for pair in taken.pairs if pair.result] == ["uniform", "foreground"]
    assert "foreground" not in taken.sentence
    assert any("'foreground' is an oracle" in note for note in taken.notes)
    alone = build(reports.suite("s", settings, arms={"foreground": {"oracle": True}}))
    assert "foreground" not in alone.sentence


def test_same_frames_are_no_comparison() -> None:
    record = reports.paper(TWELVE)
    record.comparisons[0].same_frames = list(TWELVE)
    record.comparisons[1].same_frames = [TWELVE[0]]
    first, second = build(record).pairs[:2]
    assert first.result is None
    assert "same frames of every video" in first.reason
    assert second.result is not None


def test_groups_without_positives_leave_both_arms() -> None:
    report = build(reports.paper(TWELVE, undefined=[TWELVE[3]]))
    result = report.pairs[0].result
    assert result is not None
    assert TWELVE[3] not in result.groups
    assert [out.group for out in result.left_out] == [TWELVE[3]]


def test_failed_settings_are_told_and_the_rest_stands() -> None:
    record = reports.paper(TWELVE)
    row = {"cell": "20 pixel_svm/3", "error": "disk full"}
    record.settings[1] = reports.setting("20", "pixel_svm", TWELVE, lambda *_: 0.5, failures=[row])
    report = build(record)
    assert report.pairs[0].result is None
    assert "no seed of 20 pixel_svm" in report.pairs[0].reason
    assert "1 of 40 cells failed" in report.sentence
    assert report.failures == [{"setting": "20 pixel_svm", **row}]


def test_nothing_scored_is_said() -> None:
    row = {"cell": "c", "error": "no room."}
    dead = [
        reports.setting(arm, "svm", FOUR, lambda *_: 0.5, failures=[row]) for arm in ("1", "20")
    ]
    report = build(reports.suite("mine", dead, [("1", "20")]))
    assert report.sentence.startswith("Nothing can be said")
    assert report.sentence.endswith("the first error: no room.")
    assert short(report).endswith("  failed: 2 cells (c, c): no room.")


def test_gain_curve_flattens_where_it_was_made_to() -> None:
    rise, power, last = 0.2, 0.7, 100
    report = build(reports.gain_curve(TWELVE, rise=rise))
    fit = report.curves[0].fit
    assert report.kind is Kind.GAIN_CURVE
    assert fit is not None
    true = (0.01 / rise + last**-power) ** (-1 / power)
    assert fit.flattens.low - 1 <= true <= fit.flattens.high + 1
    assert report.sentence.startswith(f"Keep {fit.flattens_at} frames per video (every 1)")
    assert report.frame_lists[0].setting == "50 every 1 pixel_svm"


def test_gain_curve_flat_and_too_few_counts() -> None:
    flat = build(reports.gain_curve(TWELVE, rise=0.0, noise=0.001))
    assert flat.sentence.startswith("Keep 1 frame per video")
    few = build(reports.gain_curve(TWELVE, counts=(1, 5, 20)))
    assert few.curves[0].fit is None
    assert "3 frame counts carry no curve" in few.sentence


def test_gain_curve_of_four_groups_cannot_tell() -> None:
    said = build(reports.gain_curve(FOUR)).sentence
    assert said.startswith("We cannot tell yet how many frames per video pay")
    assert "6 groups at least" in said


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_exchange_rate_is_the_planted_one(ratio: float) -> None:
    report = build(reports.iso_budget(TWELVE, ratio))
    rate = report.grids[0].rate
    assert rate is not None
    assert rate.identified
    assert rate.low - 0.1 <= ratio <= rate.high + 0.1
    assert report.sentence.startswith("Label new videos") == (ratio > 1)


def test_exchange_rate_of_four_groups_is_not_identified() -> None:
    assert "not identified at 95 %" in build(reports.iso_budget(FOUR)).sentence


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (0.0, "worth at least "),
        (-1.0, "worth any number of extra frames: those are seen not to gain (95"),
    ],
)
def test_frames_that_gain_nothing_are_an_answer(frames: float, said: str) -> None:
    report = build(reports.iso_budget(TWELVE, frames=frames))
    assert report.grids[0].rate is not None
    assert not report.grids[0].rate.identified
    assert report.sentence.startswith("Label new videos before more frames: at 2 videos")
    assert said in report.sentence
    assert make_page(report, "s").tone == "told"
    four = build(reports.iso_budget(FOUR, frames=frames))
    assert four.sentence.startswith("We cannot tell yet")
    rate = four.grids[0].rate
    assert rate is not None
    nothing = "more frames of the videos one has gained nothing (" in four.sentence
    assert nothing == (rate.rate == math.inf)
    assert "at least 0 " not in four.sentence


def test_incomplete_grid_says_so() -> None:
    record = reports.iso_budget(TWELVE)
    record.settings = [one for one in record.settings if one.arm not in ("2 x 10", "1 x 5")]
    report = build(record)
    assert report.grids[0].rate is None
    assert "cannot be computed" in report.sentence


def test_leakage_is_no_advice() -> None:
    report = build(reports.leakage(TWELVE))
    assert report.kind is Kind.LEAKAGE
    assert report.sentence.startswith("Do not trust the split 'by frame': it scores +")
    assert not any(one.advised for one in report.frame_lists)
    assert report.frame_lists
    assert report.to_label is None
    assert closing.frames(report) is None


def test_effective_frames_are_the_range_over_settings() -> None:
    record = reports.paper(FOUR)
    found = [
        row["effective"]
        for setting in record.settings
        for fold in setting.run.folds
        for row in fold.cell["effective"]
        if row["video"] == FOUR[0]
    ]
    row = next(r for r in build(record).effective if r["video"] == FOUR[0])
    assert (row["low"], row["high"], row["frames"]) == (min(found), max(found), 60)
    assert row["low"] < row["high"]


@pytest.mark.parametrize("name", ALL)
def test_transport_keeps_the_report(name: str) -> None:
    record = ALL[name]
    text = json.dumps(suite_to_json(record), allow_nan=False)
    again = suite_from_json(json.loads(text))
    assert build(again).to_json() == build(record).to_json()
    assert suite_to_json(again) == json.loads(text)
    assert "counts" not in json.dumps([s["run"] for s in json.loads(text)["settings"]])
    assert len(text) < 500_000


def test_transport_of_undefined_numbers() -> None:
    record = reports.paper(FOUR)
    record.settings[0].group_scores[FOUR[0]]["iou"] = math.nan
    record.settings[0].run.headline["ap"] = math.inf
    text = json.dumps(suite_to_json(record), allow_nan=False)
    report = build(suite_from_json(json.loads(text)))
    assert report.settings[0].groups[FOUR[0]] is None
    json.dumps(report.to_json(), allow_nan=False)


def test_transport_refuses_what_it_does_not_know() -> None:
    data = suite_to_json(reports.paper(FOUR))
    with pytest.raises(DataError, match="format 2"):
        suite_from_json({**data, "format": 2})
    with pytest.raises(DataError, match="not whole"):
        suite_from_json({k: v for k, v in data.items() if k != "settings"})
    run = {k: v for k, v in data["settings"][1]["run"].items() if k != "name"}
    settings = [data["settings"][0], {**data["settings"][1], "run": run}]
    with pytest.raises(DataError, match=r"not whole: settings\.1\.run\.name: Field required; run"):
        suite_from_json({**data, "settings": settings})


@pytest.mark.filterwarnings("error")
def test_transport_of_arrays_and_their_scalars() -> None:
    record = reports.paper(FOUR)
    first = record.settings[0]
    first.run.pr_curve = np.zeros(3), np.ones(3)
    first.run.overlays = [("best", np.zeros((2, 3, 3), np.uint8))]
    first.facts["train_frames"] = np.int64(7)
    record.plan |= {"cells": np.int64(40), "seconds": np.float32(0.5), "exact": np.bool_(True)}
    data = json.loads(json.dumps(suite_to_json(record), allow_nan=False))
    assert not {"pr_curve", "overlays", "model", "dataset"} & set(data["settings"][0]["run"])
    again = suite_from_json(data)
    assert again.plan["cells"] == 40
    assert again.plan["seconds"] == 0.5
    assert again.plan["exact"] is True
    assert again.settings[0].facts["train_frames"] == 7
    assert again.settings[0].run.dataset == record.dataset


def test_published_numbers_obey_one_confusion_table_or_carry_a_note() -> None:
    """DESIGN section 2: PR <= IoU <= 1 / (2 / sqrt(PR) - 1), to rounding."""
    rows = [row for table in TABLES for row in table.rows]
    assert len(rows) == 27
    odd = []
    for row in rows:
        most = (row.gscore + 0.5) / 100
        least, iou = max(row.gscore - 0.5, 0) / 100, row.iou / 100
        fits = least - 0.005 <= iou <= 1 / (2 / math.sqrt(most) - 1) + 0.005
        if not fits:
            odd.append(row)
    assert odd == [row for row in rows if row.note]


def test_published_tables_go_with_the_data() -> None:
    assert [t.number for t in tables_for("mot:videos")] == ["I", "II", "V"]
    assert [t.number for t in tables_for("virat:aerial")] == ["III", "IV", "VI"]
    config = {"pipelines": {"svm": {"classifier": {"use": "pixel_svm"}}, "net": {}}}
    assert paper_pipeline("svm", config) == "liblinear"
    assert paper_pipeline("net", config) is None


def test_build_leaves_the_record_alone() -> None:
    record = reports.paper(FOUR)
    before = suite_to_json(record)
    build(record)
    assert suite_to_json(record) == before
    assert dataclasses.is_dataclass(build(record))


def test_c_of_every_setting_is_told() -> None:
    record = reports.paper(TWELVE)
    classifiers = record.config["pipelines"]
    classifiers["sgd"]["classifier"]["C"] = 100
    first = record.settings[0]
    for place, fold in enumerate(first.run.folds):
        fold.facts["C"] = [0.1, 10.0, 1.0][place % 3]
    section = budget(build(record))
    assert section is not None
    table = next(block for block in section.blocks if isinstance(block, Table))
    told = {row[0]: row[-1] for row in table.rows}
    assert table.head[-1] == "C"
    assert told[first.name] == "0.1 to 10"
    assert told["20 sgd"] == "100"
    assert told["20 pixel_svm"] == "–"


def test_what_gained_nothing_has_no_price() -> None:
    level = {"1": 0.5, "5": 0.4, "20": 0.6}
    made = [
        reports.setting(arm, "svm", TWELVE, lambda a, _: level[a], frames=range(int(arm)))
        for arm in level
    ]
    section = closing.cost(build(reports.suite("mine", made, [("1", "5"), ("5", "20")])))
    assert section is not None
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["5 → 20 · svm"]
