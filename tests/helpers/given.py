"""A data set in memory: what the tests of writers convert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.helpers.trees import picture
from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.types import Image, Labels, Size, VideoInfo


@dataclass(frozen=True)
class GivenVideo:
    """A video whose frames with labels are given; its pictures are generated."""

    name: str
    size: Size
    length: int
    truth: Mapping[int, Labels]
    group: str = ""
    fps: float | None = None
    image_key: str = "images"
    label_key: str = "labels"
    seed: int = 0

    def probe(self) -> VideoInfo:
        return VideoInfo(self.length, self.size, self.fps)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        return (picture(index, (self.size.width, self.size.height), self.seed) for index in indices)

    def labelled(self) -> list[int]:
        return sorted(self.truth)

    def labels(self, index: int, source: str = "truth") -> Labels:
        return self.truth[index]


@dataclass(frozen=True)
class Given:
    """A data set of given videos."""

    members_given: Sequence[Any]
    name: str = "given"
    contract: int = field(default=1)

    def videos(self) -> list[Any]:
        return list(self.members_given)


def given(truth: Mapping[int, Labels], length: int | None = None, name: str = "walk") -> Given:
    """Return a data set of one video whose group is its own."""
    size = next(iter(truth.values())).size
    count = length or max(truth) + 1
    return Given([GivenVideo(name, size, count, truth, name)])


def boxes(
    size: Size, rows: Sequence[Sequence[float]], *, ids: Any = None, ignored: Any = None, origin=0.0
) -> BoxLabels:
    """Return box labels: each row is left, top, width, height."""
    sides = np.array(rows, np.float64).reshape(-1, 4)
    numbers = np.arange(len(sides)) if ids is None else np.array(ids, np.int64)
    flags = np.zeros(len(sides), bool) if ignored is None else np.array(ignored, bool)
    return BoxLabels(size, sides, origin, numbers, flags)


def mask(rows: Sequence[str] | np.ndarray) -> MaskLabels:
    """Return mask labels: text with ``#`` foreground, ``?`` ignored and ``.`` background."""
    if not isinstance(rows, np.ndarray):
        values = {"#": 1, "?": 0, ".": -1}
        rows = np.array([[values[one] for one in row] for row in rows], np.int8)
    return MaskLabels(Size(*rows.shape), rows)
