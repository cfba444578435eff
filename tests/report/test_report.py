"""Facts and sentences of reports, on records with planted effects."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from tests.helpers import reports
from vidseg.errors import DataError
from vidseg.experiment.records import SuiteRecord
from vidseg.report import build, closing, short, suite_from_json, suite_to_json
from vidseg.report.arms import in_words
from vidseg.report.comparisons import comparisons
from vidseg.report.document import Bullets, Table
from vidseg.report.facts import Kind, Report, Role
from vidseg.report.pages import make_page
from vidseg.report.published import TABLES, paper_pipeline, tables_for
from vidseg.report.tables import budget, effective, paper
from vidseg.stats import Verdict

FOUR = ["TUD-Stadtmitte", "TUD-Campus", "MOT16-09-quarter", "KITTI-17"]
TWELVE = [f"scene-{i:02d}" for i in range(12)]
ALL = {
    "paper": reports.paper(FOUR),
    "gain": reports.gain_curve(TWELVE),
    "iso": reports.iso_budget(TWELVE),
    "leakage": reports.leakage(TWELVE),
}


def test_four_groups_give_no_advice_and_say_why() -> None:
    report = build(reports.paper(FOUR))
    assert report.kind is Kind.COMPARISONS
    assert {p.result.verdict for p in report.pairs if p.result} == {Verdict.CANNOT_TELL}
    assert report.headline == "No advice yet: 4 scenes are too few to show anything."
    assert "is 6 scenes." in report.certainty
    assert (report.chosen, report.to_label, report.shown) == (None, None, False)
    assert not any(one.advised for one in report.frame_lists)
    for said in (
        "We cannot tell yet whether 20 frames per video beat 1 with pixel_svm: +",
        "87.5 % interval",
        "with 4 groups the smallest possible p is 0.125, 1 after Holm's correction over 8",
        "no 95 % interval is bounded",
        "smallest difference of interest is 1 IoU point",
        "to confirm a difference this large takes about",
        "more than 200 groups (not feasible)",
    ):
        assert said in report.evidence
    assert report.sentence.endswith(".")
    assert report.evidence.endswith(".")


def test_twelve_groups_advise_the_arm_that_is_shown_best() -> None:
    report = build(reports.paper(TWELVE))
    assert report.sentence.startswith("Label the first 400 frames of each video ('400').")
    assert "Shown on 12 scenes: no other arm tried is 1 IoU point better." in report.sentence
    first = report.frame_lists[0]
    assert first.advised
    assert first.arm == "400"
    assert first.frames["scene-00"] == list(range(400))
    assert report.to_label is first


def made(
    worth: dict[str, float],
    frames: dict[str, Any],
    pairs: list[tuple[str, str]],
    groups: list[str] = TWELVE,
    **more: Any,
) -> Report:
    """Return the report of arms with these scores that took these frames."""
    settings = [
        reports.setting(arm, "svm", groups, lambda a, _: worth[a], frames=frames[arm], **more)
        for arm in worth
    ]
    arms = {arm: {"sampler": {"use": arm}} for arm in worth}
    return build(reports.suite("mine", settings, pairs, arms=arms))


def test_the_advice_is_the_better_arm_at_equal_cost_not_the_winner_of_a_comparison() -> None:
    worth = {"1": 0.38, "20": 0.44, "1by20": 0.52}
    frames = {"1": [0], "20": range(20), "1by20": range(0, 400, 20)}
    report = made(worth, frames, [("1", "20")])
    assert report.pairs[0].told
    assert report.headline == "Label every 20th frame of each video ('1by20')."
    worth = {"first": 0.30, "uniform": 0.45, "middle": 0.44, "k-center": 0.41}
    ten = {arm: range(i, i + 10) for i, arm in enumerate(worth)}
    report = made(worth, ten, [("first", "uniform"), ("first", "middle")], noise=0.03)
    assert report.chosen is not None
    assert report.chosen.arm != "first"


def test_of_several_pipelines_the_cheap_arm_that_is_best_anywhere_is_advised() -> None:
    worth = {("1", "weak"): 0.167, ("1by20", "weak"): 0.239, ("400", "weak"): 0.387}
    worth |= {("1", "C=1"): 0.429, ("1by20", "C=1"): 0.432, ("400", "C=1"): 0.430}
    frames = {"1": [0], "1by20": range(0, 400, 20), "400": range(400)}
    settings = [
        reports.setting(a, p, TWELVE, lambda a, p: worth[a, p], frames=frames[a], noise=0.003)
        for a, p in worth
    ]
    report = build(reports.suite("mine", settings, [("1by20", "400")]))
    assert report.pairs[0].told, "400 beats 1by20 with the weak pipeline"
    assert report.chosen is not None
    assert (report.chosen.name, report.shown) == ("1 C=1", True)
    assert report.headline.startswith("Label the first frame of each video ('1'), and train with")
    assert "Spend the rest on new scenes." in report.headline


def test_a_scene_in_which_two_arms_trained_alike_is_left_out_of_the_advice_and_named() -> None:
    def record(groups: list[str]) -> SuiteRecord:
        few = reports.setting("20", "svm", groups, lambda *_: 0.5, noise=0.0)
        many = reports.setting("400", "svm", groups, lambda *_: 0.501, frames=range(400), noise=0.0)
        few.trained = {group: group for group in groups}
        many.trained = {group: f"{group}+" for group in groups} | {groups[0]: groups[0]}
        return reports.suite("mine", [few, many], [("20", "400")])

    report = build(record(TWELVE[:6]))
    assert report.headline == "No advice yet: 5 scenes are too few to show anything."
    out = "; scene-00 left out, where '20' and '400' trained on the same frames."
    assert report.certainty == f"The least with which anything can be shown is 6 scenes{out}"
    assert report.to_label is None
    report = build(record(TWELVE[:7]))
    assert report.headline.startswith("Label the first 20 frames")
    assert report.certainty.startswith("Shown on 6 scenes: ")
    assert report.certainty.endswith(out)


def test_not_proven_says_what_would_prove_it_and_that_frames_can_be_added() -> None:
    few = reports.setting("1by20", "svm", TWELVE, lambda *_: 0.5, frames=range(0, 400, 20))
    many = reports.setting("400", "svm", TWELVE, lambda *_: 0.5, frames=range(400))
    for place, group in enumerate(TWELVE):
        iou = few.group_scores[group]["iou"]
        many.group_scores[group]["iou"] = iou + 0.005 + 0.03 * (-1) ** place
    arms = {arm: {"sampler": {"use": arm}} for arm in ("1by20", "400")}
    record = reports.suite("mine", [few, many], [("1by20", "400")], arms=arms)
    report = build(record)
    assert report.headline == (
        "Start with every 20th frame of each video ('1by20'): the best guess so far, not proven."
    )
    assert report.certainty.startswith("12 scenes cannot prove it; about ")
    assert report.certainty.endswith("among those of '400', so it can be extended later.")
    assert report.to_label is None
    assert not any(one.advised for one in report.frame_lists)
    for place, group in enumerate(TWELVE):
        many.group_scores[group]["iou"] += 0.4 * (-1) ** place
    assert "not feasible" in build(record).certainty


def test_frames_in_a_row_are_a_guess_only_where_that_is_proven() -> None:
    worth, frames = {"20": 0.52, "1by20": 0.50}, {"20": range(20), "1by20": range(0, 400, 20)}
    settings = [
        reports.setting(arm, "svm", TWELVE, lambda a, _: worth[a], frames=frames[arm], noise=0)
        for arm in worth
    ]
    for place, group in enumerate(TWELVE):
        settings[0].group_scores[group]["iou"] += 0.1 * (-1) ** place
    arms = {arm: {"sampler": {"use": arm}} for arm in worth}
    report = build(record := reports.suite("mine", settings, [("20", "1by20")], arms=arms))
    assert report.headline == (
        "Start with every 20th frame of each video ('1by20'): the best guess so far, not proven."
    )
    assert report.certainty.endswith(
        "; '20' scored 2.0 more, but frames in a row are taken only where that is proven."
    )
    for group in TWELVE:
        settings[0].group_scores[group]["iou"] = settings[1].group_scores[group]["iou"] + 0.02
    report = build(record)
    assert report.headline.startswith("Label the first 20 frames of each video ('20').")


def test_the_lead_is_tested_alone_and_the_others_only_if_it_told() -> None:
    worth = {"1": 0.38, "20": 0.44, "1by20": 0.52, "400": 0.58}
    frames = {"1": [0], "20": range(20), "1by20": range(0, 400, 20), "400": range(400)}
    settings = [
        reports.setting(a, p, TWELVE[:6], lambda a, _: worth[a], frames=frames[a], noise=0.01)
        for p in ("svm", "sgd")
        for a in worth
    ]
    record = reports.suite("mine", settings, [("1", "20"), ("1by20", "400")])
    record.config["pipelines"]["sgd"]["sensitivity"] = True
    none = build(record)
    assert [(p.role, p.told) for p in none.pairs] == [(Role.FAMILY, False)] * 2 + [
        (Role.SENSITIVITY, True)
    ] * 2
    assert "none of them can be shown better or worse" in none.evidence
    record.comparisons[1].lead = True
    report = build(record)
    assert [pair.role for pair in report.pairs][:2] == [Role.FAMILY, Role.LEAD]
    assert all(pair.told for pair in report.pairs)
    assert report.pairs[1].result is not None
    assert report.pairs[1].result.p_adjusted == report.pairs[1].result.p_value == 2**-5
    assert report.lead == 1
    record.settings[3] = reports.setting("400", "svm", TWELVE[:6], lambda *_: 0.52, noise=0.05)
    report = build(record)
    assert [pair.role for pair in report.pairs][:2] == [Role.EXPLORATORY, Role.LEAD]
    assert not any(pair.told for pair in report.pairs[:2])
    assert "1 svm -> 20 svm: +" in short(report)
    assert "points, exploratory (" in short(report)
    tables = _tables(report)
    assert tables["Comparisons"].head[1] == "verdict"
    assert [row[1] for row in tables["Comparisons"].rows] == ["exploratory", "cannot tell"]
    assert len(tables["The same with other pipelines: each by itself, outside the family"].rows)


@pytest.mark.parametrize("why", ["failed", "same"])
def test_a_lead_without_a_result_leaves_the_others_to_holm(why: str) -> None:
    worth = {"1": 0.38, "20": 0.44, "5": 0.43, "1by20": 0.52, "400": 0.58}
    settings = [
        reports.setting(
            arm,
            "svm",
            TWELVE[:8],
            lambda a, _: worth[a],
            frames=range(place + 1),
            noise=0.004,
            failures=[{"cell": "c", "error": "disk full"}]
            if (arm, why) == ("400", "failed")
            else (),
        )
        for place, arm in enumerate(worth)
    ]
    if why == "same":
        settings[3].trained = settings[4].trained = {group: group for group in TWELVE[:8]}
    record = reports.suite("mine", settings, [("1", "20"), ("1", "5"), ("1by20", "400")])
    record.comparisons[2].lead = True
    report = build(record)
    assert [pair.role for pair in report.pairs] == [Role.FAMILY, Role.FAMILY, Role.LEAD]
    assert [p.result and p.result.verdict for p in report.pairs] == ["better", "better", None]
    assert [p.result.p_adjusted for p in report.pairs if p.result] == [2 * 2**-7] * 2
    (line,) = [hint for hint in report.hints if "lead" in hint]
    assert line.startswith("the lead comparison, 1by20 → 400, could not be made (")
    assert line.endswith("Holm's correction guards all together")
    assert "could not tell, so" not in str(_tables(report)["Comparisons"].notes)


def test_exploratory_comparisons_promise_what_holm_would_take() -> None:
    worth = {"1": 0.38, "20": 0.40, "5": 0.395, "1by20": 0.52, "400": 0.52}
    settings = [
        reports.setting(
            a, "svm", TWELVE[:8], lambda a, _: worth[a], frames=range(i + 1), noise=0.02
        )
        for i, a in enumerate(worth)
    ]
    pairs = [("1by20", "400"), ("1", "20"), ("1", "5"), ("5", "20")]
    plain = build(reports.suite("mine", settings, pairs[1:])).pairs
    record = reports.suite("mine", settings, pairs)
    record.comparisons[0].lead = True
    report = build(record)
    assert {pair.role for pair in report.pairs[1:]} == {Role.EXPLORATORY}
    for pair, other in zip(report.pairs[1:], plain, strict=True):
        assert (pair.family, pair.p_floor) == (other.family, other.p_floor) == (3, 3 * 2**-7)
        assert pair.groups_for_seen == other.groups_for_seen
        assert pair.groups_needed == other.groups_needed
    assert any(pair.groups_for_seen for pair in plain)
    assert "after Holm's correction over 3" in _tables(report)["Comparisons"].notes[0]


def test_equivalent_is_said_where_holm_leaves_nothing_to_show() -> None:
    settings = [
        reports.setting(arm, "svm", TWELVE[:6], lambda *_: 0.5, frames=range(n), noise=0.0005)
        for arm, n in (("1", 1), ("20", 20), ("400", 400))
    ]
    report = build(reports.suite("mine", settings, [("1", "20"), ("20", "400")]))
    assert {p.result and p.result.verdict for p in report.pairs} == {Verdict.EQUIVALENT}
    said = "none of them can be shown better or worse"
    assert said in report.evidence
    assert said in _tables(report)["Comparisons"].notes[0]


def test_power_knows_the_number_of_comparisons() -> None:
    record = reports.paper(FOUR, pipelines=["sgd"])
    many = build(record).pairs[1].groups_for_seen
    record.comparisons = [record.comparisons[1]]
    alone = build(record).pairs[0].groups_for_seen
    assert many is not None
    assert alone is not None
    assert many > alone


def test_differences_that_cancel_need_no_number_of_groups() -> None:
    one = reports.setting("1", "svm", TWELVE[:8], lambda *_: 0.5, frames=[0])
    many = reports.setting("20", "svm", TWELVE[:8], lambda *_: 0.5)
    for place, group in enumerate(TWELVE[:8]):
        gain = 0.05 if place else -0.35
        many.group_scores[group]["iou"] = one.group_scores[group]["iou"] + gain
    (pair,) = build(reports.suite("mine", [one, many], [("1", "20")])).pairs
    assert pair.result is not None
    assert pair.result.difference == 0
    assert pair.groups_for_seen is None
    assert pair.groups_needed is not None


def test_groups_whose_arms_trained_on_the_same_frames_are_no_evidence() -> None:
    record = reports.paper(TWELVE, pipelines=["pixel_svm"])
    record.comparisons = record.comparisons[:1]
    one, twenty = record.settings[:2]
    one.trained = {group: f"{group} 1" for group in TWELVE}
    twenty.trained = {**{group: f"{group} 20" for group in TWELVE}, TWELVE[0]: f"{TWELVE[0]} 1"}
    pair = build(record).pairs[0]
    assert pair.result is not None
    assert TWELVE[0] not in pair.result.groups
    assert len(pair.result.groups) == 11
    assert pair.same_groups == [TWELVE[0]]
    assert "1 group left out, where both arms trained on the same frames" in build(record).evidence
    twenty.trained = dict(one.trained)
    report = build(record)
    assert report.pairs[0].result is None
    assert "same frames of every video" in report.pairs[0].reason
    assert "20 pixel_svm trained on the same frames as 1 pixel_svm: one arm" in short(report)


def test_one_group_that_makes_the_difference_is_named() -> None:
    a = reports.setting("1", "svm", TWELVE[:7], lambda *_: 0.3, frames=[0], noise=0.0)
    b = reports.setting("20", "svm", TWELVE[:7], lambda *_: 0.302, noise=0.0)
    b.group_scores[TWELVE[2]]["iou"] += 0.45
    pair = build(record := reports.suite("mine", [a, b], [("1", "20")])).pairs[0]
    assert pair.carried == TWELVE[2]
    assert pair.without == pytest.approx(0.002)
    said = "one group makes the difference, scene-02 with +45.2 points; without it the mean is +0.2"
    assert said in short(build(record))
    b.group_scores[TWELVE[2]]["iou"] -= 0.45
    assert not build(record).pairs[0].carried


def test_what_looks_wrong_gets_a_line_that_says_what_to_try() -> None:
    a = reports.setting("1", "svm", TWELVE, lambda *_: 0.3, frames=[0])
    b = reports.setting("20", "svm", TWELVE, lambda *_: 0.36)
    record = reports.suite("mine", [a, b], [("1", "20")])
    for one in (a, b):
        one.run.headline["accuracy"] = 0.95
    assert build(record).hints == []
    a.video_scores[TWELVE[3]] = {**a.video_scores[TWELVE[3]], "iou": 0.013, "ap": 0.664}
    b.run.baselines[1]["iou"] = 0.5
    b.run.headline["accuracy"] = 0.91
    for group in TWELVE:
        b.group_scores[group] = {**b.group_scores[group], "ap": a.group_scores[group]["ap"] - 0.05}
    beaten, empty, opposite, far = build(record).hints
    assert far.startswith("IoU is far below AP: 1 svm on scene-03 (1.3 beside 66.4).")
    assert "try `--threshold inner`" in far
    assert beaten.startswith("20 svm does not beat mean mask")
    assert empty.startswith("20 svm does not beat all background in accuracy (92.0 %): go")
    assert opposite.startswith("1 svm against 20 svm: IoU +")
    assert ", AP \N{MINUS SIGN}5.0. They disagree" in opposite
    assert "  check: 20 svm does not beat mean mask" in short(build(record))


def test_what_looks_wrong_is_one_line_a_kind_the_advice_first() -> None:
    arms = ("1", "5", "20", "50", "400")
    made = [
        reports.setting(
            arm, "svm", TWELVE, lambda a, _: 0.5 - 0.1 * (a == "1"), frames=range(int(arm))
        )
        for arm in arms
    ]
    for one in made[1:]:
        one.trained = {group: f"{group} {one.arm}" for group in TWELVE}
    made[4].trained = dict(made[3].trained)
    for one in made:
        one.video_scores = {
            g: {**row, "iou": 0.1, "ap": 0.5} for g, row in one.group_scores.items()
        }
        one.run.headline["accuracy"] = 0.95
    made[0].run.headline["accuracy"] = 0.5
    report = build(reports.suite("mine", made, [("1", "5"), ("5", "20")]))
    assert report.chosen is not None
    first, second = report.hints
    assert first.startswith(f"IoU is far below AP: {report.chosen.name} on scene-00 (10.0 beside")
    assert " and 9 more videos. The threshold" in first
    assert second.startswith("1 svm does not beat all background in accuracy")
    assert report.near == 1
    terminal = short(report)
    assert "  check: IoU is far below AP" in terminal
    assert "  check: 1 line more in the report" in terminal
    for one in made:
        one.run.headline["ap"] = 2 * one.run.headline["iou"] + 0.3
        one.run.headline["accuracy"] = 0.5
    far, nothing = build(reports.suite("mine", made, [])).hints
    assert " and 1 more setting. The threshold" in far, "50 and 400 trained alike: one arm"
    assert nothing.startswith("No setting beats all background in accuracy (92.0 %): go")


def test_four_lines_stand_in_front_and_the_others_below() -> None:
    report = dataclasses.replace(build(reports.paper(TWELVE)), hints=list("abcdef"))
    page = make_page(report, "s")
    lines = {s.anchor: b.items for s in page.sections for b in s.blocks if isinstance(b, Bullets)}
    assert lines["s-hints"] == ["a.", "b.", "c.", "d."]
    assert lines["s-more"][:2] == ["e.", "f."]


def test_folds_that_share_a_model_get_a_line() -> None:
    record = reports.paper(TWELVE)
    plain = build(record).hints
    record.config["split"] = {"use": "k-fold", "k": 12}
    assert build(record).hints == plain, "as many folds as scenes: leave one out"
    record.config["split"] = {"use": "k-fold", "k": 2}
    first, *others = build(record).hints
    assert first.startswith("2 folds of 12 scenes: scenes that share a model err together")
    assert "`--split leave-one-group-out`" in first
    assert others == plain


def test_five_groups_are_never_said_to_be_surely_equal() -> None:
    few = reports.setting("20", "svm", TWELVE[:5], lambda *_: 0.5, noise=0.001)
    many = reports.setting("400", "svm", TWELVE[:5], lambda *_: 0.5, frames=range(400), noise=0.001)
    report = build(reports.suite("mine", [few, many], [("20", "400")]))
    assert "surely" not in report.sentence + report.evidence
    assert report.headline.startswith("No advice yet")


def _tables(report: Report) -> dict[str, Table]:
    blocks = [b for section in make_page(report, "s").sections for b in section.blocks]
    return {block.caption: block for block in blocks if isinstance(block, Table)}


def test_holm_looks_at_every_comparison_that_was_made() -> None:
    pairs = build(reports.paper(TWELVE)).pairs
    p_values = sorted(p.result.p_value for p in pairs if p.result)
    best = min(p.result.p_adjusted for p in pairs if p.result)
    assert best == pytest.approx(p_values[0] * len(pairs))


def test_equivalent_advises_the_cheaper_arm() -> None:
    few = reports.setting("20", "svm", TWELVE, lambda *_: 0.5, noise=0.002)
    many = reports.setting("400", "svm", TWELVE, lambda *_: 0.5, frames=range(400), noise=0.002)
    report = build(reports.suite("mine", [few, many], [("20", "400")]))
    assert report.headline.startswith("Label the first 20 frames of each video ('20'). Spend the")
    assert "400 frames per video do as well as 20" in report.evidence
    assert "surely less than 1 IoU point (90 % interval" in report.evidence
    assert report.frame_lists[0].setting == "20 svm"


def test_worse_keeps_a() -> None:
    level = {"1": 0.5, "20": 0.4}
    made = [
        reports.setting(arm, "svm", TWELVE, lambda a, _: level[a], frames=range(n))
        for arm, n in (("1", 1), ("20", 20))
    ]
    report = build(reports.suite("mine", made, [("1", "20")]))
    assert report.headline.startswith("Label the first frame of each video ('1').")
    assert report.evidence.startswith("20 frames per video do worse than 1 by ")


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
    assert report.sentence.endswith("The first error: no room.")
    assert short(report).endswith("  failed: 2 cells (c, c): no room.")


def test_gain_curve_flattens_where_it_was_made_to() -> None:
    rise, power, last = 0.2, 0.7, 100
    report = build(reports.gain_curve(TWELVE, rise=rise))
    fit = report.curves[0].fit
    assert report.kind is Kind.GAIN_CURVE
    assert fit is not None
    assert fit.flattens is not None
    true = (0.01 / rise + last**-power) ** (-1 / power)
    assert fit.flattens.low - 1 <= true <= fit.flattens.high + 1
    assert report.frame_lists[0].setting == "50 every 20 pixel_svm"
    own = report.curves[1].fit
    assert own is not None
    said = f"The curve flattens at {own.flattens_at} frames per video (every 20)"
    assert report.evidence.startswith(said)
    assert "instead of 1\N{NARROW NO-BREAK SPACE}200" in report.certainty


def test_curves_and_grids_stand_on_the_frames_that_were_used() -> None:
    record = reports.gain_curve(TWELVE, counts=(1, 2, 5, 10, 20, 50, 100), strides=(1,))
    for one in record.settings[4:]:
        one.frames = {group: list(range(20)) for group in TWELVE}
    report = build(record)
    (curve,) = report.curves
    assert curve.counts == [1, 2, 5, 10, 20]
    assert curve.settings[-1] == "20 every 1 pixel_svm"
    assert [line.split()[0] for line in curve.alike] == ["50", "100"]
    assert "50 every 1 pixel_svm has 20 frames per video" in curve.alike[0]
    grid = reports.iso_budget(TWELVE)
    for one in grid.settings:
        if one.arm.endswith("x 20"):
            one.frames = {group: list(range(12)) for group in TWELVE}
    assert build(grid).grids[0].frames == [5, 10, 12]
    for one in grid.settings:
        if one.arm.endswith("x 20"):
            one.frames = {group: list(range(10)) for group in TWELVE}
    alike = build(grid).grids[0]
    assert alike.frames == [5, 10]
    assert alike.alike == ["20 frames asked for are 10 frames per video, as for 10: one column"]


def test_a_curve_that_is_no_power_law_names_its_best_count() -> None:
    record = reports.gain_curve(TWELVE, counts=(1, 2, 5, 10, 20), strides=(1,), noise=0.0)
    level = dict(zip((1, 2, 5, 10, 20), (0.30, 0.42, 0.55, 0.52, 0.50), strict=True))
    record.settings = [
        reports.setting(
            f"{n} every 1", "pixel_svm", TWELVE, lambda *_, m=m: m, frames=range(n), noise=0.001
        )
        for n, m in level.items()
    ]
    report = build(record)
    assert report.headline.startswith("Label 5 frames of each video")
    assert "not as a power law does; the highest mean is that of 5 frames" in report.evidence
    assert "flattens at" not in report.evidence


def test_gain_curve_flat_and_too_few_counts() -> None:
    flat = build(reports.gain_curve(TWELVE, rise=0.0, noise=0.001))
    assert flat.headline.startswith("Label 1 frame of each video")
    assert "the curve is flat" in flat.evidence
    few = build(reports.gain_curve(TWELVE, counts=(1, 5, 20)))
    assert few.curves[0].fit is None
    assert "3 frame counts carry no curve" in few.evidence


def test_gain_curve_of_four_groups_cannot_tell() -> None:
    said = build(reports.gain_curve(FOUR)).evidence
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


@pytest.mark.parametrize(
    ("ratio", "noise", "said", "told"),
    [
        (1.5, 0.03, "We cannot tell yet what a new video is worth. Not shown by 8 scenes.", False),
        (1.0, 0.001, "Count frames, not videos. Shown on 8 scenes.", True),
        (3.0, 0.003, "Label new videos before more frames. Shown on 8 scenes.", True),
        (0.3, 0.003, "Label more frames before new videos. Shown on 8 scenes.", True),
    ],
)
def test_a_rate_is_the_same_only_where_its_interval_lies_close_to_one(
    ratio: float, noise: float, said: str, told: bool
) -> None:
    report = build(reports.iso_budget([f"s{i}" for i in range(8)], ratio, noise=noise))
    rate = report.grids[0].rate
    assert rate is not None
    assert rate.identified
    assert report.sentence == said
    assert report.evidence.startswith(report.headline[:-1])
    assert make_page(report, "s").tone == ("told" if told else "open")


def test_exchange_rate_of_four_groups_is_not_identified() -> None:
    assert "not identified at 95 %" in build(reports.iso_budget(FOUR)).evidence


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
    assert report.headline == "Label new videos before more frames."
    assert said in report.evidence
    assert make_page(report, "s").tone == "told"
    four = build(reports.iso_budget(FOUR, frames=frames))
    assert four.sentence.startswith("We cannot tell yet")
    rate = four.grids[0].rate
    assert rate is not None
    nothing = "more frames of the videos one has gained nothing (" in four.evidence
    assert nothing == (rate.rate == math.inf)
    assert "at least 0 " not in four.evidence


def test_incomplete_grid_says_so() -> None:
    record = reports.iso_budget(TWELVE)
    record.settings = [one for one in record.settings if one.arm not in ("2 x 10", "1 x 5")]
    report = build(record)
    assert report.grids[0].rate is None
    assert "cannot be computed" in report.evidence


def test_a_comparison_with_an_oracle_is_by_itself() -> None:
    level = {"a": 0.4, "b": 0.45, "c": 0.43, "oracle": 0.6}
    settings = [reports.setting(arm, "svm", TWELVE, lambda a, _: level[a]) for arm in level]
    record = reports.suite("s", settings, [("a", "b"), ("a", "c"), ("a", "oracle")])
    record.config["arms"]["oracle"]["oracle"] = True
    report = build(record)
    assert [(p.role, p.family) for p in report.pairs] == [
        (Role.FAMILY, 2),
        (Role.FAMILY, 2),
        (Role.ORACLE, 1),
    ]
    oracle = report.pairs[2].result
    assert oracle
    assert oracle.p_adjusted == oracle.p_value == pytest.approx(2**-11)
    section = comparisons(report)
    assert section
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [(len(t.rows), "Holm's p" in t.head) for t in tables] == [(2, True), (1, False)]


def test_a_split_that_scored_higher_is_not_trusted_without_proof() -> None:
    record = reports.leakage(FOUR)
    assert build(record).sentence == (
        "Split by scene. The split 'by frame' scored 20.3 IoU points higher here, which is not "
        "proven. 4 scenes cannot prove it; about 6 would."
    )


def test_the_rows_of_another_pipeline_name_it() -> None:
    record = reports.paper(TWELVE)
    record.config["pipelines"]["sgd"]["sensitivity"] = True
    section = comparisons(build(record))
    assert section
    family, checks = (block for block in section.blocks if isinstance(block, Table))
    assert "pipeline" not in family.head
    assert {row[checks.head.index("pipeline")] for row in checks.rows} == {"sgd"}


def test_one_scene_is_too_few() -> None:
    assert build(reports.paper(["a"])).headline == (
        "No advice yet: 1 scene is too few to show anything."
    )


def test_a_video_without_effective_frames_is_named() -> None:
    report = build(reports.leakage(TWELVE))
    left = dataclasses.replace(report, effective=report.effective[1:])
    found = [effective(one) for one in (report, left)]
    notes = [
        [note for b in one.blocks if isinstance(b, Table) for note in b.notes]
        for one in found
        if one
    ]
    gone = str(report.effective[0]["video"])
    assert [any(f"Left out: {gone};" in note for note in own) for own in notes] == [False, True]


def test_arms_that_are_split_in_different_ways_say_what_they_are_tested_on() -> None:
    record = reports.leakage(TWELVE)
    record.config["split"] = {"use": "leave-one-group-out"}
    report = build(record)
    scene, frame = (in_words(report, one) for one in report.settings)
    assert scene.endswith(", tested on other scenes")
    assert frame.endswith(", tested on other frames of the same videos")


def test_stand_ins_of_the_paper_say_how_they_are_regularised() -> None:
    record = reports.paper(TWELVE)
    record.config["pipelines"]["pixel_svm"]["classifier"]["C_mode"] = "sum"
    section = paper(build(record))
    assert section
    notes = [note for b in section.blocks if isinstance(b, Table) for note in b.notes]
    assert (
        "pixel_svm stands beside the paper's liblinear: the same loss, at liblinear's own scale."
        in notes
    )


def test_leakage_is_no_advice() -> None:
    report = build(reports.leakage(TWELVE))
    assert report.kind is Kind.LEAKAGE
    assert report.sentence.startswith("Do not trust the split 'by frame'. Shown on 12 scenes: it ")
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


def test_our_networks_stand_beside_tables_five_and_six() -> None:
    made = [
        reports.setting(arm, "deep_unet", FOUR, lambda *_: 0.3, frames=range(n))
        for arm, n in (("1", 1), ("20", 20), ("400", 400))
    ]
    page = make_page(build(reports.suite("paper", made, [("1", "20")])), "p")
    (section,) = [one for one in page.sections if one.title == "The paper's tables"]
    tables = {one.caption: one for one in section.blocks if isinstance(one, Table)}
    table = tables["Table V: CNN on MOT16"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["400 deep_unet"][1] != "–"
    assert rows["400 deep_unet"][3:] == ["91", "31¹", "35¹"]
    assert any("columns are probably swapped" in note for note in table.notes)
    assert not any("same objective" in note for note in table.notes)
    assert rows["400 unet (not run)"] == ["–", "–", "–", "83", "17", "11"]
    virat = reports.dataset(FOUR, "virat:videos")
    report = build(reports.suite("paper", made, [("1", "20")], data=virat))
    blocks = [block for one in make_page(report, "p").sections for block in one.blocks]
    assert "Table VI: CNN on VIRAT" in {one.caption for one in blocks if isinstance(one, Table)}
