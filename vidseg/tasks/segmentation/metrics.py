"""Counts per frame, and every score from counts.

Nothing here sees more than one frame at a time: scores of a video, a group or a data set are made
from counts that were added up (:class:`VideoCounts`), so that they can be stored, merged and
recomputed. Definitions are DESIGN section 2's; ``gscore`` is precision x recall.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.types import Mask, Scores

COUNTS = ("tp", "fp", "fn", "tn", "near_fp", "near_tn")
SCORES = ("iou", "gscore", "accuracy", "precision", "recall", "f1", "biased_accuracy", "ap")
BINS = 1 << 16
Table = npt.NDArray[np.int64]


def frame_counts(
    scores: Scores, mask: Mask, near: npt.NDArray[np.bool_], threshold: float = 0.0
) -> Table:
    """Count one frame: ``int64 (6,)`` in the order of :data:`COUNTS`.

    Args:
        scores: ``float32 (h, w)``; above ``threshold`` is foreground.
        mask: ``int8 (h, w)``; pixels that are 0 are not counted.
        near: ``bool (h, w)``: pixels within the margin of a positive (see :func:`near_band`).
        threshold: usually 0.
    """
    predicted, positive, negative = scores > threshold, mask > 0, mask < 0
    false_alarm = predicted & negative
    tp = int(np.count_nonzero(predicted & positive))
    fp = int(np.count_nonzero(false_alarm))
    near_fp = int(np.count_nonzero(false_alarm & near))
    near_negative = int(np.count_nonzero(negative & near))
    return np.array(
        [
            tp,
            fp,
            int(np.count_nonzero(positive)) - tp,
            int(np.count_nonzero(negative)) - fp,
            near_fp,
            near_negative - near_fp,
        ],
        np.int64,
    )


def near_band(mask: Mask, margin: float) -> npt.NDArray[np.bool_]:
    """Return the pixels within ``margin`` (Euclidean, in mask pixels) of a positive pixel.

    Biased accuracy is accuracy when easy negatives are removed (paper section III.D); the paper
    does not say which are easy. Our reading: those farther than the margin from any positive.
    """
    import cv2

    if not (mask > 0).any():
        return np.zeros(mask.shape, np.bool_)
    distance = cv2.distanceTransform(
        (mask <= 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return np.asarray(distance <= margin, np.bool_)


def score_histogram(scores: Scores, mask: Mask) -> Table:
    """Return ``int64 (2, 65536)``: scores of background and of foreground pixels.

    Bins are the top 16 bits of the order-mapped float32, so they need no range and can be added
    up: bin k holds scores that differ by less than 1 % of themselves.
    """
    bits = np.ascontiguousarray(scores, np.float32).view(np.uint32)
    ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31)) >> 16
    return np.stack(
        [np.bincount(ordered[mask == sign], minlength=BINS) for sign in (-1, 1)]
    ).astype(np.int64)


def precision_recall(histogram: Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return precision and recall at each distinct score, from the highest score down.

    Empty arrays without a positive pixel.
    """
    negatives, positives = (np.cumsum(row[::-1]) for row in histogram)
    if not positives[-1]:
        return np.zeros(0), np.zeros(0)
    used = (histogram.sum(0) > 0)[::-1]
    tp, fp = positives[used].astype(np.float64), negatives[used].astype(np.float64)
    return tp / (tp + fp), tp / positives[-1]


def average_precision(histogram: Table) -> float:
    """Return AP = sum over scores of (R_n - R_{n-1}) P_n; nan without a positive pixel.

    Equal to scikit-learn's ``average_precision_score`` on scores rounded to the histogram's bins.
    """
    precision, recall = precision_recall(histogram)
    if not len(recall):
        return math.nan
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


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
        "iou": tp / (tp + fp + fn),
        "gscore": precision * recall,
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "biased_accuracy": (tp + near_tn) / (positives + near_fp + near_tn),
    }


@dataclass
class VideoCounts:
    """What one model did on one test video: everything that scores are made of.

    Attributes:
        video, group: names.
        frames: the 0-based frames that were scored.
        counts: ``int64 (len(frames), 6)`` in the order of :data:`COUNTS`.
        histogram: ``int64 (2, 65536)``, summed over the frames (see :func:`score_histogram`).
    """

    video: str
    group: str
    frames: list[int] = field(default_factory=list)
    counts: list[Table] = field(default_factory=list)
    histogram: Table = field(default_factory=lambda: np.zeros((2, BINS), np.int64))

    def add(
        self, frame: int, scores: Scores, mask: Mask, near: npt.NDArray[np.bool_], threshold: float
    ) -> None:
        """Count one more frame."""
        self.frames.append(frame)
        self.counts.append(frame_counts(scores, mask, near, threshold))
        self.histogram += score_histogram(scores, mask)

    @property
    def total(self) -> Table:
        """Return the counts summed over the frames, ``int64 (6,)``."""
        return np.sum(self.counts, axis=0) if self.counts else np.zeros(len(COUNTS), np.int64)

    @property
    def positives(self) -> int:
        """Return the number of foreground pixels in the truth."""
        return int(self.total[0] + self.total[2])

    def scores(self) -> dict[str, float]:
        """Return the video's scores by the names of :data:`SCORES`."""
        return {**scores_of(self.total), "ap": average_precision(self.histogram)}

    def frame_scores(self, name: str) -> npt.NDArray[np.float64]:
        """Return one score for each frame, ``float64 (len(frames),)``, nan where undefined."""
        return np.array([scores_of(counts)[name] for counts in self.counts])

    def merged(self, other: VideoCounts) -> VideoCounts:
        """Return the counts of both, of different frames of one video, in the order of time."""
        rows = sorted(
            zip([*self.frames, *other.frames], [*self.counts, *other.counts], strict=True),
            key=lambda row: row[0],
        )
        return VideoCounts(
            self.video,
            self.group,
            [frame for frame, _ in rows],
            [counts for _, counts in rows],
            self.histogram + other.histogram,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data: counts as rows, the histogram as (bin, background, foreground)."""
        bins = np.flatnonzero(self.histogram.sum(0))
        return {
            "video": self.video,
            "group": self.group,
            "frames": self.frames,
            "counts": [counts.tolist() for counts in self.counts],
            "histogram": [bins.tolist(), *self.histogram[:, bins].tolist()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VideoCounts:
        """Return what :meth:`to_json` wrote."""
        made = cls(data["video"], data["group"], list(data["frames"]))
        made.counts = [np.array(row, np.int64) for row in data["counts"]]
        bins, background, foreground = data["histogram"]
        made.histogram[:, bins] = [background, foreground]
        return made


def mean_over_groups(rows: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """Return the headline: the mean over groups of the mean over each group's videos.

    Args:
        rows: (group, scores of one video). Undefined (nan) scores are left out of the means; a
            score that no video defines is left out of the result.
    """
    by_group: dict[str, list[Mapping[str, float]]] = {}
    for group, scores in rows:
        by_group.setdefault(group, []).append(scores)
    result = {}
    for name in SCORES:
        means = [_mean([row[name] for row in videos]) for videos in by_group.values()]
        mean = _mean(means)
        if not math.isnan(mean):
            result[name] = mean
    return result


def summarise(videos: Sequence[VideoCounts]) -> dict[str, float]:
    """Return every headline number of a set of test videos.

    The means over groups of :data:`SCORES`; pooled IoU, gscore and accuracy from added counts; and
    gscore once more as mean precision x mean recall, since the paper's tables seem to mix the
    three (DESIGN section 2).
    """
    headline = mean_over_groups((video.group, video.scores()) for video in videos)
    pooled = scores_of(np.sum([video.total for video in videos], axis=0))
    for name in ("iou", "gscore", "accuracy"):
        if not math.isnan(pooled[name]):
            headline[f"{name}_pooled"] = pooled[name]
    if {"precision", "recall"} <= headline.keys():
        headline["gscore_of_means"] = headline["precision"] * headline["recall"]
    return headline


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


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
