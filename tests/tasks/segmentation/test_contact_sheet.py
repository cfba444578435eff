"""Contact sheets: the right frames, masks where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.trees import box, mask_tree, mot_sequence
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.tasks.segmentation.contact_sheet import COLUMNS, MOST, TILE, contact_sheet, spaced

CAPTION, GAP = 20, 4


def test_frames_are_spread_over_the_video():
    assert spaced(100, 4) == [0, 33, 66, 99]
    assert spaced(100, 1) == [0]
    assert spaced(2, 4) == [0, 1]
    assert spaced(1, 4) == [0]


@pytest.mark.parametrize(("frames", "rows"), [(4, 2), (2, 1), (1, 1)])
def test_layout(tmp_path, frames, rows):
    videos = Masks(str(mask_tree(tmp_path, ("a", "b"), frames=8))).videos()
    sheet = contact_sheet(videos, {"a": "a", "b": "yard"}, frames)
    columns = min(COLUMNS, 2 * frames)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (rows * (CAPTION + 300 + GAP), columns * (TILE + GAP) - GAP, 3)


def tiles(sheet, count):
    return [sheet[CAPTION : CAPTION + 300, i * (TILE + GAP) :][:, :TILE] for i in range(count)]


def test_masks_are_tinted_and_the_rest_is_not(tmp_path):
    root = mask_tree(tmp_path, ("a",), frames=2)
    videos = Masks(str(root)).videos()
    drawn = tiles(contact_sheet(videos, {"a": "a"}, 2), 2)
    bare = tiles(contact_sheet(Masks(str(root), foreground=(7,)).videos(), {"a": "a"}, 2), 2)
    scale = TILE / 64
    for index in (0, 1):
        left, top, width, height = (round(side * scale) for side in box(index))
        inside = (slice(top + 4, top + height - 4), slice(left + 4, left + width - 4))
        changed = (drawn[index] != bare[index]).any(axis=2)
        assert changed[inside].all()
        changed[top - 1 : top + height + 1, max(0, left - 1) : left + width + 1] = False
        assert not changed.any()


def test_ignored_boxes_are_grey_and_boxes_are_outlined(tmp_path):
    rows = [(1, 1, 11, 11, 20, 20, 1, -1, -1, -1), (1, 2, 41, 11, 20, 20, 0, -1, -1, -1)]
    folder = mot_sequence(tmp_path, "A", frames=1, rows=rows, version="mot15")
    (tile,) = tiles(contact_sheet(Mot(str(folder)).videos(), {"A": "A"}), 1)
    scale = TILE / 64
    assert tuple(tile[round(20 * scale), round(10 * scale)]) == (255, 200, 0)
    assert tuple(tile[round(20 * scale), round(40 * scale)]) == (128, 128, 128)


def test_a_crowd_of_videos_gets_fewer_frames_each(tmp_path):
    (video,) = Masks(str(mask_tree(tmp_path, ("a",), frames=8))).videos()
    sheet = contact_sheet([video] * (MOST + 9), {"a": "a"}, 4)
    assert len(sheet) == MOST // COLUMNS * (CAPTION + 300 + GAP)
