"""Weighted second moments of hypercolumns, ``X^T diag(d) X``, without hypercolumns.

Its blocks are ``F_a^T (R_a^T diag(d) R_b) F_b``: the middle is banded, so that the work is that of
matrix products at the COARSER level's native size, about 1 % of the products of all pixels at mask
size. With the curvature of the loss as d, this is the exact Hessian of one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from vidseg.pyramid import Pyramid, axis_matrix
from vidseg.types import Size

if TYPE_CHECKING:
    from vidseg.classifiers.linear.exact.kernels import Float32, Ints

PIECE = 16384
"""Active pixels whose hypercolumns exist at once, on devices other than the CPU."""


def weighted_gram(
    pyramid: Pyramid, levels: list[torch.Tensor], weights: torch.Tensor
) -> torch.Tensor:
    """Return ``X^T diag(d) X`` of one frame, ``float32 (C, C)``, X its hypercolumns.

    Args:
        pyramid: sizes of levels and mask.
        levels: ``float32 (h_l * w_l, C_l)`` each.
        weights: d, ``float32 (H, W)``, 0 or more; pixels of weight 0 cost nothing.
    """
    if weights.device.type == "cpu":
        return _banded(pyramid, levels, weights)
    return gathered(pyramid, levels, weights)


def gathered(pyramid: Pyramid, levels: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """As :func:`weighted_gram`, from the hypercolumns of some thousand active pixels at a time.

    More products, but large ones: for graphics cards, and to check the banded way against.
    """
    active = weights.ravel().nonzero().ravel()
    width = sum(level.shape[1] for level in levels)
    total = torch.zeros(width, width, dtype=levels[0].dtype, device=weights.device)
    for pixels in active.split(PIECE):
        points = torch.cat(
            [
                _resized(level, size, pyramid.target, pixels)
                for level, size in zip(levels, pyramid.levels, strict=True)
            ],
            dim=1,
        )
        total += points.T @ (points * weights.ravel()[pixels, None])
    return total


def _resized(level: torch.Tensor, source: Size, target: Size, pixels: torch.Tensor) -> torch.Tensor:
    """Return resized features of ``pixels``, ``(n, C)``."""
    y, x = pixels // target.width, pixels % target.width
    rows, taps_y = _axis(source.height, target.height)
    columns, taps_x = _axis(source.width, target.width)
    move = {"device": level.device}
    points = level.new_zeros(len(pixels), level.shape[1])
    for p in range(taps_y.shape[1]):
        for q in range(taps_x.shape[1]):
            i = torch.from_numpy(rows).to(**move)[y] + p
            j = torch.from_numpy(columns).to(**move)[x] + q
            weight = (
                torch.from_numpy(taps_y[:, p].copy()).to(**move)[y]
                * torch.from_numpy(taps_x[:, q].copy()).to(**move)[x]
            )
            points += level[i * source.width + j] * weight.to(level.dtype)[:, None]
    return points


def _banded(pyramid: Pyramid, levels: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    starts = np.cumsum([0, *(level.shape[1] for level in levels)])
    total = torch.empty(int(starts[-1]), int(starts[-1]), dtype=levels[0].dtype)
    d = np.ascontiguousarray(weights.numpy(), np.float32)
    for a in range(len(levels)):
        for b in range(len(levels)):
            coarser = (len(levels[a]), a) < (len(levels[b]), b)
            if not (coarser or a == b):
                continue
            block = _block(pyramid, a, b, levels, d)
            total[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = block
            total[starts[b] : starts[b + 1], starts[a] : starts[a + 1]] = block.T
    return total


def _block(
    pyramid: Pyramid, a: int, b: int, levels: list[torch.Tensor], weights: Float32
) -> torch.Tensor:
    """Return ``F_a^T (R_a^T diag(d) R_b) F_b``, ``(C_a, C_b)``; a is not finer than b."""
    from vidseg.classifiers.linear.exact.kernels import couple, spread

    source_a, source_b, target = pyramid.levels[a], pyramid.levels[b], pyramid.target
    y = _coupling(source_a.height, source_b.height, target.height)
    x = _coupling(source_a.width, source_b.width, target.width)
    bands = np.empty((*source_b, y.width, x.width), np.float32)
    couple(weights, *y.a, *x.a, *y.b, *x.b, y.first, x.first, bands)
    reached = torch.empty(len(levels[a]), levels[b].shape[1])
    touched = spread(bands, y.first, x.first, source_a.width, levels[b].numpy(), reached.numpy())
    if touched.all():
        return levels[a].T @ reached
    rows = torch.from_numpy(touched.nonzero()[0])
    return levels[a][rows].T @ reached[rows]


@dataclass(frozen=True, slots=True, eq=False)
class _Coupling:
    """How two levels meet on one axis of the mask.

    Attributes:
        a, b: first source index ``int64 (target,)`` and taps ``float32 (target, k)`` of each.
        first: ``int64 (source_b,)``: first index of a that an index of b is coupled with.
        width: the largest number of indices of a that an index of b is coupled with.
    """

    a: tuple[Ints, Float32]
    b: tuple[Ints, Float32]
    first: Ints
    width: int


@lru_cache(maxsize=256)
def _coupling(source_a: int, source_b: int, target: int) -> _Coupling:
    together = (axis_matrix(source_a, target) > 0).astype(np.float32).T @ (
        axis_matrix(source_b, target) > 0
    )
    met = together > 0
    first = met.argmax(axis=0)
    last = source_a - 1 - met[::-1].argmax(axis=0)
    width = int((last - first).max()) + 1
    return _Coupling(_axis(source_a, target), _axis(source_b, target), first, width)


@lru_cache(maxsize=256)
def _axis(source: int, target: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return first source index ``(target,)`` and taps ``(target, k)`` of each target index."""
    matrix = axis_matrix(source, target)
    width = int((matrix > 0).sum(axis=1).max())
    first = np.minimum((matrix > 0).argmax(axis=1), source - width)
    taps = np.take_along_axis(matrix, first[:, None] + np.arange(width), axis=1)
    return first.astype(np.int64), taps.astype(np.float32)
