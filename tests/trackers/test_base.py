"""Trackers that answer wrongly, and specs that cannot be meant."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from vidseg.errors import DataError, PluginError, VidsegError
from vidseg.trackers.base import CheckedTracker, TrackerSource

IMAGE = np.zeros((40, 60, 3), np.uint8)
GOOD = (5.0, 5.0, 10.0, 10.0)


class Answers:
    """A tracker that gives prepared answers."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def start(self, image: object, box: object) -> None:
        """Take nothing."""

    def update(self, image: object) -> object:
        """Return the next answer, or raise it."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "lost", [(math.nan, 0, 5, 5), (5, 5, 0, 5), (5, 5, math.inf, 5), (300, 5, 10, 10)]
)
def test_a_box_that_is_none_means_lost_until_started_again(lost: tuple[float, ...]):
    moved = (7.0, 6.0, 10.0, 10.0)
    one = CheckedTracker(Answers((moved, 9.0), (lost, 9.0), (GOOD, 9.0)), "mine")
    one.start(IMAGE, GOOD)
    assert one.update(IMAGE) == (moved, 9.0)
    assert one.update(IMAGE) == (moved, 0.0)
    assert one.update(IMAGE) == (moved, 0.0)
    one.start(IMAGE, GOOD)
    assert one.update(IMAGE) == (GOOD, 9.0)


def test_a_confidence_that_is_no_number_is_none():
    one = CheckedTracker(Answers((GOOD, math.nan)), "mine")
    one.start(IMAGE, GOOD)
    assert one.update(IMAGE) == (GOOD, 0.0)


@pytest.mark.parametrize("answer", [GOOD, None, ((1, 2, 3), 4.0), (GOOD, "sure")])
def test_an_answer_of_another_form_names_the_tracker(answer: object):
    one = CheckedTracker(Answers(answer), "mine")
    one.start(IMAGE, GOOD)
    with pytest.raises(PluginError, match=r"tracker mine: update gave .* not a box"):
        one.update(IMAGE)


def test_a_failure_names_the_tracker():
    one = CheckedTracker(Answers(KeyError("peak")), "mine")
    one.start(IMAGE, GOOD)
    with pytest.raises(PluginError, match="tracker mine: fails: KeyError: 'peak'"):
        one.update(IMAGE)


def test_frames_keep_their_size_and_an_object_comes_first():
    one = CheckedTracker(Answers(), "mine")
    with pytest.raises(DataError, match="before it was given one"):
        one.update(IMAGE)
    one.start(IMAGE, GOOD)
    with pytest.raises(DataError, match="a frame of 60x30 after one of 60x40"):
        one.update(IMAGE[:30])


def test_sources_of_one_spec_are_equal_and_write_defaults_out():
    assert TrackerSource.of("lk") == TrackerSource.of("lk:points=7,window=15")
    assert TrackerSource.of("lk") != TrackerSource.of("lk:window=21")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("opencv:CSRTT", r"has no tracker 'CSRTT'; it has .*MIL"),
        ("opencv:CSRT", "has no tracker 'CSRT'; it comes with opencv-contrib-python"),
        ("opencv:Nano", "needs 2 model files, 0 are given"),
        ("opencv:MIL,model=a.onnx", "takes no model file, 1 are given"),
        ("opencv:Vit,model=absent.onnx", "absent.onnx: no such model file"),
        ("dsts", "there is no tracker 'dsts'; did you mean 'dsst'"),
        ("lk:points=1", "points=1 is refused"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_one_line(spec: str, message: str):
    with pytest.raises(VidsegError) as caught:
        TrackerSource.of(spec)
    assert re.search(message, str(caught.value))


def test_a_broken_model_file_is_named(tmp_path: Path):
    file = tmp_path / "vit.onnx"
    file.write_bytes(b"no network")
    one = TrackerSource.of(f"opencv:Vit,model={file}")()
    with pytest.raises(DataError, match=r"OpenCV cannot make the tracker .*fetch its model files"):
        one.start(IMAGE, GOOD)
