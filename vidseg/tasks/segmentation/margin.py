"""How far from an object a negative pixel is easy: half the median height of objects."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import numpy as np

from vidseg.tasks.base import ScoredVideo

FRAMES = 32
"""Evenly spaced labelled frames of each video that are looked at."""


def box_margin(videos: Iterable[ScoredVideo]) -> float:
    """Return half the median height of an object, in mask pixels; 0 without any object.

    Heights of boxes that count as foreground, or of the connected parts of a native mask, in up
    to 32 evenly spaced labelled frames of each video.
    """
    heights: list[float] = []
    for video in videos:
        labelled = video.labelled
        count = min(len(labelled), FRAMES)
        for place in np.linspace(0, len(labelled) - 1, count).astype(int):
            heights.extend(_heights(video, labelled[int(place)]))
    return statistics.median(heights) / 2 if heights else 0.0


def _heights(video: ScoredVideo, index: int) -> list[float]:
    labels = video.video.labels(index)
    if labels.boxes is not None:
        scale = video.mask_size.height / labels.size.height
        counted = np.ones(len(labels.boxes), bool) if labels.ignored is None else ~labels.ignored
        return [float(height) * scale for height in labels.boxes[counted, 3]]
    import cv2

    mask = (video.mask(index) > 0).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask)
    return [float(height) for height in parts[1:, cv2.CC_STAT_HEIGHT]]
