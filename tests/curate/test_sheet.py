"""Contact sheets of a selection: captions that fit, a row for each video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidseg.curate import sheet
from vidseg.curate.selection import ChosenFrame
from vidseg.media.contact_sheet import TILE, text_width


def frame(video: str, index: int = 7, seconds: float | None = 4.92) -> ChosenFrame:
    return ChosenFrame(video, index, seconds, Path("a.mp4"), f"a.mp4#{index}")


def test_captions_say_video_frame_and_time():
    assert sheet.caption(frame("yard")) == "yard, frame 7, 0:04.92"
    assert sheet.caption(frame("yard", seconds=None)) == "yard, frame 7"


def test_a_long_name_is_cut_in_its_middle():
    name = "a-very-long-name-of-a-camera-" * 4 + "north"
    found = sheet.caption(frame(name, 123456, 7384.5))
    assert found.endswith("north, frame 123456, 2:03:04.50")
    assert found.startswith("a-very")
    assert "..." in found
    assert text_width(found, sheet.LETTERS) <= TILE


def test_times():
    assert [sheet.clock(s) for s in (0, 59.999, 61.5, 3600)] == [
        "0:00.00",
        "1:00.00",
        "1:01.50",
        "1:00:00.00",
    ]


def test_a_video_begins_a_row_and_long_selections_several_sheets():
    image = np.full((30, 60, 3), 200, np.uint8)
    tiles = [sheet.tile(image, frame("a", i)) for i in range(5)]
    (page,) = sheet.sheets([tiles, tiles[:4]])
    height = len(tiles[0]) + 4
    assert page.shape == (3 * height, 4 * (TILE + 4) - 4, 3)
    assert len(sheet.sheets([tiles[:4]] * 17)) == 2
    (flowing,) = sheet.sheets([tiles[:1]] * 5)
    assert flowing.shape[0] == 2 * height, "four in a row, whatever their video"
    (narrow,) = sheet.sheets([tiles[:2]])
    assert narrow.shape[1] == 2 * (TILE + 4) - 4
