"""Gaps between known boxes: how they are read, tracked in both directions, and filled."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.moving import SIZE, Moving, arc
from vidseg.errors import DataError
from vidseg.trackers.base import CheckedTracker, TrackerSource
from vidseg.trackers.boxes import iou
from vidseg.trackers.fill import DOUBTFUL, METHODS, fill, linear, trust
from vidseg.trackers.gaps import Gap, Runs, gaps_of
from vidseg.trackers.run import run_gaps, updates
from vidseg.types import Box, Size

FRAME = Size(*SIZE)
LK, STILL = TrackerSource.of("lk"), TrackerSource.of("still")
A, B, C = (0.0, 0.0, 10.0, 10.0), (8.0, 4.0, 10.0, 20.0), (50.0, 50.0, 10.0, 10.0)


class Count:
    steps = 0.0

    def advance(self, steps: float = 1) -> None:
        self.steps += steps


def gap(clip: Moving, first: int, last: int, track: int = 1, ends: str = "both") -> Gap:
    start = clip.box(first) if ends in ("both", "start") else None
    return Gap(track, first, last, start, clip.box(last) if ends in ("both", "end") else None)


def truth(clip: Moving, one: Gap) -> np.ndarray:
    return np.array([clip.box(i) for i in range(one.first, one.last + 1)])


def test_iou_of_known_boxes():
    rows = np.array([A, (5.0, 0.0, 10.0, 10.0), (20.0, 0.0, 5.0, 5.0), (0.0, 0.0, 0.0, 0.0)])
    assert iou(rows, np.array(A)).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert iou(np.array([np.nan] * 4), np.array(A)) == 0
    assert iou(np.zeros(4), np.zeros(4)) == 0


def test_gaps_lie_between_boxes_and_end_where_the_object_goes():
    keys: dict[int, Box | None] = {9: B, 0: A, 5: A, 6: A, 12: None, 20: C, 21: None, 30: C, 40: C}
    assert gaps_of(7, keys) == [
        Gap(7, 0, 5, A, A),
        Gap(7, 6, 9, A, B),
        Gap(7, 9, 11, B, None),
        Gap(7, 30, 40, C, C),
    ]
    found = gaps_of(7, keys)
    assert [list(one.frames) for one in found[:3]] == [[1, 2, 3, 4], [7, 8], [10, 11]]
    assert gaps_of(7, {0: A, 1: B, 3: None}) == [Gap(7, 1, 2, B, None)]
    assert gaps_of(7, {}) == gaps_of(7, {3: A}) == gaps_of(7, {3: None, 9: A}) == []


@pytest.mark.parametrize("memory", [2**30, 4 * 3 * FRAME.height * FRAME.width])
@pytest.mark.parametrize("ends", ["both", "start", "end"])
def test_both_runs_are_those_of_a_tracker_alone(memory: int, ends: str):
    clip = Moving(arc(14))
    one = gap(clip, 2, 12, ends=ends)
    bar = Count()
    ((got, runs),) = run_gaps(clip.frames, [one], LK, FRAME, memory=memory, bar=bar)
    assert got == one
    assert bar.steps == updates([one]) == 20

    def alone(order: list[int], box: Box) -> list[Box]:
        tracker = LK()
        first, *rest = (next(clip.frames([index])) for index in order)
        tracker.start(first, box)
        return [box, *(tracker.update(image)[0] for image in rest)]

    onward = list(range(2, 13))
    if ends != "end":
        forward = alone(onward, clip.box(2))
        backward = alone(onward[::-1], clip.box(12) if ends == "both" else forward[-1])
    else:
        backward = alone(onward[::-1], clip.box(12))
        forward = alone(onward, backward[-1])
    assert np.allclose(runs.forward, forward)
    assert np.allclose(runs.backward[::-1], backward)


def test_frames_of_many_objects_are_read_once_and_in_order():
    clip = Moving([(40, 40)] * 30)
    gaps = [gap(clip, 0, 8, 1), gap(clip, 8, 16, 1), gap(clip, 4, 12, 2), gap(clip, 20, 25, 3)]
    done = [one for one, _ in run_gaps(clip.frames, reversed(gaps), STILL, FRAME)]
    assert clip.read == [*range(17), *range(20, 26)]
    assert done == [gaps[0], gaps[2], gaps[1], gaps[3]]


def test_objects_beyond_the_bound_wait_for_another_pass():
    clip = Moving([(40, 40)] * 12)
    gaps = [gap(clip, 0, 9, track) for track in range(5)]
    done = [one for one, _ in run_gaps(clip.frames, gaps, STILL, FRAME, at_once=2)]
    assert sorted(one.track for one in done) == [0, 1, 2, 3, 4]
    assert clip.read == 3 * list(range(10))


def test_finished_gaps_come_before_the_video_breaks():
    clip = Moving([(40, 40)] * 30)

    def breaking(indices):
        for index, image in zip(indices, clip.frames(indices), strict=True):
            if index == 15:
                raise DataError("does not decode", where="frame 15")
            yield image

    done = []

    def work() -> None:
        for one, _ in run_gaps(breaking, [gap(clip, 0, 10), gap(clip, 10, 20)], STILL, FRAME):
            done.append(one.last)

    with pytest.raises(DataError, match="does not decode"):
        work()
    assert done == [10]
    with pytest.raises(DataError, match="ends before frame 11"):
        list(run_gaps(lambda i: clip.frames(i[:11]), [gap(clip, 0, 20)], STILL, FRAME))


def test_an_object_outside_of_the_frame_stays_where_it_is_said_to_be():
    clip = Moving([(40, 40)] * 6)
    outside = Gap(1, 0, 5, (-50.0, 0.0, 20.0, 20.0), clip.box(5))
    ((_, runs),) = run_gaps(clip.frames, [outside], LK, FRAME)
    assert (runs.forward == outside.start).all()
    assert (runs.confidence[0] == 0).all()
    assert np.allclose(runs.backward, clip.box(5), atol=1)


def test_auto_follows_the_runs_where_they_agree_and_the_line_where_not():
    whole = Gap(1, 0, 4, A, C)
    near = np.array([(i, 30.0, 10.0, 10.0) for i in range(5)])
    far = near + np.array([0, 300, 0, 0])
    agreeing, apart = Runs(near, near, np.ones((2, 5))), Runs(near, far, np.ones((2, 5)))
    assert np.allclose(fill(whole, agreeing).boxes[1:-1], near[1:-1])
    assert np.allclose(fill(whole, apart).boxes, linear(whole))
    blend = fill(whole, apart, "blend").boxes
    assert np.allclose(blend[2], (near[2] + far[2]) / 2)
    half = near + np.array([10 / 3, 0, 0, 0])  # IoU 1/2, so half of the way
    weighted = fill(whole, Runs(near, half, np.ones((2, 5)))).boxes[2]
    assert np.allclose(weighted, (linear(whole)[2] + (near[2] + half[2]) / 2) / 2)
    for method in METHODS:
        filled = fill(whole, apart, method)
        assert tuple(filled.boxes[0]) == A
        assert tuple(filled.boxes[-1]) == C
        assert filled.doubt[0] == filled.doubt[-1] == 0
        assert ((filled.doubt >= 0) & (filled.doubt <= 1)).all()
    assert np.allclose(fill(whole, apart, "forward").boxes[1:-1], near[1:-1])
    assert np.isnan(fill(whole, None, "linear").doubt[1:-1]).all()


@pytest.mark.parametrize("ends", ["start", "end"])
def test_beyond_the_last_box_the_run_from_it_counts(ends: str):
    clip = Moving(arc(20))
    one = gap(clip, 0, 19, ends=ends)
    ((_, runs),) = run_gaps(clip.frames, [one], LK, FRAME)
    run = runs.forward if ends == "start" else runs.backward
    for method in ("auto", "blend", "forward"):
        assert np.allclose(fill(one, runs, method).boxes, run)
    assert (fill(one, runs, "linear").boxes == (one.start or one.end)).all()
    assert iou(run, truth(clip, one)).min() > 0.6


def test_auto_is_better_than_a_line_on_an_arc_and_doubts_where_the_object_is_hidden():
    clip = Moving(arc(25))
    one = gap(clip, 0, 24)
    ((_, runs),) = run_gaps(clip.frames, [one], LK, FRAME)
    filled = fill(one, runs)
    assert (
        iou(filled.boxes, truth(clip, one)).min() > 0.7 > iou(linear(one), truth(clip, one)).min()
    )
    assert filled.doubt.max() < DOUBTFUL

    hidden = Moving([place if i not in range(8, 14) else None for i, place in enumerate(arc(25))])
    ((_, runs),) = run_gaps(hidden.frames, [one], LK, FRAME)
    doubt = fill(one, runs).doubt
    assert doubt.max() > DOUBTFUL


def test_a_run_that_was_unsure_on_the_way_counts_less() -> None:
    whole = Gap(1, 0, 4, A, C)
    line = linear(whole)
    confidence = np.array([[0, 0.2, 1, 1, 1], [1, 1, 0.4, 0.6, 0]])
    forward, backward = trust(Runs(line, line, confidence))
    assert np.allclose(forward, [1, 0.6, 2.2 / 3, 0.8, 4.2 / 5])
    assert np.allclose(backward, [0.8, 0.75, 2 / 3, 0.8, 1])
    doubt = fill(whole, Runs(line, line, confidence)).doubt
    assert np.allclose(doubt[1:-1], 1 - np.maximum(forward, backward)[1:-1])
    far = line + np.array([0, 300, 0, 0])
    assert np.allclose(fill(whole, Runs(line, far, confidence)).doubt[1:-1], 1 - forward[1:-1])


def test_confidence_is_told_by_what_a_sure_tracker_has() -> None:
    class Sure:
        sure = 8.0

        def start(self, image: object, box: object) -> None:
            self.box = box

        def update(self, image: object) -> object:
            return self.box, 6.0

    clip = Moving([(40, 40)] * 4)
    one = gap(clip, 0, 3)
    ((_, runs),) = run_gaps(clip.frames, [one], lambda: CheckedTracker(Sure(), "mine"), FRAME)
    assert np.allclose(runs.confidence[:, 1:3], 0.75)
