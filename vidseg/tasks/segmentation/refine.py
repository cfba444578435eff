"""From a box to the shape of what is in it: an ellipse, or grabCut on a crop of the frame.

grabCut: Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, as OpenCV has it. The paper tried
graph cuts on its boxes as well (section III.A) and found them not critical.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError, UsageError
from vidseg.tasks.base import Tally
from vidseg.tasks.segmentation.rasterise import (
    BACKGROUND,
    FOREGROUND,
    checked_boxes,
    draw_boxes,
    in_ellipse,
    rasterise,
    resize_mask,
)
from vidseg.types import Image, Labels, Mask, Size

RULE = "grabcut 1"
LONGEST = 200
"""Longest side of the crop that is cut, in pixels: at 400 a crop takes four times as long, and who
fills 400 pixels of a frame is a few dozen pixels of a mask."""
SMALLEST = 8
"""A box with a shorter side (in pixels of the frame) stays a box: too few for two colour models."""
SURROUNDINGS = 0.25
"""Background around a box that is shown to grabCut, as a share of its width, on each side."""
CORE = np.array([0.3, 0.5])
"""Width and height, as shares of the box, of the ellipse in its middle that is surely foreground.
Without it grabCut lost 30 of 48 people in eight frames of four sequences, with it 1."""
ROUNDS = 2
"""Iterations: five give the same masks (IoU of a DAVIS sequence within 0.01) and take longer."""
LEAST = 0.1
"""A cut that leaves less than this share of a box has lost its object: it failed."""


def check_boxes(labels: Labels, refine: str, where: object) -> None:
    """Refuse to refine masks.

    Raises:
        UsageError: the labels hold a mask.
    """
    if labels.mask is not None:
        raise UsageError(
            f"refine={refine} refines boxes, the training labels are masks",
            where=where,
            hint="refine=box takes them as they are, train_labels=boxes takes their boxes",
        )


def refine_rule(how: str) -> tuple[str, ...] | None:
    """Return what grabCut's masks depend on beside labels and frame; None for what needs no frame.

    Another OpenCV may cut differently.
    """
    if how != "grabcut":
        return None
    import cv2

    return RULE, cv2.__version__


def refine(
    labels: Labels, size: Size, how: str, image: Image | None, *, where: object
) -> tuple[Mask, Tally]:
    """Return the training mask of a frame, each foreground box made what ``how`` says.

    Args:
        labels: boxes; a mask as well where they stay boxes.
        size: of the mask.
        how: ``box``, ``ellipse`` or ``grabcut``.
        image: the frame for grabCut, ``uint8 (H, W, 3)`` of the labels' size; else unused.
        where: names video and frame in errors.

    Raises:
        DataError: the frame has another size than the labels say.
        UsageError: the labels hold a mask that nothing refines.
    """
    if how == "grabcut":
        assert image is not None
        return cut_out(labels, image, size, where=where)
    if how == "box":
        return rasterise(labels, size, where=where), Tally(0, 0)
    check_boxes(labels, how, where)
    return rasterise(labels, size, shape="ellipse", where=where), Tally(0, 0)


def cut_out(labels: Labels, image: Image, size: Size, *, where: object) -> tuple[Mask, Tally]:
    """Return the training mask of a frame, each foreground box cut to the object in it.

    Each box is cut on its own, on a crop of the frame that shows it with some of its surroundings.
    Pixels outside the box are background, those of a small ellipse in its middle are foreground; of
    the rest, those of the touching ellipse begin as probable foreground, the corners as probable
    background. A box that cannot be cut stays a box: it is
    smaller than 8 pixels, the frame shows nothing around it, OpenCV gives up, or less than a tenth
    of it would be left.

    Args:
        labels: boxes.
        image: the frame, ``uint8 (H, W, 3)`` of the labels' size.
        size: of the mask.
        where: names video and frame in errors.

    Returns:
        ``int8 (h, w)`` in {-1, 0, +1}, never foreground where no box is, and the tally.

    Raises:
        DataError: the frame has another size than the labels say.
        UsageError: the labels hold a mask.
    """
    check_boxes(labels, "grabcut", where)
    if image.shape[:2] != tuple(labels.size):
        raise DataError(
            f"the frame is {Size(*image.shape[:2])}, its labels are of {labels.size}", where=where
        )
    edges, ignored = checked_boxes(labels, where)
    whole = np.zeros(labels.size, np.bool_)
    stays = ignored.copy()
    boxes = failed = 0
    for place in np.flatnonzero(~ignored):
        box = _Pixels.of(edges[place], labels.size)
        if box.empty:
            continue
        boxes += 1
        if not _cut(image, edges[place], box, whole):
            stays[place] = True
            failed += 1
    return _drawn(labels, edges, ignored, stays, whole, size), Tally(boxes, failed)


class _Pixels(NamedTuple):
    """A box in whole pixels, within the frame: right and bottom are one beyond."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, edges: npt.NDArray[np.float64], size: Size) -> _Pixels:
        low, high = np.floor(edges[:2]), np.ceil(edges[2:])
        left, right = np.clip((low[0], high[0]), 0, size.width).astype(int).tolist()
        top, bottom = np.clip((low[1], high[1]), 0, size.height).astype(int).tolist()
        return cls(left, top, right, bottom)

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    @property
    def shorter(self) -> int:
        return min(self.right - self.left, self.bottom - self.top)

    def grown(self, by: int, size: Size) -> _Pixels:
        return _Pixels(
            max(0, self.left - by),
            max(0, self.top - by),
            min(size.width, self.right + by),
            min(size.height, self.bottom + by),
        )

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def _cut(
    image: Image, edges: npt.NDArray[np.float64], box: _Pixels, whole: npt.NDArray[np.bool_]
) -> bool:
    """Add the object in a box to ``whole``, ``bool (H, W)``; return False when that fails."""
    import cv2

    if box.shorter < SMALLEST:
        return False
    margin = int(np.ceil(SURROUNDINGS * (box.right - box.left)))
    seen = box.grown(margin, Size(*image.shape[:2]))
    crop = np.ascontiguousarray(image[seen.window])
    scale = min(1.0, LONGEST / max(crop.shape[:2]))
    if scale < 1:
        crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    start = _start(edges, seen, crop.shape[:2])
    if not (start == cv2.GC_BGD).any():
        return False
    state = start.copy()
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # grabCut begins with a random k-means
    try:
        cv2.grabCut(crop, state, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return False
    found = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    if found.sum() < LEAST * (start != cv2.GC_BGD).sum():
        return False
    shape = seen.right - seen.left, seen.bottom - seen.top
    full = cv2.resize(found.astype(np.float32), shape, interpolation=cv2.INTER_LINEAR)
    whole[seen.window] |= full >= 0.5
    return True


def _start(
    edges: npt.NDArray[np.float64], seen: _Pixels, shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Return grabCut's first guess for a crop, ``uint8`` of ``shape``."""
    import cv2

    height, width = shape
    xs = seen.left + (np.arange(width) + 0.5) * (seen.right - seen.left) / width
    ys = seen.top + (np.arange(height) + 0.5) * (seen.bottom - seen.top) / height
    left, top, right, bottom = edges
    inside = ((ys >= top) & (ys < bottom))[:, None] & ((xs >= left) & (xs < right))[None, :]
    centre, radius = (edges[:2] + edges[2:]) / 2, (edges[2:] - edges[:2]) / 2 * CORE
    core = np.concatenate([centre - radius, centre + radius])
    guess = np.where(in_ellipse(edges, xs, ys), cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    guess = np.where(in_ellipse(core, xs, ys), cv2.GC_FGD, guess)
    return np.where(inside, guess, cv2.GC_BGD).astype(np.uint8)


def _drawn(
    labels: Labels,
    edges: npt.NDArray[np.float64],
    ignored: npt.NDArray[np.bool_],
    stays: npt.NDArray[np.bool_],
    whole: npt.NDArray[np.bool_],
    size: Size,
) -> Mask:
    """Draw what was cut at ``size``, within its boxes, and the boxes that stay as boxes."""
    mask = draw_boxes(edges[stays], ignored[stays], labels.size, size)
    boxes = draw_boxes(edges, ignored, labels.size, size)
    cut = resize_mask(np.where(whole, FOREGROUND, BACKGROUND).astype(np.int8), size)
    mask[(cut == FOREGROUND) & (boxes == FOREGROUND)] = FOREGROUND
    return mask
