"""A weighted sample of pixels: the few among millions that shape the objective near a point.

Pixels with curved loss, and those nearest to becoming so, are drawn at a high rate; all others at a
low one. Each drawn pixel counts by the inverse of its rate, so that sums over the sample estimate
sums over all pixels (Horvitz & Thompson 1952). Only these pixels ever become hypercolumns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vidseg.classifiers.hypercolumns import taps
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Pyramid

FAR = 0.2
"""Share of a sample that is drawn from the pixels far from the margin."""

REACH = 0.1
"""Pixels closer than this to curved loss count as near, whatever their number."""

ALWAYS = 0.99
"""Pixels drawn at this rate or a higher one count as always drawn."""

GROWTH = 2
"""A sample may exceed its aim by this factor before it is thinned."""


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """How pixels are drawn.

    Attributes:
        reach: pixels whose distance to curved loss is at most this are near.
        near, far: rates, above 0 and up to 1.
        always: ``int64 (k,)`` ascending: places of pixels that are drawn for certain.
    """

    reach: float
    near: float
    far: float
    always: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def uniform(cls, aim: int, pixels: float) -> Pick:
        """Return the pick that draws ``aim`` of all ``pixels`` with one rate."""
        rate = min(1.0, aim / max(1.0, pixels))
        return cls(np.inf, rate, rate)

    def draw(
        self,
        distances: torch.Tensor,
        costs: torch.Tensor,
        chance: torch.Tensor,
        always: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return flat indices and rates of the drawn pixels.

        Args:
            distances: of the pixels to curved loss.
            costs: C_i; pixels without cost are never drawn.
            chance: uniform in 0..1, one for each pixel.
            always: flat indices of those that are drawn for certain.
        """
        rates = torch.where(distances <= self.reach, self.near, self.far).ravel()
        rates[always] = 1.0
        drawn = ((chance < rates) & (costs.ravel() > 0)).nonzero()[:, 0]
        return drawn, rates[drawn]


@dataclass(frozen=True, eq=False)
class Sample:
    """Pixels as standardised hypercolumns.

    Attributes:
        points: ``float32 (m, P)``; the last column is the bias feature where there is one.
        labels: ``float32 (m,)``, -1 or +1.
        costs: ``float32 (m,)``: C_i over rate.
        rates: ``float32 (m,)``.
        places: ``int64 (m,)``: a number of its own for each pixel of the training set.
    """

    points: torch.Tensor
    labels: torch.Tensor
    costs: torch.Tensor
    rates: torch.Tensor
    places: torch.Tensor

    @property
    def columns(self) -> tuple[torch.Tensor, ...]:
        """All arrays."""
        return self.points, self.labels, self.costs, self.rates, self.places

    def rows(self, which: torch.Tensor) -> Sample:
        """Return some rows as they are."""
        return Sample(*(column[which] for column in self.columns))

    def part(self, rows: torch.Tensor, scale: float) -> Sample:
        """Return some rows, whose rates are multiplied by ``scale``, 0..1."""
        some = self.rows(rows)
        return replace(some, costs=some.costs / scale, rates=some.rates * scale)

    def thinned(self, aim: int, seed: int) -> Sample:
        """Return at most ``GROWTH * aim`` rows, drawn evenly."""
        limit, count = GROWTH * aim, len(self.labels)
        if count <= limit:
            return self
        rows = np.random.default_rng(seed).choice(count, limit, replace=False)
        rows.sort()
        return self.part(torch.from_numpy(rows).to(self.labels.device), limit / count)

    def following(self, scores: torch.Tensor, loss: Loss, aim: int) -> Pick:
        """Return the pick for the point where the sample has ``scores``.

        The near pixels are as many of the closest as fit; their number among ALL pixels is
        estimated from the sample.
        """
        distances, order = loss.distance(scores, self.labels).sort()
        counts = (1 / self.rates.double())[order].cumsum(0)
        total, wanted = float(counts[-1]), aim * (1 - FAR)
        place = int(torch.searchsorted(counts, wanted).clamp(max=len(counts) - 1))
        reach = max(REACH, float(distances[place]))
        last = int(torch.searchsorted(distances, reach, right=True)) - 1
        near = float(counts[last]) if last >= 0 else 0.0
        return Pick(
            reach,
            min(1.0, wanted / max(1.0, near)),
            min(1.0, aim * FAR / max(1.0, total - near)),
        )


class RowBuffer:
    """Memory for the rows of one sample after another: fresh pages cost as much as filling them.

    Args:
        width: of a row.
        device: of the rows.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        self._memory, self._used = torch.empty(0, width, device=device), 0

    def clear(self, capacity: int) -> None:
        """Forget all rows; what was drawn before is overwritten. Reserve ``capacity`` rows."""
        self._used = 0
        if len(self._memory) < capacity:
            self._memory = self._memory.new_empty(capacity, self._memory.shape[1])

    def more(self, count: int) -> torch.Tensor:
        """Return the next ``count`` rows, to be filled."""
        start, self._used = self._used, self._used + count
        if self._used > len(self._memory):
            grown = self._memory.new_empty(3 * self._used // 2, self._memory.shape[1])
            grown[:start] = self._memory[:start]
            self._memory = grown
        return self._memory[start : self._used]

    @property
    def rows(self) -> torch.Tensor:
        """All rows."""
        return self._memory[: self._used]


def fill(
    out: torch.Tensor,
    pyramid: Pyramid,
    levels: list[torch.Tensor],
    pixels: torch.Tensor,
    standard: Standardisation,
    bias: float | None,
) -> None:
    """Write standardised hypercolumns of some pixels of one or more frames into ``out``.

    Args:
        out: ``float32 (n, P)``.
        pyramid: sizes of levels and mask.
        levels: ``float32 (frames * h_l * w_l, C_l)`` each.
        pixels: ``int64 (n,)`` flat indices into the masks.
        standard: the standardisation.
        bias: the bias feature, or None.
    """
    width = sum(level.shape[1] for level in levels)
    out[:, width:] = bias or 0.0
    frame, inside = pixels // pyramid.pixels, pixels % pyramid.pixels
    y, x = inside // pyramid.target.width, inside % pyramid.target.width
    start = 0
    for level, size in zip(levels, pyramid.levels, strict=True):
        rows, taps_y = _taps(size.height, pyramid.target.height, level.device)
        columns, taps_x = _taps(size.width, pyramid.target.width, level.device)
        first = (frame * (size.height * size.width))[:, None, None]
        sources = first + rows[y][:, :, None] * size.width + columns[x][:, None, :]
        table, places = _compact(level, sources.flatten(1))
        weights = taps_y[y][:, :, None] * taps_x[x][:, None, :]
        out[:, start : start + level.shape[1]] = functional.embedding_bag(
            places,
            table,
            mode="sum",
            per_sample_weights=weights.flatten(1),
        )
        start += level.shape[1]
    mean, scale = (torch.from_numpy(v).to(out) for v in (standard.mean, standard.scale))
    out[:, :width].sub_(mean).mul_(scale)


def _compact(level: torch.Tensor, sources: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows that hold all ``sources``, one after the other in memory, and places in them.

    Levels from disk are stored channel by channel: to turn a whole one round for a few pixels
    takes longer than all the rest of a reading.
    """
    if level.is_contiguous():
        return level, sources
    needed, places = torch.unique(sources, return_inverse=True)
    return level[needed].contiguous(), places


@lru_cache(maxsize=256)
def _taps(source: int, target: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return source indices and weights of each target index, ``(target, k)`` each."""
    indices, weights = taps(source, target)
    return torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device)


def gathered(
    own: Sample, reduce: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], rank: int
) -> Sample:
    """Return the rows of all processes, the same in each of them.

    Args:
        own: this process's rows.
        reduce: sums an array over all processes.
        rank: of this process.
    """
    sizes = np.zeros(4096)
    sizes[rank] = len(own.labels)
    sizes = reduce(sizes)
    ends = np.cumsum(sizes).astype(int)
    start, total = int(ends[rank] - sizes[rank]), int(ends[-1])
    columns = []
    for column in own.columns:
        everything = np.zeros((total, *column.shape[1:]), column.cpu().numpy().dtype)
        everything[start : start + len(column)] = column.cpu().numpy()
        columns.append(torch.from_numpy(reduce(everything)).to(column))
    return Sample(*columns)
