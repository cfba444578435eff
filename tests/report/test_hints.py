"""What looks wrong in a suite's numbers gets a line, and takes an advice back where it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from benchmarks._versions import mirrored
from tests.datasets.test_scenes import Clip, scene
from tests.helpers import reports
from vidseg.datasets.scenes import check_scenes
from vidseg.experiment.config import CHOSEN
from vidseg.experiment.records import SettingRecord, SuiteRecord
from vidseg.report import build, short
from vidseg.report.pages import make_page

GROUPS = [f"s{i}" for i in range(8)]
LEVEL = [0.40, 0.45, 0.38, 0.52, 0.47, 0.41, 0.55, 0.44]


def arm(name: str, gains: Sequence[float], frames: int) -> SettingRecord:
    """Return an arm with exact scores: the level of each scene, and what the arm gains there."""
    one = reports.setting(name, "svm", GROUPS, lambda *_: 0.5, frames=range(frames), noise=0.0)
    for group, level, gain in zip(GROUPS, LEVEL, gains, strict=True):
        one.group_scores[group] = reports.scores(level + gain)
    one.run.headline["iou"] = sum(one.group_scores[group]["iou"] for group in GROUPS) / len(GROUPS)
    return one


def mine(gains: Mapping[str, Sequence[float]], pairs: Sequence[tuple[str, str]]) -> SuiteRecord:
    return reports.suite("mine", [arm(n, own, int(n)) for n, own in gains.items()], pairs)


def test_a_group_that_makes_the_advice_is_named_where_no_comparison_asks() -> None:
    gains = {"1": [0.0] * 8, "5": [0.0] * 8, "20": [0.5] + [0.002] * 7}
    hints = build(mine(gains, [("1", "5")])).hints
    assert any("against 20 svm: one group makes the difference, s0 with +50.0" in h for h in hints)
    twice = [h for h in build(mine(gains, [("1", "20")])).hints if "one group" in h]
    assert len(twice) == 1


def test_scenes_that_a_groups_file_keeps_apart_are_counted_in_front() -> None:
    record = mine({"1": [0.0] * 8, "20": [0.05] * 8}, [("1", "20")])
    assert not any("groups file" in hint for hint in build(record).hints)
    clips = [Clip("a", scene(0)), Clip("b", mirrored(scene(0))), Clip("c", scene(1))]
    record.notes += check_scenes(clips, groups={"a": "x", "b": "y", "c": "z"}).notes
    report = build(record)
    assert report.hints[0].startswith("1 pair of scenes show one place and count as two each")
    assert report.near >= 1


def test_a_group_that_hides_a_difference_is_named() -> None:
    (said,) = (
        hint
        for hint in build(mine({"1": [0.0] * 8, "20": [-0.33] + [0.05] * 7}, [("1", "20")])).hints
        if "one group" in hint
    )
    assert said == (
        "1 svm against 20 svm: one group hides a difference, s0 with \u221233.0 points; without it "
        "the mean is +5.0 instead of +0.3"
    )
    noise = [0.03, -0.03, 0.02, -0.02, 0.04, -0.04, 0.01, -0.01]
    quiet = build(mine({"1": [0.0] * 8, "20": noise}, [("1", "20")])).hints
    assert not any("one group" in hint for hint in quiet)


@pytest.mark.parametrize(
    ("ap", "said"),
    [(-0.008, True), (-0.0004, False), (0.008, False)],
    ids=["small", "none", "same"],
)
def test_scores_that_disagree_get_a_line_where_one_of_them_matters(ap: float, said: bool) -> None:
    record = mine({"1": [0.0] * 8, "20": [0.05] * 8}, [("1", "20")])
    one, many = record.settings
    for group in GROUPS:
        many.group_scores[group]["ap"] = one.group_scores[group]["ap"] + ap
    assert any("They disagree" in hint for hint in build(record).hints) == said


def test_arms_that_chose_the_end_of_their_grid_are_named_in_front_and_on_the_terminal() -> None:
    record = mine({"1": [0.0] * 8, "20": [0.05] * 8}, [("1", "20")])
    record.config["pipelines"]["svm"] |= {"tune": {"C": [0.1, 1, 10]}}
    for one in record.settings:
        for fold in one.run.folds:
            fold.facts[CHOSEN] = 2
    report = build(record)
    said = "1 svm and 20 svm: most cells chose C = 10, an end of the grid"
    assert sum(said in hint for hint in report.hints) == 1
    assert said in short(report)
    for one in record.settings:
        for fold in one.run.folds:
            fold.facts[CHOSEN] = 1
    assert not any("end of the grid" in hint for hint in build(record).hints)


def test_arms_that_do_not_beat_a_baseline_give_no_advice() -> None:
    record = mine({"1": [0.0] * 8, "20": [0.05] * 8}, [("1", "20")])
    assert build(record).headline.startswith("Label the first 20 frames")
    for one in record.settings:
        one.run.baselines = [{"baseline": "colour", "iou": 0.6}]
    report = build(record)
    assert report.headline == "No advice yet: '20' does not beat colour only."
    assert report.certainty.startswith("Such scores say little about frames; try more scenes")
    assert (report.to_label, report.shown, make_page(report, "s").tone) == (None, False, "open")
    assert not any(one.advised for one in report.frame_lists)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"use": "fixed", "test": ["s0"]}, "1 fold of 8 scenes"),
        ({"use": "k-fold", "k": 2}, "2 folds of 8 scenes"),
        ({"use": "k-fold", "k": 8}, None),
        ({"use": "leave-one-group-out"}, None),
    ],
)
def test_scenes_that_share_a_model_get_a_line_without_any_comparison(
    split: dict[str, Any], said: str | None
) -> None:
    record = mine({"1": [0.0] * 8, "20": [0.05] * 8}, [])
    record.config["split"] = split
    found = [hint for hint in build(record).hints if "share a model" in hint]
    assert [hint.startswith(said or "-") for hint in found] == ([True] if said else [])


@pytest.mark.parametrize("frame", [0.0005, -0.05], ids=["same", "worse"])
def test_a_split_that_is_shown_to_flatter_leads(frame: float) -> None:
    gains = {"group": [0.0] * 8, "frame": [frame] * 8, "block": [0.2] * 8}
    arms: dict[str, Any] = {name: {"sampler": {"use": "all"}} for name in gains}
    arms["frame"]["split"], arms["block"]["split"] = {"use": "frame"}, {"use": "block"}
    settings = [arm(name, own, 20) for name, own in gains.items()]
    pairs = [("group", "frame"), ("group", "block")]
    report = build(reports.suite("leakage", settings, pairs, arms=arms))
    assert report.headline == "Do not trust the split 'block'."
    assert "+20.0 IoU points against 'group'" in report.certainty
    settings[1] = arm("frame", [0.1] * 8, 20)
    both = build(reports.suite("leakage", settings, pairs, arms=arms))
    assert both.headline == "Do not trust the splits 'frame' and 'block'."
