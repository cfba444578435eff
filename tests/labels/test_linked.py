"""Objects of labels that have no identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.labels.test_propagated import Film, Kept
from vidseg import plugins
from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.labels.boxes import boxed
from vidseg.labels.effort import Effort, effort_of
from vidseg.labels.key_boxes import KeyTrack, around, key_tracks
from vidseg.labels.true_tracks import read_truth
from vidseg.types import Size, VideoInfo

FRAME = Size(60, 80)
Part = tuple[slice, slice, int]


@dataclass
class Masks:
    """A video of masks of squares: rows, columns and value of each, by frame."""

    drawn: Sequence[Sequence[Part]]
    label_key: str
    name = group = "masks"
    image_key = "pixels"

    def probe(self) -> VideoInfo:
        return VideoInfo(len(self.drawn), FRAME, 25.0)

    def labels(self, index: int, source: str = "truth") -> Any:
        mask = np.full(FRAME, -1, np.int8)
        for rows, columns, value in self.drawn[index]:
            mask[rows, columns] = value
        return MaskLabels(FRAME, mask)


def part(left: int, top: int, side: int = 20, value: int = 1) -> Part:
    return slice(top, top + side), slice(left, left + side), value


def made(video: Any, spec: str, memory: Kept | None = None) -> Any:
    labels = plugins.create("label", spec).of(video)
    if memory is not None:
        labels.remember(memory)
    return labels


def test_parts_that_overlap_from_frame_to_frame_are_one_object() -> None:
    low, high = [part(4 * i, 35) for i in range(4)], [part(40 - 4 * i, 2) for i in range(4)]
    video = Masks([[high[0], low[0]], [low[1], high[1]], [low[2]], [low[3], high[3]]], "two")
    tracks = key_tracks(video, [0, 1, 3], "linked")
    assert {tuple(track.keys.items()) for track in tracks} == {
        ((0, (0, 35, 20, 20)), (1, (4, 35, 20, 20)), (3, (12, 35, 20, 20))),
        ((0, (40, 2, 20, 20)), (1, (36, 2, 20, 20))),
        ((3, (28, 2, 20, 20)),),
    }


def test_what_is_ignored_is_linked_apart() -> None:
    there, gone = [part(5, 10), part(40, 10, value=0)], [part(40, 10), part(5, 10, value=0)]
    tracks = key_tracks(Masks([there, gone], "void"), [0, 1], "linked")
    assert sorted((track.ignored, len(track.keys)) for track in tracks) == [
        *[(False, 1)] * 2,
        *[(True, 1)] * 2,
    ]


def test_bits_of_a_mask_get_no_box_and_are_not_paid() -> None:
    mask = Masks([[part(10, 10), part(40, 10, 2), part(50, 30, 3)]], "bits").labels(0)
    assert boxed(mask).boxes.tolist() == [[10, 10, 20, 20], [50, 30, 3, 3]]
    assert around(Masks([[part(10, 10), part(40, 10, 2)]], "bit").labels(0)) == (10, 10, 20, 20)


def test_masks_are_propagated_and_replayed_out_of_the_box() -> None:
    video = Masks([[part(2 * i, 35), part(50 - 2 * i, 2)] for i in range(13)], "moving")
    labels, memory = made(video, "propagated:every=12,method=linear"), Kept()
    assert sorted(map(tuple, labels.labels(6).boxes)) == [(12, 35, 20, 20), (38, 2, 20, 20)]
    assert effort_of(video, labels, range(13)) == Effort(4, 2, of_masks=True)
    assert len(read_truth(video, "auto").tracks) == 2
    replayed = "assisted:every=12,method=linear,ask=nobody"
    assert made(video, replayed, memory).effort(()) == Effort(4, 2, of_masks=True)
    assert made(video, replayed, memory).effort(()) == Effort(4, 2, of_masks=True)


def test_identities_are_taken_where_there_are_some() -> None:
    film = Film([(30, 30), (90, 60)])
    assert len(key_tracks(film, [0, 1], "auto")) == 1  # far apart: linked they are two
    assert len(key_tracks(film, [0, 1], "linked")) == 2
    unnamed = Film([(30, 30), (32, 30), (90, 60)], ids=False)
    unnamed.label_key = "unnamed"
    tracks = key_tracks(unnamed, [0, 1, 2], "auto")
    assert [sorted(track.keys) for track in tracks] == [[0, 1], [2]]
    assert tracks[0].keys[1] == tuple(unnamed.clip.box(1))


def test_empty_boxes_are_passed_over() -> None:
    rows = np.array([(5.0, 5, 10, 10), (0, 0, 0, 5), (900, 0, 5, 5)])

    class Empty(Film):
        label_key = "empty"

        def labels(self, index: int, source: str = "truth") -> Any:
            size = self.probe().size
            return BoxLabels(size, rows, 0.0, np.full(3, -1), np.zeros(3, bool))

    assert key_tracks(Empty([None]), [0], "auto") == [KeyTrack(1, False, {0: (5, 5, 10, 10)})]
