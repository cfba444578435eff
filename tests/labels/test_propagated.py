"""Propagated training labels, and the key boxes and gaps that they are made of."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.helpers.moving import SIZE, Moving, arc
from vidseg import plugins
from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.errors import PluginError, UsageError
from vidseg.labels.key_boxes import KeyTrack, around, key_frames, key_tracks, track_gaps
from vidseg.trackers.boxes import iou
from vidseg.trackers.gaps import Gap
from vidseg.types import Size, VideoInfo
from vidseg.utils.progress import Quiet

BOX = (5.0, 5.0, 10.0, 10.0)


@dataclass
class Film:
    """A video of the moving patch, with its box on the labelled frames."""

    path: Sequence[tuple[int, int] | None]
    known: Sequence[int] | None = None
    ids: bool = True
    clip: Moving = field(init=False)
    name = group = "film"
    image_key = "pixels"
    label_key = "boxes"

    def __post_init__(self) -> None:
        self.clip = Moving(self.path)
        self.frames = self.clip.frames

    def probe(self) -> VideoInfo:
        return VideoInfo(len(self.path), Size(*SIZE), 25.0)

    def labelled(self) -> Sequence[int]:
        return range(len(self.path)) if self.known is None else self.known

    def labels(self, index: int, source: str = "truth") -> Any:
        assert index in self.labelled()
        box = self.clip.box(index)
        rows = [] if box is None else [box]
        boxes = np.array(rows, float).reshape(-1, 4) + np.array([1, 1, 0, 0])
        ids = np.full(len(rows), 3 if self.ids else -1)
        return BoxLabels(Size(*SIZE), boxes, 1.0, ids, np.zeros(len(rows), bool))


class Kept(dict[str, Any]):
    put = dict.__setitem__


def made(film: Film, spec: str) -> Any:
    return plugins.create("label", f"propagated:{spec}").of(film)


def never() -> None:
    """Let the work go on."""


def test_key_frames_are_so_far_apart_and_the_last_one_too():
    assert key_frames(range(50), 20) == [0, 20, 40, 49]
    assert key_frames(range(41), 20) == [0, 20, 40]
    assert key_frames([3, 8, 13, 18, 23], 10) == [3, 13, 23]
    assert key_frames([4, 9], 1) == [4, 9]
    assert key_frames([], 5) == []


def test_an_object_comes_and_goes_half_way():
    track = KeyTrack(7, keys={10: BOX, 20: BOX, 40: BOX})
    assert track_gaps([track], [0, 10, 20, 30, 40]) == [
        Gap(0, 5, 10, None, BOX),
        Gap(0, 10, 20, BOX, BOX),
        Gap(0, 20, 25, BOX, None),
        Gap(0, 35, 40, None, BOX),
    ]
    assert track_gaps([KeyTrack(7, keys={1: BOX})], [0, 1, 2]) == []


def test_the_boxes_between_follow_the_object():
    film = Film(arc(25))
    labels = made(film, "every=12")
    truth = np.array([film.clip.box(i) for i in range(25)])
    found = [labels.labels(i) for i in range(25)]
    assert all(one.ids.tolist() == [3] and one.origin == 0 for one in found)
    boxes = np.concatenate([one.boxes for one in found])
    assert iou(boxes, truth).min() > 0.75
    assert (boxes[[0, 12, 24]] == truth[[0, 12, 24]]).all()
    linear = made(film, "every=12,method=linear")
    straight = np.concatenate([linear.labels(i).boxes for i in range(25)])
    assert iou(straight, truth).min() < iou(boxes, truth).min()


def test_frames_without_ground_truth_get_labels_too():
    film = Film(arc(30), known=[5, 15, 25])
    labels = made(film, "every=1")
    assert list(labels.labelled()) == list(range(5, 26))
    assert all(len(labels.labels(i).boxes) == 1 for i in range(5, 26))


def test_an_object_that_leaves_is_labelled_up_to_half_way():
    film = Film([(60, 40)] * 21 + [None] * 20)
    labels = made(film, "every=20")
    there = [i for i in range(41) if len(labels.labels(i).boxes)]
    assert there == list(range(31))


def test_the_video_is_read_once_then_kept_and_pickled():
    film, memory = Film(arc(25)), Kept()
    labels = made(film, "every=12")
    labels.remember(memory)
    labels.prepare([3, 4], Quiet(), never)
    assert film.clip.read == list(range(25))
    boxes = [labels.labels(i).boxes for i in range(25)]
    assert film.clip.read == list(range(25))
    again = made(film, "every=12")
    again.remember(memory)
    sent = pickle.loads(pickle.dumps(labels))  # noqa: S301 - what was pickled just now
    for other in (again, sent):
        assert all((other.labels(i).boxes == boxes[i]).all() for i in range(25))
        assert other.key == labels.key
    assert film.clip.read == list(range(25))


def test_progress_moves_by_the_frames_that_are_asked_for():
    class Count:
        steps = 0.0

        def advance(self, steps: float = 1) -> None:
            self.steps += steps

    count = Count()
    made(Film(arc(25)), "every=12").prepare([3, 4, 9], count, never)
    assert count.steps == pytest.approx(3)


def test_the_work_can_be_stopped():
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(Film(arc(25)), "every=12").prepare([0], Quiet(), stop)


def test_keys_differ_where_labels_may():
    film = Film(arc(25))
    specs = ["every=12", "every=11", "every=12,tracker=dsst", "every=12,method=blend"]
    specs += ["every=12,tracker='lk:window=21'", "every=12,objects=one"]
    assert len({made(film, spec).key for spec in specs}) == len(specs)
    assert made(film, "every=12").key == made(film, "every=12,tracker='lk:points=7'").key
    lines = [f"every=12,method=linear,tracker={name}" for name in ("lk", "dsst")]
    assert len({made(film, spec).key for spec in lines}) == 1


def test_labels_without_identities_are_refused_and_may_be_one_object():
    film = Film(arc(13), ids=False)
    with pytest.raises(UsageError, match=r"film, frame 0: boxes without identities.*objects=one"):
        made(film, "every=12,objects=ids").labels(0)
    one = made(film, "every=12,objects=one")
    assert len(one.labels(6).boxes) == 1
    mask = np.full((8, 10), -1, np.int8)
    mask[2:5, 3:7] = 1
    assert around(MaskLabels(Size(8, 10), mask)) == (3.0, 2.0, 4.0, 3.0)
    assert around(MaskLabels(Size(8, 10), np.zeros((8, 10), np.int8))) is None


def test_what_is_ignored_stays_apart_and_empty_boxes_are_passed_over():
    rows = np.array([BOX, BOX, (0, 0, 0, 5), (np.nan, 0, 5, 5), (900, 0, 5, 5)])
    film = Film([None, None])
    film.labels = lambda index, source="truth": BoxLabels(
        Size(*SIZE), rows, 0.0, np.array([1, 2, 3, 4, 5]), np.array([0, 1, 0, 0, 0], bool)
    )
    tracks = key_tracks(film, [0, 1])
    assert tracks == [KeyTrack(1, False, {0: BOX, 1: BOX}), KeyTrack(2, True, {0: BOX, 1: BOX})]


@pytest.mark.parametrize("spec", ["every=0", "method=best", "tracker=dlsst", "objects=two"])
def test_a_spec_that_cannot_be_meant_is_refused(spec: str):
    with pytest.raises(PluginError):
        plugins.create("label", f"propagated:{spec}")
