"""What labels cost a human, and labels that spend a budget."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.helpers.moving import SIZE, arc
from tests.labels.test_propagated import Film, Kept, never
from vidseg import plugins
from vidseg.datasets.base import MaskLabels
from vidseg.labels.effort import Effort, Price, by_hand, effort_of
from vidseg.trackers.boxes import iou
from vidseg.types import Size
from vidseg.utils.progress import Quiet

STILL = [(30, 30)] * 41


def made(film: Any, spec: str) -> Any:
    return plugins.create("label", spec).of(film)


class Masked(Film):
    """The same video with masks of two parts instead of boxes."""

    def labels(self, index: int, source: str = "truth") -> Any:
        mask = np.full(SIZE, -1, np.int8)
        mask[5:9, 5:9] = mask[20:30, 40:60] = 1
        mask[50:60, 50:60] = 0
        return MaskLabels(Size(*SIZE), mask)


def test_by_hand_every_box_and_every_frame_count() -> None:
    film = Film([None, *arc(9)])
    assert by_hand(film, [0, 3, 4]) == Effort(boxes=2, looks=3)
    assert effort_of(film, made(film, "truth"), [0, 3, 4]) == Effort(2, 3)
    assert Price(7, 2).seconds(Effort(2, 3)) == 20
    assert Price.of(None, 0.5) == Price(7.0, 0.5)


def test_of_masks_their_parts_are_the_boxes() -> None:
    assert by_hand(Masked(STILL), [1, 2]) == Effort(4, 2, of_masks=True)


@pytest.mark.parametrize("method", ["linear", "auto"])
def test_of_propagated_boxes_nobody_looks_at_those_between(method: str) -> None:
    labels = made(Film(STILL), f"propagated:every=20,method={method}")
    assert effort_of(labels.video, labels, range(41)) == Effort(3, 3)


def test_a_budget_chooses_the_distance_of_key_frames() -> None:
    # by hand 0, 20, ..., 40: the last frame is among them
    assert made(Film(STILL), "propagated:budget=20").every == 20
    # by hand 0, 10, 20: the last frame, 25, has to be paid as well
    assert made(Film(arc(26)), "propagated:budget=10").every == 13


def test_by_hand_the_first_frames_as_many_as_the_budget_affords() -> None:
    assert list(made(Film(STILL), "hand:budget=20").labelled()) == [0, 1, 2]
    late = Film([None, None, *[(30, 30)] * 39])  # nothing to draw on 0: 4 boxes, 5 looks
    labels = made(late, "hand:budget=10")
    assert list(labels.labelled()) == [0, 1, 2, 3, 4]
    free = made(late, "hand:budget=10,seconds_per_box=1,seconds_per_look=0")
    assert list(free.labelled()) == [0, 1, 2, 3, 4, 5]
    assert labels.labels(2).boxes.tolist() == late.labels(2).boxes.tolist()


def test_of_a_still_object_all_frames_cost_two_boxes_and_are_the_truth() -> None:
    film = Film(STILL)
    labels = made(film, "assisted:every=40,tracker=still")
    with Quiet().task("", 41) as bar:
        labels.prepare(range(41), bar, never)
    assert labels.effort(()) == Effort(boxes=2, looks=2)
    assert all(labels.labels(i).boxes.tolist() == [[30, 30, 36, 30]] for i in range(41))


def test_wrong_boxes_are_drawn_anew_until_the_doubt_or_the_eye_finds_none() -> None:
    film = Film(arc(41))
    way = "assisted:every=40,method=linear,tracker=lk"
    mended, watched, left = (made(film, f"{way},ask={ask}") for ask in ("doubt", "truth", "nobody"))
    assert left.effort(()) == Effort(2, 2)
    assert watched.effort(()).looks == 41
    assert 2 < mended.effort(()).looks < 41
    assert mended.effort(()).boxes > 2
    assert watched.effort(()).boxes > 2
    assert worst(film, left) < 0.1
    assert worst(film, watched) >= 0.5


def test_forward_is_the_papers_way() -> None:
    film = Film(arc(21))
    labels = made(film, "assisted:method=forward,tracker=still")
    effort = labels.effort(())
    assert effort.looks == 21
    assert 2 < effort.boxes < 15
    assert worst(film, labels) >= 0.5
    assert list(labels.labelled()) == list(range(21))


def test_a_budget_is_kept_and_used() -> None:
    film = Film(arc(41))
    most = Price().seconds(by_hand(film, range(0, 41, 4)))
    spent = Price().seconds(made(film, "assisted:budget=4").effort(()))
    assert most / 2 < spent <= most
    # where looks cost nothing, more is drawn
    free = made(film, "assisted:budget=4,seconds_per_look=0").effort(())
    assert 7 * free.boxes <= 7 * 11


def test_what_was_made_is_kept_and_sent_along() -> None:
    film, memory = Film(arc(21)), Kept()
    labels = made(film, "assisted:every=10")
    labels.remember(memory)
    boxes, effort = labels.labels(5).boxes, labels.effort(())
    read = len(film.clip.read)
    again = made(film, "assisted:every=10")
    again.remember(memory)
    assert again.effort(()) == effort
    assert again.labels(5).boxes.tolist() == boxes.tolist()
    there = pickle.loads(pickle.dumps(labels))  # noqa: S301
    assert there.labels(5).boxes.tolist() == boxes.tolist()
    assert there.effort(()) == effort
    assert len(film.clip.read) == read
    assert not there.video.clip.read[read:]


def test_all_that_decides_is_in_the_key() -> None:
    film = Film(arc(21))
    specs = ["every=10", "every=11", "tracker=still", "ask=truth", "method=linear", "doubt=0.4"]
    specs += ["threshold=0.6", "budget=5", "budget=6", "budget=5,seconds_per_look=2"]
    assert len({made(film, f"assisted:{spec}").key for spec in specs}) == len(specs)
    other = replace(film, path=arc(21))
    other.label_key = "other"
    assert made(other, "assisted:every=10").key != made(film, "assisted:every=10").key


def worst(film: Film, labels: Any) -> float:
    """Return the lowest IoU of a box with the truth."""
    return min(
        float(iou(labels.labels(i).boxes[0], np.array(film.clip.box(i))))
        for i in range(len(film.path))
    )


@pytest.mark.parametrize("spec", ["budget=4", "method=forward,tracker=still"])
def test_progress_moves_while_a_human_is_replayed(spec: str) -> None:
    class Count:
        moved: ClassVar[list[float]] = []

        def advance(self, steps: float = 1) -> None:
            self.moved.append(steps)

    Count.moved.clear()
    made(Film(arc(41)), f"assisted:{spec}").prepare(range(10), Count(), never)
    assert len(Count.moved) > 20
    assert sum(Count.moved) == pytest.approx(10)


@pytest.mark.parametrize(("budget", "drawn"), [(8, 6), (10, 6)])
def test_the_cheapest_is_taken_where_no_distance_is_within_the_budget(
    budget: int, drawn: int
) -> None:
    corners = Film([(20 + int(40 * abs((i / 8) % 2 - 1)), 40) for i in range(41)])
    rest = "ask=truth,tracker=still,method=linear,seconds_per_look=0"
    # a box at each corner, 8 frames apart: 6; every=10 misses them and ends with 9
    assert made(corners, f"assisted:every=10,{rest}").effort(()).boxes == 9
    assert made(corners, f"assisted:budget={budget},{rest}").effort(()).boxes == drawn
