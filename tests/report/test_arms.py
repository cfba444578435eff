"""Arms in words: the frames that were really taken, not those that a sampler's name promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.helpers import reports
from vidseg.report import build
from vidseg.report.arms import in_words

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
