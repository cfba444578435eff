"""How many frames are near copies of others, by the distance between the frames that are kept.

A frame is described by the pooled features of the extractor ``filters`` at a longer side of 160
pixels, as the sampler ``k-center`` describes it. Two frames are near copies when their descriptors
are at most :data:`NEAR` apart. Measured on 12 real sequences of persons, 2253 pairs of frames 1 to
40 apart: the true masks of near copies overlap with an IoU of .84 in the mean (.93 in the median),
those of other pairs with .41.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NEAR = 0.02
"""Largest Euclidean distance of the descriptors of near copies."""
SPACINGS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
OF = 10_000
"""What shares are counted of: of 10,000 frames so many are near copies."""


@dataclass(frozen=True)
class Spacing:
    """What is left when every ``every``-th frame of each video is kept.

    Attributes:
        every: the spacing, in frames.
        kept: share of the frames that are kept, 0..1.
        near: share that is left out and is a near copy of the nearest kept frame.
        other: share that is left out and is not.
        seconds: shortest and longest time between kept frames over the videos; None where one
            does not state its frame rate.
    """

    every: int
    kept: float
    near: float
    other: float
    seconds: tuple[float, float] | None


def redundancy(descriptors: Sequence[Floats], rates: Sequence[float | None]) -> list[Spacing]:
    """Return what each spacing leaves, over all videos, up to the length of the longest.

    Args:
        descriptors: of each video, ``float64 (frames, C)``.
        rates: frames a second of each video, None where unknown.
    """
    longest = max((len(points) for points in descriptors), default=0)
    total = sum(len(points) for points in descriptors)
    found = []
    for every in (every for every in SPACINGS if every < longest):
        kept = [np.arange(0, len(points), every) for points in descriptors]
        near = sum(
            int(is_near(points, one).sum()) - len(one)
            for points, one in zip(descriptors, kept, strict=True)
        )
        count = sum(map(len, kept))
        known = [every / rate for rate in rates if rate]
        seconds = (min(known), max(known)) if len(known) == len(rates) else None
        left = total - count - near
        found.append(Spacing(every, count / total, near / total, left / total, seconds))
    return found


def is_near(points: Floats, chosen: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return of each frame whether it is a near copy of the chosen frame nearest in time.

    A chosen frame is one of itself.

    Args:
        points: descriptors, ``float64 (frames, C)``.
        chosen: frames, ascending; none makes no copies.
    """
    if len(chosen) == 0:
        return np.zeros(len(points), np.bool_)
    known, frames = np.asarray(chosen), np.arange(len(points))
    after = np.clip(np.searchsorted(known, frames), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(known[before] - frames) <= np.abs(known[after] - frames)
    nearest = np.where(earlier, known[before], known[after])
    return np.asarray(np.linalg.norm(points - points[nearest], axis=1) <= NEAR)


def covered(points: Floats, chosen: Sequence[int]) -> float:
    """Return the share of the frames that are near copies of any chosen frame, 0..1."""
    near = np.zeros(len(points), np.bool_)
    for index in chosen:
        near |= np.linalg.norm(points - points[index], axis=1) <= NEAR
    return float(near.mean()) if len(points) else 0.0
