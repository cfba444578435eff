"""Pictures with captions, laid out in rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidseg.types import Image

TILE = 400
"""Width of a picture, in pixels."""
COLUMNS = 4
_GAP = 4
_BACKGROUND = 24
_TEXT = (235, 235, 235)


def captioned(image: Image, text: str, size: int = 13) -> Image:
    """Return a picture below a strip of text.

    Args:
        image: ``uint8 (H, W, 3)``.
        text: one line; what does not fit is cut.
        size: of the letters, in pixels.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    strip = Pil.new("RGB", (image.shape[1], size + 7), (_BACKGROUND,) * 3)
    ImageDraw.Draw(strip).text((4, 2), text, fill=_TEXT, font=ImageFont.load_default(size))
    return np.vstack([np.asarray(strip, np.uint8), image])


def text_width(text: str, size: int) -> float:
    """Return the width of a caption's text, in pixels."""
    from PIL import ImageFont

    return float(ImageFont.load_default(size).getlength(text))


def in_rows(tiles: Sequence[Image], columns: int = COLUMNS) -> Image:
    """Return pictures of width :data:`TILE` side by side, ``columns`` in a row."""
    starts = range(0, len(tiles), columns)
    return np.vstack([_row(tiles[at : at + columns], columns) for at in starts])


def _row(tiles: Sequence[Image], columns: int) -> Image:
    height = max(len(tile) for tile in tiles) + _GAP
    row = np.full((height, columns * (TILE + _GAP) - _GAP, 3), _BACKGROUND, np.uint8)
    for column, tile in enumerate(tiles):
        left = column * (TILE + _GAP)
        row[: len(tile), left : left + TILE] = tile
    return row
