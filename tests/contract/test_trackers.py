"""The contract of trackers, for every one that is installed and needs no model file."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.helpers.moving import Moving, arc
from vidseg import plugins
from vidseg.errors import DataError
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.boxes import iou, is_box
from vidseg.types import Tracker

SPECS = ["dsst", "lk", "opencv:MIL", "still"]
FOLLOW = ["dsst", "lk"]


@pytest.fixture(params=SPECS)
def source(request: pytest.FixtureRequest) -> TrackerSource:
    return TrackerSource.of(request.param)


def test_every_builtin_tracker_is_tried():
    named = {plugin.name for plugin in plugins.available("tracker") if plugin.package == "vidseg"}
    assert named == {spec.partition(":")[0] for spec in SPECS}


def test_gives_a_box_and_a_confidence_for_each_frame(source: TrackerSource):
    clip = Moving(arc(4))
    first, *rest = clip.frames(range(4))
    made = plugins.create("tracker", source.spec)
    assert isinstance(made, Tracker)
    made.start(first, clip.box(0))
    for image in rest:
        box, confidence = made.update(image)
        assert is_box(box)
        assert all(isinstance(side, float) for side in box)
        assert math.isfinite(confidence)


def test_leaves_frames_as_they_are_and_repeats_itself(source: TrackerSource):
    clip = Moving(arc(4))
    images = list(clip.frames(range(4)))
    copies = [image.copy() for image in images]
    for image in images:
        image.setflags(write=False)

    def tracked() -> list[object]:
        one = source()
        one.start(images[0], clip.box(0))
        return [one.update(image) for image in images[1:]]

    found = tracked()
    assert all((a == b).all() for a, b in zip(images, copies, strict=True))
    if not str(source.spec).startswith("opencv"):  # MIL draws its samples at random
        assert tracked() == found


def test_an_object_that_stands_still_stays(source: TrackerSource):
    clip = Moving([(60, 40)] * 6)
    first, *rest = clip.frames(range(6))
    one = source()
    one.start(first, clip.box(0))
    last = [one.update(image)[0] for image in rest][-1]
    assert iou(np.array(last), np.array(clip.box(0))) > 0.7


def test_may_be_started_again_elsewhere(source: TrackerSource):
    clip = Moving([(20, 20), (20, 20), (120, 60), (120, 60)])
    images = list(clip.frames(range(4)))
    one = source()
    one.start(images[0], clip.box(0))
    one.update(images[1])
    one.start(images[2], clip.box(2))
    assert iou(np.array(one.update(images[3])[0]), np.array(clip.box(3))) > 0.7


@pytest.mark.parametrize("spec", FOLLOW)
def test_follows_what_moves(spec: str):
    clip = Moving(arc(20))
    first, *rest = clip.frames(range(20))
    one = TrackerSource.of(spec)()
    one.start(first, clip.box(0))
    found = [one.update(image)[0] for image in rest]
    truth = np.array([clip.box(i) for i in range(1, 20)])
    assert iou(np.array(found), truth).min() > 0.6


@pytest.mark.parametrize(
    "box",
    [
        (10.0, 10.0, 0.0, 20.0),
        (10.0, 10.0, 20.0, -3.0),
        (math.nan, 10.0, 20.0, 20.0),
        (10.0, 10.0, math.inf, 20.0),
        (500.0, 10.0, 20.0, 20.0),
        (-30.0, 10.0, 20.0, 20.0),
        (10.0, -19.0, 20.0, 20.0),
    ],
)
def test_no_tracker_is_started_on_what_is_no_box(source: TrackerSource, box: tuple[float, ...]):
    (image,) = Moving([(10, 10)]).frames([0])
    with pytest.raises(DataError, match=r"is no box|is outside of a frame of 200x120"):
        source().start(image, box)


def test_a_box_over_the_border_is_followed(source: TrackerSource):
    clip = Moving([(60, 40)] * 3)
    first, *rest = clip.frames(range(3))
    one = source()
    one.start(first, (-15.0, 90.0, 60.0, 60.0))
    for image in rest:
        box, confidence = one.update(image)
        assert is_box(box)
        assert math.isfinite(confidence)
