"""Labels to masks: the one rule for boxes and for native masks, for every data set."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.types import Labels, Mask, Size

BACKGROUND, IGNORED, FOREGROUND = -1, 0, 1

Shape = Literal["box", "ellipse"]

OVERVIEW_WIDTH = 320


def rasterise(
    labels: Labels, size: Size, *, shape: Shape = "box", where: object = "labels"
) -> Mask:
    """Draw the labels of one frame at ``size``, whatever the native size.

    Boxes: a mask pixel belongs to a box when its centre, mapped into the native frame, lies in the
    half-open box: ``left - origin <= x < left - origin + width``, the same for y. Boxes may reach
    over the border. An ignored box is 0; where boxes overlap, foreground wins over ignored.
    With ``shape="ellipse"`` a foreground box is the ellipse that touches its four sides, by the
    same rule of centres; ignored ones stay boxes.

    Masks: a mask pixel covers an area of the native mask (an exact area, in integer arithmetic, for
    shrinking and for enlarging). Where less than half of that area is valid (not 0) the pixel is 0;
    otherwise it is +1 when at least half of the *valid* area is foreground, and -1 when not.
    A mask wins where labels hold boxes as well.

    Args:
        labels: boxes or a native mask, see :class:`vidseg.types.Labels`.
        size: height and width of the result.
        shape: what is drawn of a foreground box.
        where: file, row or frame that an error names.

    Returns:
        ``int8 (height, width)`` in {-1, 0, +1}.

    Raises:
        DataError: a shape that does not fit, a number that is not finite, a negative box side,
            a mask value outside {-1, 0, +1}, or neither boxes nor a mask.
    """
    _check_size(labels.size, "the labels' size", where)
    _check_size(size, "the mask size", where)
    if labels.mask is not None:
        return resize_mask(_checked_mask(labels, where), size)
    edges, ignored = checked_boxes(labels, where)
    return draw_boxes(edges, ignored, labels.size, size, shape)


def overview_size(native: Size) -> Size:
    """Return the size at which masks are drawn to be counted: at most 320 pixels wide."""
    if native.width <= OVERVIEW_WIDTH:
        return native
    return Size(max(1, round(native.height * OVERVIEW_WIDTH / native.width)), OVERVIEW_WIDTH)


def draw_boxes(
    edges: npt.NDArray[np.float64],
    ignored: npt.NDArray[np.bool_],
    native: Size,
    size: Size,
    shape: Shape = "box",
) -> Mask:
    """Draw 0-based edges ``(n, 4)`` (left, top, right, bottom) of a frame of size ``native``."""
    height, width = size
    ys = (np.arange(height) + 0.5) * native[0] / height
    xs = (np.arange(width) + 0.5) * native[1] / width
    columns = np.searchsorted(xs, edges[:, (0, 2)], side="left")
    rows = np.searchsorted(ys, edges[:, (1, 3)], side="left")
    mask = np.full((height, width), BACKGROUND, np.int8)
    for value, chosen in ((IGNORED, ignored), (FOREGROUND, ~ignored)):
        for place in np.flatnonzero(chosen):
            part = slice(*rows[place]), slice(*columns[place])
            inside: npt.NDArray[np.bool_] | slice = slice(None)
            if shape == "ellipse" and value == FOREGROUND:
                inside = in_ellipse(edges[place], xs[part[1]], ys[part[0]])
            mask[part][inside] = value
    return mask


def in_ellipse(
    edges: npt.NDArray[np.float64], xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return which points of a grid lie in the ellipse that touches the sides of a box.

    Args:
        edges: left, top, right, bottom.
        xs, ys: coordinates of the grid's columns and rows.

    Returns:
        ``bool (len(ys), len(xs))``.
    """
    centre, radius = (edges[:2] + edges[2:]) / 2, (edges[2:] - edges[:2]) / 2
    x, y = (xs - centre[0]) / radius[0], (ys - centre[1]) / radius[1]
    return np.asarray(x[None, :] ** 2 + y[:, None] ** 2 <= 1)


def resize_mask(mask: Mask, size: Size) -> Mask:
    """Return a mask at ``size``, by exact areas; see :func:`rasterise`."""
    if mask.shape == tuple(size):
        return mask.copy()
    foreground = _area(mask == FOREGROUND, size)
    whole = mask.shape[0] * mask.shape[1]
    if mask.all():
        return np.where(2 * foreground >= whole, FOREGROUND, BACKGROUND).astype(np.int8)
    valid = _area(mask != IGNORED, size)
    drawn = np.where(2 * foreground >= valid, FOREGROUND, BACKGROUND)
    return np.where(2 * valid < whole, IGNORED, drawn).astype(np.int8)


def _area(inside: npt.NDArray[np.bool_], size: Size) -> npt.NDArray[np.int64]:
    """Return the exact area of ``inside`` under each output pixel, in units of 1 / (h w)."""
    rows = _area_along_rows(inside, size[0])
    return _area_along_rows(rows.T, size[1]).T


def _area_along_rows(values: npt.NDArray[np.generic], count: int) -> npt.NDArray[np.int64]:
    """Integrate (n, m) over ``count`` equal intervals of the first axis, in units of 1 / count."""
    length = values.shape[0]
    kind = np.int32 if values.dtype == bool else np.int64
    total = np.zeros((length + 1, values.shape[1]), kind)
    np.cumsum(values, axis=0, out=total[1:])
    whole, part = np.divmod(np.arange(count + 1) * length, count)
    upper = total[np.minimum(whole + 1, length)].astype(np.int64)
    lower = total[whole].astype(np.int64)
    integral: npt.NDArray[np.int64] = count * lower + part[:, None] * (upper - lower)
    return np.subtract(integral[1:], integral[:-1])


def _checked_mask(labels: Labels, where: object) -> Mask:
    mask = np.asarray(labels.mask)
    if mask.shape != tuple(labels.size):
        raise DataError(
            f"the mask has shape {mask.shape}, its frame has {tuple(labels.size)}", where=where
        )
    known = mask.astype(np.int8)
    odd = (known != mask) | (known < BACKGROUND) | (known > FOREGROUND)
    if odd.any():
        value = mask[odd][0]
        raise DataError(f"the mask holds {value}, only -1, 0 and +1 have a meaning", where=where)
    return known


def checked_boxes(
    labels: Labels, where: object
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return 0-based edges ``(n, 4)`` as left, top, right, bottom, and the ignored flags."""
    if labels.boxes is None:
        raise DataError("the labels hold neither boxes nor a mask", where=where)
    boxes = np.asarray(labels.boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DataError(f"boxes have shape {boxes.shape}, (n, 4) is needed", where=where)
    if not (np.isfinite(boxes).all() and np.isfinite(labels.origin)):
        row = int(np.argmin(np.isfinite(boxes).all(axis=1)))
        raise DataError(f"box {row} holds a number that is not finite", where=where)
    if (boxes[:, 2:] < 0).any():
        row = int(np.argmax((boxes[:, 2:] < 0).any(axis=1)))
        raise DataError(f"box {row} has a negative width or height", where=where)
    ignored = np.zeros(len(boxes), bool)
    if labels.ignored is not None:
        ignored = np.asarray(labels.ignored, bool)
    if ignored.shape != (len(boxes),):
        raise DataError(f"{len(boxes)} boxes, but ignored flags {ignored.shape}", where=where)
    start = boxes[:, :2] - labels.origin
    return np.concatenate([start, start + boxes[:, 2:]], axis=1), ignored


def _check_size(size: Size, what: str, where: object) -> None:
    if len(size) != 2 or not all(int(side) == side and side > 0 for side in size):
        raise DataError(f"{what} is {tuple(size)}, two positive integers are needed", where=where)
