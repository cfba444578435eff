"""Mask files: grey values, palette indices or colours, as they are stored.

What they mean is for the data set to say. EXIF orientation is applied, as to frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.media.image_folder import OpenedPicture
from vidseg.types import Size

_GREY = frozenset({"1", "L", "LA", "I;16", "I;16L", "I;16B", "I"})
_COLOUR = frozenset({"RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_MOST = 65535
_ORIENTATION = 0x0112

Values = npt.NDArray[np.uint16]
Colours = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class MaskFile:
    """One decoded mask file.

    Attributes:
        size: of the picture, upright.
        values: ``uint16 (H, W)`` grey values or palette indices; None in a colour picture.
        colours: ``uint32 (H, W)`` 0xRRGGBB of a colour picture, else None.
        palette: ``uint32 (n,)`` colour of each index, where values are indices.
        alpha: ``uint8 (H, W)`` where the file has it.
        lossy: whether the format changes values, as JPEG does.
        orientation: EXIF's, 1 to 8; 1 is upright.
    """

    size: Size
    values: Values | None
    colours: Colours | None
    palette: Colours | None
    alpha: npt.NDArray[np.uint8] | None
    lossy: bool
    orientation: int

    def all_colours(self) -> Colours:
        """Return ``uint32 (H, W)`` 0xRRGGBB, whatever the file holds; 16-bit values are cut."""
        if self.colours is not None:
            return self.colours
        assert self.values is not None
        if self.palette is not None:
            padded = np.zeros(256, np.uint32)
            padded[: len(self.palette)] = self.palette[:256]
            return padded[self.values]
        return self.values.clip(max=255).astype(np.uint32) * 0x010101


def decode_mask(file: Path) -> MaskFile:
    """Decode a mask file completely. A colour picture whose channels are equal is grey.

    Raises:
        DataError: missing, truncated, corrupt, not an image, or values that are no integers of 16
            bits.
    """
    from PIL import ImageOps

    with OpenedPicture(file) as picture:
        picture.load()
        lossy = picture.format in ("JPEG", "MPO")
        orientation = int(picture.getexif().get(_ORIENTATION, 1))
        ImageOps.exif_transpose(picture, in_place=True)
        mode = picture.mode
        if mode != "P" and mode not in _GREY | _COLOUR:
            raise DataError(f"is of kind {mode!r}, up to 16 bits of grey are read", where=file)
        palette = _palette_of(picture.getpalette("RGB")) if mode == "P" else None
        alpha = picture.getchannel("A") if mode in ("LA", "RGBA") else None
        plain = {"1": "L", "LA": "L", "CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "RGBA": "RGB"}
        array = np.array(picture.convert(plain[mode]) if mode in plain else picture)
        found_alpha = None if alpha is None else np.array(alpha)
    colours = None
    if array.ndim == 3:
        red, green, blue = (array[..., channel] for channel in range(3))
        if ((red == green) & (green == blue)).all():
            array = red
        else:
            wide = array.astype(np.uint32)
            colours = _packed(wide)
    elif mode == "I" and ((array < 0) | (array > _MOST)).any():
        raise DataError("has values beyond 65535", where=file)
    values = None if colours is not None else np.ascontiguousarray(array).astype(np.uint16)
    size = Size(*array.shape[:2])
    return MaskFile(size, values, colours, palette, found_alpha, lossy, orientation)


def _palette_of(levels: list[int] | None) -> Colours:
    return _packed(np.array(levels or [], np.uint32).reshape(-1, 3))


def _packed(levels: Colours) -> Colours:
    """Return ``uint32 (...)`` 0xRRGGBB of ``uint32 (..., 3)`` levels."""
    packed: Colours = levels @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return packed


def colour_name(colour: int) -> str:
    """Return a colour as ``#rrggbb``.

    >>> colour_name(0xFF8000)
    '#ff8000'
    """
    return f"#{colour:06x}"
