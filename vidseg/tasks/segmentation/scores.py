"""Scores from counts: the only place where one is computed, so that each has one convention.

Definitions are DESIGN section 2's; ``gscore`` is precision x recall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SCORES = ("iou", "gscore", "accuracy", "precision", "recall", "f1", "biased_accuracy", "ap")
Float = npt.NDArray[np.float64]
Table = npt.NDArray[np.int64]


def iou(tp: npt.ArrayLike, fp: npt.ArrayLike, positives: npt.ArrayLike) -> Float:
    """Return TP / (positives + FP), ``float64`` of the broadcast shape.

    Nan without a positive, whatever was found: a video without foreground has no IoU. With
    positives and nothing found it is 0.
    """
    total = np.add(positives, fp, dtype=np.float64)
    undefined = np.full(np.broadcast_shapes(np.shape(tp), total.shape), np.nan)
    np.divide(tp, total, out=undefined, where=np.greater(positives, 0))
    return undefined


def scores_of(counts: Table) -> dict[str, float]:
    """Return the scores of one confusion table, without ``ap``.

    Without a positive pixel IoU, gscore, precision, recall, F1 and biased accuracy are nan. With
    positives and nothing found, precision is 0 as in scikit-learn's ``zero_division=0``.
    """
    tp, fp, fn, tn, near_fp, near_tn = (float(value) for value in counts)
    total, positives = tp + fp + fn + tn, tp + fn
    accuracy = (tp + tn) / total if total else math.nan
    if not positives:
        return dict.fromkeys(SCORES[:-1], math.nan) | {"accuracy": accuracy}
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / positives
    return {
        "iou": float(iou(tp, fp, positives)),
        "gscore": precision * recall,
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "biased_accuracy": (tp + near_tn) / (positives + near_fp + near_tn),
    }


def precision_recall(histogram: Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return precision and recall at each distinct score, from the highest score down.

    Empty arrays without a positive pixel.
    """
    if not histogram[1].any():
        return np.zeros(0), np.zeros(0)
    negatives, positives = (np.cumsum(row[::-1]) for row in histogram)
    used = (histogram.sum(0) > 0)[::-1]
    tp, fp = positives[used].astype(np.float64), negatives[used].astype(np.float64)
    return tp / (tp + fp), tp / positives[-1]


def average_precision(histogram: Table) -> float:
    """Return AP = sum over scores of (R_n - R_{n-1}) P_n; nan without a positive pixel.

    Equal to scikit-learn's ``average_precision_score`` on scores of which those of one column are
    equal.

    Args:
        histogram: ``int64 (2, n)``: background and foreground, scores ascending.
    """
    precision, recall = precision_recall(histogram)
    if not len(recall):
        return math.nan
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def mean_precision_recall(
    histograms: Sequence[Table], points: int = 101
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return (recall grid, mean precision over videos at each recall), or None without positives.

    At each recall a video counts with its best precision at that recall or beyond, so videos
    scored by different folds' models are averaged without comparing their scores.
    """
    grid = np.linspace(0, 1, points)
    curves = []
    for histogram in histograms:
        precision, recall = precision_recall(histogram)
        if len(recall):
            best = np.maximum.accumulate(precision[::-1])[::-1]
            place = np.minimum(np.searchsorted(recall, grid), len(best) - 1)
            curves.append(best[place])
    return (grid, np.mean(curves, axis=0)) if curves else None
