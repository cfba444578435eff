"""Counts per frame, added up over a video; every score is made from them.

Nothing here sees more than one frame at a time: scores of a video, a group or a data set are made
from counts that were added up (:class:`VideoCounts`), so that they can be stored, merged and
recomputed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.tasks.means import mean_over_groups
from vidseg.tasks.segmentation.histogram import Accumulator, Histogram, merge
from vidseg.tasks.segmentation.scores import average_precision, scores_of
from vidseg.types import Mask, Scores

COUNTS = ("tp", "fp", "fn", "tn", "near_fp", "near_tn")
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


class Reference(NamedTuple):
    """What a frame is counted against.

    Attributes:
        mask: ``int8 (h, w)``.
        near: ``bool (h, w)``, see :func:`near_band`.
    """

    mask: Mask
    near: npt.NDArray[np.bool_]


@dataclass
class VideoCounts:
    """What one model did on one test video: everything that scores are made of.

    Attributes:
        video, group: names.
        frames: the 0-based frames that were scored.
        counts: ``int64 (len(frames), 6)`` in the order of :data:`COUNTS`.
        ranking: the scores of all frames, see :attr:`histogram`.
    """

    video: str
    group: str
    frames: list[int] = field(default_factory=list)
    counts: list[Table] = field(default_factory=list)
    ranking: Accumulator = field(default_factory=Accumulator)

    def add(self, frame: int, scores: Scores, reference: Reference, threshold: float) -> None:
        """Count one more frame."""
        self.frames.append(frame)
        self.counts.append(frame_counts(scores, reference.mask, reference.near, threshold))
        self.ranking.add(scores, reference.mask)

    @property
    def histogram(self) -> Histogram:
        """Return the scores of background and foreground, added up over the frames."""
        return self.ranking.histogram()

    @property
    def total(self) -> Table:
        """Return the counts summed over the frames, ``int64 (6,)``."""
        return np.sum(self.counts, axis=0) if self.counts else np.zeros(len(COUNTS), np.int64)

    @property
    def positives(self) -> int:
        """Return the number of foreground pixels in the truth."""
        return int(self.total[0] + self.total[2])

    @property
    def positive_share(self) -> float:
        """Return the share of foreground among the labelled pixels, 0..1."""
        return self.positives / max(1, int(self.total[:4].sum()))

    def scores(self) -> dict[str, float]:
        """Return the video's scores by the names of :data:`SCORES`."""
        return {**scores_of(self.total), "ap": average_precision(self.histogram.counts)}

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
            Accumulator(merge([self.histogram, other.histogram])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data: counts as rows, the histogram packed."""
        return {
            "video": self.video,
            "group": self.group,
            "frames": self.frames,
            "counts": [counts.tolist() for counts in self.counts],
            "ranking": self.histogram.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VideoCounts:
        """Return what :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError: the data is damaged, or of an earlier version.
        """
        made = cls(data["video"], data["group"], list(data["frames"]))
        made.counts = [np.array(row, np.int64) for row in data["counts"]]
        made.ranking = Accumulator(Histogram.from_json(data["ranking"]))
        return made


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
