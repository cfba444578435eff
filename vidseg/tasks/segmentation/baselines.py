"""What a score means: three predictors that look at no shape.

``foreground`` calls every pixel foreground; ``position`` knows only where people usually stand (the
training mean mask); ``colour`` knows only the colour of a pixel. The thresholds of the last two are
chosen on the training frames, for the best pooled training IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.tasks.segmentation.scores import iou
from vidseg.types import FloatImage, Image, Mask, Network, Scores, Size, State, TrainingSet

SHADES = 16
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Foreground:
    """Every pixel is foreground."""

    def batch_scores(self, images: Sequence[Image], size: Size, device: str = "cpu") -> Scores:
        """Return ones."""
        return np.ones((len(images), *size), np.float32)

    def export(self) -> State:
        """Return nothing: there is nothing to keep."""
        return {}


FOREGROUND = Foreground()
"""One object for all training sets: what is the same is scored once."""


@dataclass(frozen=True)
class Position:
    """The training mean mask, ``float64 (h, w)`` in 0..1, less its threshold."""

    mean: Float
    threshold: float

    def batch_scores(self, images: Sequence[Image], size: Size, device: str = "cpu") -> Scores:
        """Return the mean mask, resized, less the threshold: the same for every image."""
        scores = _resized(self.mean.astype(np.float32), size) - np.float32(self.threshold)
        return np.broadcast_to(scores, (len(images), *size))

    def export(self) -> State:
        """Return the mean mask and the threshold."""
        return {"mean": self.mean, "threshold": np.array([self.threshold])}


@dataclass(frozen=True)
class Colour:
    """P(foreground | colour) over 16 x 16 x 16 RGB cells, less its threshold."""

    share: Float
    threshold: float

    def batch_scores(self, images: Sequence[Image], size: Size, device: str = "cpu") -> Scores:
        """Return the share of foreground in each pixel's colour cell, less the threshold."""
        cells = np.stack([_cells(image, size) for image in images])
        return (self.share[cells] - self.threshold).astype(np.float32)

    def export(self) -> State:
        """Return the shares and the threshold."""
        return {"share": self.share, "threshold": np.array([self.threshold])}


def fit_baselines(train: TrainingSet) -> dict[str, Network]:
    """Return the three baselines, by name, learnt from the training frames."""
    seen, found = np.zeros(train.mask_size), np.zeros(train.mask_size)
    colours = np.zeros((2, SHADES**3))
    for ref in train.refs:
        mask = train.mask(ref)
        size = Size(*mask.shape)
        seen += _resized((mask != 0).astype(np.float32), train.mask_size)
        found += _resized((mask > 0).astype(np.float32), train.mask_size)
        cells = _cells(train.frame(ref), size)
        for row, sign in enumerate((-1, 1)):
            colours[row] += np.bincount(cells[mask == sign], minlength=SHADES**3)
    return {
        "foreground": FOREGROUND,
        "position": _position(seen, found),
        "colour": _colour(colours),
    }


def _position(seen: Float, found: Float) -> Position:
    mean = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    return Position(mean, best_threshold(mean, found, seen - found))


def _colour(counts: Float) -> Colour:
    background, foreground = counts
    prior = foreground.sum() / max(1.0, counts.sum())
    # one pseudo-pixel at the prior: a colour never seen in training is as likely as any pixel
    share = (foreground + prior) / (counts.sum(0) + 1)
    return Colour(share, best_threshold(share, foreground, background))


def best_threshold(scores: Float, positives: Float, negatives: Float) -> float:
    """Return the threshold with the best IoU, halfway between two distinct scores.

    Args:
        scores: any shape; the score of each cell.
        positives, negatives: the weight of each class in that cell.
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    ranked = scores.ravel()[order]
    tp, fp = np.cumsum(positives.ravel()[order]), np.cumsum(negatives.ravel()[order])
    last = np.append(np.diff(ranked) < 0, True)
    best = int(np.argmax(np.where(last, np.nan_to_num(iou(tp, fp, tp[-1])), -1.0)))
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] - 1e-6
    return float((ranked[best] + below) / 2)


def _cells(image: Image | FloatImage, size: Size) -> npt.NDArray[np.intp]:
    shades = _resized(image, size).clip(0, 255).astype(np.intp) * SHADES // 256
    return (shades[..., 0] * SHADES + shades[..., 1]) * SHADES + shades[..., 2]


def _resized(array: npt.NDArray[Any] | Mask, size: Size) -> npt.NDArray[Any]:
    import cv2

    if array.shape[:2] == tuple(size):
        return array
    return np.asarray(cv2.resize(array, (size.width, size.height), interpolation=cv2.INTER_AREA))
