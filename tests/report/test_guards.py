"""What a verdict rests on: a lead that is missing, folds that share models, cheaper arms."""

from __future__ import annotations

import pytest

from tests.helpers import reports
from vidseg.experiment.records import SuiteRecord
from vidseg.report import build, comparisons
from vidseg.report.facts import Role
from vidseg.report.regularisation import path_caption

GROUPS = [f"s{i}" for i in range(8)]
WORTH = {"1": 0.38, "20": 0.44, "1by20": 0.52, "400": 0.52}
FRAMES = {"1": [0], "20": range(20), "1by20": range(0, 400, 20), "400": range(400)}
PAIRS = [("1", "20"), ("20", "1by20"), ("1by20", "400")]


def led() -> SuiteRecord:
    """Return a suite whose last comparison leads; it has a difference of 0 with some noise."""
    settings = [
        reports.setting(a, "svm", GROUPS, lambda a, _: WORTH[a], frames=FRAMES[a], noise=0.02)
        for a in WORTH
    ]
    record = reports.suite("mine", settings, PAIRS)
    record.comparisons[2].lead = True
    return record


def test_a_lead_that_is_not_made_leaves_the_others_to_holm() -> None:
    record = led()
    assert [pair.role for pair in build(record).pairs[:2]] == [Role.EXPLORATORY] * 2
    record.settings[3].group_scores = {}
    report = build(record)
    assert [pair.role for pair in report.pairs] == [Role.FAMILY, Role.FAMILY, Role.LEAD]
    adjusted = sorted(pair.result.p_adjusted for pair in report.pairs[:2] if pair.result)
    found = sorted(pair.result.p_value for pair in report.pairs[:2] if pair.result)
    assert adjusted == pytest.approx([2 * found[0], max(2 * found[0], found[1])])
    table = comparisons._comparison_table(report, report.pairs, "")
    assert "1by20 → 400, which leads, could not be made; Holm's p guards 2" in table.notes[0]


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("C", "C; weaker regularisation to the right."),
        ("weight_decay", "weight_decay; stronger regularisation to the right."),
        ("lr", "lr."),
    ],
)
def test_the_chart_along_a_path_says_where_regularisation_is_weak(parameter, said) -> None:
    assert path_caption(parameter).endswith(f"at the same {said}")


def test_exploratory_rows_need_what_holm_will_ask() -> None:
    record = led()
    explored = build(record).pairs[:2]
    record.comparisons = record.comparisons[:2]
    guarded = build(record).pairs
    assert [p.role for p in (*explored, *guarded)] == [Role.EXPLORATORY] * 2 + [Role.FAMILY] * 2
    assert [p.groups_needed for p in explored] == [p.groups_needed for p in guarded]
    assert [p.groups_for_seen for p in explored] == [p.groups_for_seen for p in guarded]


def test_folds_that_share_models_are_in_the_second_sentence() -> None:
    record = led()
    assert "first look" not in build(record).certainty
    record.config["split"] = {"use": "k-fold", "k": 2}
    assert "A first look only: 2 folds of 8 scenes." in build(record).certainty


def test_a_cheaper_arm_near_the_advised_one_is_named() -> None:
    settings = [
        reports.setting(a, "svm", GROUPS, lambda *_: 0.54, frames=FRAMES[a]) for a in ("1", "20")
    ]
    for number, group in enumerate(GROUPS):
        settings[0].group_scores[group]["iou"] = 0.54
        settings[1].group_scores[group]["iou"] = 0.534 + 0.024 * (number % 2)
    report = build(reports.suite("mine", settings, [("1", "20")]))
    assert report.chosen is not None
    assert report.chosen.arm == "20"
    assert report.shown
    said = "whether '1' would do (8 labelled frames instead of 160, 0.6 points behind) is not shown"
    assert said in report.certainty
