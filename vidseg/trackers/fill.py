"""From known boxes and runs of trackers to a box for each frame, and how doubtful each is."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from vidseg.trackers.boxes import Boxes, iou
from vidseg.trackers.gaps import Gap, Runs

Method = Literal["auto", "blend", "forward", "linear"]
METHODS: tuple[Method, ...] = get_args(Method)
"""``auto``: linear, moved towards ``blend`` where both runs agree. ``blend``: both runs, weighted
by the distance to their starts. ``forward``: the run from the box before. ``linear``: no tracker.
"""

DOUBTFUL = 0.7
"""A box with more doubt should be looked at. One on which both runs agree and are sure, far from
the straight line, has 0.5."""

AGREE_FROM, AGREE_OVER = 0.3, 0.4
"""Runs with an IoU of .3 count for nothing in ``auto``, from .7 on they decide."""


class Filled(NamedTuple):
    """The boxes of a gap of ``n`` frames, its ends included.

    Attributes:
        boxes: ``float64 (n, 4)``; known ones as they are.
        doubt: ``float64 (n,)`` in 0..1, 0 for known boxes: 1 - the greater of the two runs' IoU
            with the box, each times the mean confidence of the run from its start to this frame;
            with ``auto`` the mean of that and of the same for the straight line, which finds more
            of the wrong boxes. Beyond the last known box, and with ``forward``, 1 - the IoU of the
            two runs. NaN where there is no run.
    """

    boxes: Boxes
    doubt: npt.NDArray[np.float64]


def fill(gap: Gap, runs: Runs | None, method: Method = "auto") -> Filled:
    """Return the boxes of a gap.

    With one known end the object is where the run from it is; ``linear`` leaves it where it was.

    Args:
        gap: what is filled.
        runs: of :func:`vidseg.trackers.run.run_gaps`; None for ``linear`` without doubt.
        method: see :data:`METHODS`.
    """
    boxes = _filled(gap, runs, method)
    if gap.start is not None:
        boxes[0] = gap.start
    if gap.end is not None:
        boxes[-1] = gap.end
    return Filled(boxes, _doubt(gap, boxes, runs, method))


def linear(gap: Gap) -> Boxes:
    """Return boxes on straight lines between the ends, ``float64 (n, 4)``; as CVAT has it."""
    start, end = np.array(gap.start or gap.end), np.array(gap.end or gap.start)
    part = np.linspace(0.0, 1.0, len(gap))[:, None]
    return np.asarray(start + part * (end - start))


def _filled(gap: Gap, runs: Runs | None, method: Method) -> Boxes:
    if method == "linear" or runs is None:
        return linear(gap)
    if gap.end is None or (method == "forward" and gap.start is not None):
        return runs.forward.copy()
    if gap.start is None:
        return runs.backward.copy()
    part = np.linspace(0.0, 1.0, len(gap))[:, None]
    blend = (1 - part) * runs.forward + part * runs.backward
    if method == "blend":
        return np.asarray(blend)
    agreement = iou(runs.forward, runs.backward)
    weight = np.clip((agreement - AGREE_FROM) / AGREE_OVER, 0.0, 1.0)[:, None]
    straight = linear(gap)
    return np.asarray(straight + weight * (blend - straight))


def _doubt(gap: Gap, boxes: Boxes, runs: Runs | None, method: Method) -> npt.NDArray[np.float64]:
    if runs is None:
        doubt = np.full(len(gap), np.nan)
    elif gap.end is None or (method == "forward" and gap.start is not None):
        doubt = 1.0 - iou(boxes, runs.backward)  # a box does not disagree with its own run
    elif gap.start is None:
        doubt = 1.0 - iou(boxes, runs.forward)
    else:
        doubt = _apart(boxes, runs)
        if method == "auto":
            doubt = (doubt + _apart(linear(gap), runs)) / 2
    if gap.start is not None:
        doubt[0] = 0.0
    if gap.end is not None:
        doubt[-1] = 0.0
    return doubt


def _apart(boxes: Boxes, runs: Runs) -> npt.NDArray[np.float64]:
    """Return how much each box disagrees with the two runs, as far as these can be trusted."""
    forward, backward = trust(runs)
    near = forward * iou(boxes, runs.forward), backward * iou(boxes, runs.backward)
    return np.asarray(1.0 - np.maximum(*near))


def trust(runs: Runs) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean confidence of both runs from their known box on, ``float64 (n,)`` in 0..1.

    A run that was unsure on the way is less likely to be on its object, also where it is sure.
    """
    forward, backward = np.clip(runs.confidence, 0.0, 1.0)
    forward[0] = backward[-1] = 1.0
    steps = np.arange(1, len(forward) + 1)
    return np.cumsum(forward) / steps, (np.cumsum(backward[::-1]) / steps)[::-1]
