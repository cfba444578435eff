"""The frames between boxes that are known, and where trackers say that the object was in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.trackers.boxes import Boxes
from vidseg.types import Box


@dataclass(frozen=True)
class Gap:
    """Frames of one object to fill, with the known box at one end or at both.

    Attributes:
        track: of the object.
        first, last: frames, both included; ``start`` is in ``first``, ``end`` in ``last``.
        start: the known box of ``first``; None: the object is followed back from ``end``.
        end: the known box of ``last``; None: the object is followed on from ``start``.
    """

    track: int
    first: int
    last: int
    start: Box | None
    end: Box | None

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def filled(self) -> slice:
        """Rows of the frames to fill, of arrays with a row for each frame of the gap."""
        return slice(self.start is not None, len(self) - (self.end is not None))

    @property
    def frames(self) -> range:
        """The frames to fill."""
        return range(self.first, self.last + 1)[self.filled]


class Runs(NamedTuple):
    """What trackers found in a gap of ``n`` frames, its ends included.

    Attributes:
        forward: ``float64 (n, 4)``, from the first frame on.
        backward: ``float64 (n, 4)``, from the last frame back.
        confidence: ``float64 (2, n)`` of both runs: 1 or more where the object looks as before, 0
            where it is lost.
    """

    forward: Boxes
    backward: Boxes
    confidence: npt.NDArray[np.float64]


def gaps_of(track: int, keys: Mapping[int, Box | None]) -> list[Gap]:
    """Return the gaps between the known boxes of one object, in the order of time.

    Args:
        track: of the object.
        keys: by frame; None: the object is gone from this frame on, until its next box. Nothing
            follows the last box.
    """
    frames = sorted(keys)
    found = []
    for first, then in pairwise(frames):
        start, end = keys[first], keys[then]
        if start is None:
            continue
        last = then if end is not None else then - 1
        if len(range(first, last)) > (end is not None):
            found.append(Gap(track, first, last, start, end))
    return found
