"""Arms in words: the frames that were really taken, not those that a sampler's name promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.helpers import reports
from vidseg.report import build
from vidseg.report.arms import in_words
from vidseg.report.front import arms as arms_section

LONG, SHORT = "long", "short"


def words(
    sampler: Any,
    long: Sequence[int],
    short: Sequence[int] = (),
    lengths: tuple[int, int] = (900, 0),
) -> str:
    """Return in words what an arm takes of a long video and, where there is one, a short one."""
    groups = [LONG, SHORT] if short else [LONG]
    data = reports.dataset(groups)
    for row, length in zip(data.videos, lengths, strict=False):
        row["frames"] = length
    one = reports.setting("arm", "svm", groups, lambda *_: 0.5, data=data)
    one.frames = {LONG: list(long)} | ({SHORT: list(short)} if short else {})
    arm = sampler if isinstance(sampler, dict) and "sampler" in sampler else {"sampler": sampler}
    report = build(reports.suite("own", [one], arms={"arm": arm}))
    return in_words(report, report.settings[0])


@pytest.mark.parametrize(
    ("sampler", "taken", "said"),
    [
        ("1by20", range(0, 400, 20), "every 20th of the first 400 frames of each video"),
        ("strided", range(0, 900, 20), "every 20th frame of each video"),
        (
            {"use": "per-second", "rate": 1, "fps": 25},
            range(0, 900, 25),
            "one frame a second of each video, 25 frames apart (25 fps where a video states none)",
        ),
        (
            {"use": "per-second", "rate": 2},
            range(0, 900, 15),
            "2 frames a second of each video, 15 frames apart",
        ),
        ("strided", range(4, 900, 20), "every 20th frame of each video"),
        (
            {"use": "strided", "every": 20, "n": 3, "start": 100},
            range(100, 160, 20),
            "3 frames of each video, every 20th from frame 100 on",
        ),
        (
            {"use": "strided", "every": 20, "start": 100},
            range(100, 900, 20),
            "every 20th frame of each video from frame 100 on",
        ),
        ("strided", [0, 20, 60, 80, 880], "every 20th frame of each video, where labelled"),
        ("400", range(400), "the first 400 frames of each video"),
        ("400", range(0, 60, 5), "every 5th of the first 60 frames of each video"),
        ("400", [0, 1, 5, 9], "the first 4 labelled frames of each video"),
        ("400", range(7, 407), "the first 400 labelled frames of each video"),
        (
            {"use": "successive", "n": 20, "start": 100},
            range(100, 120),
            "20 frames in a row of each video, from frame 100 on",
        ),
        ({"use": "successive", "n": 1, "start": 100}, [100], "frame 100 of each video"),
        ("1", [0], "the first frame of each video"),
        ("all", range(900), "every frame of each video"),
        ("all", range(0, 900, 5), "every labelled frame of each video"),
        (
            {"sampler": "all", "train_labels": {"use": "hand"}},
            range(33),
            "the first 33 frames of each video, as far as the budget goes",
        ),
        ("1x20", [0], "the first frame of each video, replaced by 20 noisy copies in training"),
        (
            "20x20",
            range(0, 400, 20),
            "every 20th of the first 400 frames of each video, each replaced by 20 noisy copies in "
            "training",
        ),
        (
            {"use": "augmented", "base": {"use": "successive", "n": 2}, "copies": 1},
            [0, 1],
            "the first 2 frames of each video, each replaced by 1 augmented copy in training",
        ),
    ],
)
def test_an_arm_is_told_by_the_frames_that_it_took(
    sampler: Any, taken: Sequence[int], said: str
) -> None:
    assert words(sampler, taken) == said


@pytest.mark.parametrize(
    ("sampler", "long", "short", "said"),
    [
        ("400", range(400), range(69), "the first 400 frames of each video, all where there are"),
        ("400", range(900), range(69), "every frame of each video"),
        ("400", range(400), range(20), "the first 20 to 400 frames of each video"),
        ("400", [0, 5, 10, 390], [0, 9], "the labelled frames among the first 391 of each video"),
        ("1", [0], [3], "the first labelled frame of each video"),
        ("1by20", range(0, 400, 20), range(0, 69, 20), "every 20th of the first 400 frames"),
        ("uniform", range(400), range(69), "400 frames spread evenly over each video, all where"),
        (
            "window",
            range(9, 409),
            range(69),
            "400 frames of each video in a row, anywhere in it, f",
        ),
        ("mine", range(400), range(69), "69 to 400 frames of each video"),
    ],
)
def test_an_arm_of_unequal_videos_says_what_was_taken_of_them(
    sampler: str, long: Sequence[int], short: Sequence[int], said: str
) -> None:
    assert words(sampler, long, short, (900, 69)).startswith(said)


def test_arms_of_fewer_videos_are_compared_and_never_advised() -> None:
    groups = [f"s{i}" for i in range(8)]
    level = {"two videos": 0.45, "10": 0.4}
    few, all_ = (
        reports.setting(arm, "svm", groups, lambda a, _: level[a], frames=range(10), noise=0.001)
        for arm in level
    )
    few.frames = {group: list(range(10)) for group in groups[:2]}
    window = {"sampler": {"use": "window", "n": 10}}
    arms = {"two videos": {**window, "videos": 2}, "10": window}
    report = build(reports.suite("m", [few, all_], [("two videos", "10")], arms=arms))
    assert report.headline == "No advice: there is no second arm to choose from."
    assert report.certainty.startswith("Shown on 8 scenes: '10' scores \u2212")
    assert report.decision is None
    for group in groups[:4]:
        all_.group_scores[group]["iou"] += 0.3
    open_ = build(reports.suite("m", [few, all_], [("two videos", "10")], arms=arms))
    assert "8 scenes cannot prove it" in open_.certainty
    assert "('10' scores +10.0 IoU points)" in open_.certainty
    assert not any(one.advised for one in report.frame_lists)
    assert any("'two videos' trains on fewer videos, drawn" in note for note in report.notes)
    one = reports.setting("1", "svm", groups, lambda *_: 0.3, frames=[0], noise=0.001)
    arms["1"] = {"sampler": {"use": "1"}}
    report = build(reports.suite("m", [few, all_, one], [("1", "10")], arms=arms))
    assert report.headline.startswith("Label 10 frames of each video")
    assert report.to_label is not None
    assert len(report.to_label.frames) == 8


def test_frames_of_some_videos_are_advised_in_words_and_not_as_lists() -> None:
    groups = [f"s{i}" for i in range(8)]
    level = {"1": 0.3, "20": 0.5}
    settings = [
        reports.setting(a, "svm", groups, lambda a, _: level[a], frames=range(int(a)), noise=0.001)
        for a in level
    ]
    arms = {arm: {"sampler": {"use": arm}, "videos": 2} for arm in level}
    for one in settings:
        one.frames = {group: one.frames[group] for group in groups[:2]}
    report = build(reports.suite("m", settings, [("1", "20")], arms=arms))
    assert report.headline == "Label the first 20 frames of each video ('20')."
    assert report.to_label is None


def test_new_videos_or_more_frames_takes_no_arm() -> None:
    report = build(reports.iso_budget([f"s{i}" for i in range(12)]))
    section = arms_section(report)
    assert section is not None
    assert not any("take it" in row for row in section.blocks[0].rows)  # type: ignore[union-attr]
    assert (report.decision, report.to_label) == (None, None)
    assert not any("never advised" in note for note in report.notes)


@pytest.mark.parametrize(
    ("seconds", "score", "said"),
    [
        (3000.0, 0.45, "Label every 20th frame of each video ('key'). Shown on 8 scenes: no other"),
        (1990.0, 0.398, "'prop', surely less than 1 IoU point."),
        (0.0, 0.398, "surely less than 1 IoU point, with 0 min of labelling instead of 33 min."),
        (
            3000.0,
            0.402,
            "('prop'). Spend the rest on new scenes. Shown on 8 scenes: it is 0.2 behind the best "
            "arm tried, 'key', surely less than 1 IoU point, with 33 min of labelling instead of "
            "50 min.",
        ),
    ],
)
def test_where_minutes_are_counted_the_advice_speaks_of_minutes(
    seconds: float, score: float, said: str
) -> None:
    groups = [f"s{i}" for i in range(8)]
    level = {"key": score, "prop": 0.4}
    frames = {"key": range(0, 400, 20), "prop": range(400)}
    settings = [
        reports.setting(a, "svm", groups, lambda a, _: level[a], frames=frames[a], noise=0.0001)
        for a in level
    ]
    for one, spent in zip(settings, (seconds, 2000.0), strict=True):
        one.effort = {"boxes": 10.0, "looks": 10.0, "seconds": spent}
    arms = {
        "key": {"sampler": {"use": "strided"}},
        "prop": {"sampler": {"use": "all"}, "train_labels": {"use": "propagated"}},
    }
    report = build(reports.suite("labels", settings, [("key", "prop")], arms=arms))
    assert said in report.sentence
    assert "labelled frames instead of" not in report.sentence
