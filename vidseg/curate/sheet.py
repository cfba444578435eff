"""The contact sheets of a selection: every chosen frame with its video, number and time."""

from __future__ import annotations

from collections.abc import Sequence

from vidseg.curate.selection import ChosenFrame
from vidseg.media.contact_sheet import COLUMNS, TILE, captioned, in_rows, text_width
from vidseg.media.resize import resize
from vidseg.types import Image, Size

LETTERS = 16
"""Height of a caption's letters, in pixels."""
ROWS = 16
"""Rows of pictures on one sheet."""
MOST_SHEETS = 10


def tile(image: Image, frame: ChosenFrame) -> Image:
    """Return a frame at the width of a sheet's picture, with its caption."""
    height, width = image.shape[:2]
    size = Size(max(1, round(height * TILE / width)), TILE)
    return captioned(resize(image, size), caption(frame), LETTERS)


def caption(frame: ChosenFrame) -> str:
    """Return ``VIDEO, frame 123, 0:04.92``; a long name is cut in its middle."""
    rest = f", frame {frame.index}"
    if frame.seconds is not None:
        rest += f", {clock(frame.seconds)}"
    name = frame.video
    kept = len(name)
    while kept > 8 and text_width(name + rest, LETTERS) > TILE - 8:
        kept -= 1
        half = kept // 2
        name = f"{frame.video[: kept - half]}...{frame.video[len(frame.video) - half :]}"
    return name + rest


def clock(seconds: float) -> str:
    """Return a time as ``0:04.92`` or ``1:02:03.50``."""
    hundredths = round(100 * seconds)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{rest // 100:02d}.{rest % 100:02d}"


def sheets(tiles: Sequence[Sequence[Image]]) -> list[Image]:
    """Return contact sheets, ``uint8 (H, W, 3)`` each.

    A video begins a row, but where that would leave a third of the sheet empty.

    Args:
        tiles: of each video; at least one in all.
    """
    together = [one for own in tiles for one in own]
    columns = min(COLUMNS, max(map(len, tiles)))
    rows = [own[at : at + columns] for own in tiles for at in range(0, len(own), columns)]
    if 3 * len(together) < 2 * columns * len(rows) or columns == 1:
        columns = min(COLUMNS, len(together))
        rows = [together[at : at + columns] for at in range(0, len(together), columns)]
    pages = [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)]
    return [_page(page, columns) for page in pages]


def _page(rows: Sequence[Sequence[Image]], columns: int) -> Image:
    import numpy as np

    return np.vstack([in_rows(row, columns) for row in rows])
