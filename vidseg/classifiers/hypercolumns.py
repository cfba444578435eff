"""Hypercolumns: the resized features of chosen pixels, concatenated (Hariharan et al. 2015)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.pyramid import Float32, axis_matrix, shared
from vidseg.types import Size
from vidseg.utils.compiled import compiled


def hypercolumns(
    features: Sequence[npt.NDArray[Any]],
    target: Size,
    pixels: npt.NDArray[np.int64] | None = None,
    out: Float32 | None = None,
) -> Float32:
    """Return resized, concatenated features, one row a pixel (Hariharan et al. 2015).

    Args:
        features: ``(C_l, h_l, w_l)`` each.
        target: size that they are resized to.
        pixels: ``int64 (n,)`` flat indices into the target; None for all, row by row.
        out: where to write, or None for a new array.

    Returns:
        ``float32 (n, sum of C_l)``.

    Raises:
        ValueError: ``out`` has another shape, or a pixel is outside of the target.
    """
    count = target.height * target.width
    if pixels is None:
        pixels = np.arange(count)
    shape = (len(pixels), sum(len(level) for level in features))
    out = np.empty(shape, np.float32) if out is None else out
    # the kernel checks nothing
    if out.shape != shape or (len(pixels) and not 0 <= pixels.min() <= pixels.max() < count):
        raise ValueError(f"{out.shape} is not {shape}, or a pixel is not among {count}")
    start = 0
    for level in features:
        height, width = level.shape[-2:]
        columns = shared(level).flatten(1).T.contiguous().float().numpy()
        sides = taps(height, target.height), taps(width, target.width)
        _writer()(columns, (width, target.width), pixels, *sides, out, start)
        start += len(level)
    return out


@functools.lru_cache(maxsize=128)
def taps(source: int, target: int) -> tuple[npt.NDArray[np.int64], Float32]:
    """Return ``axis_matrix`` by its band: source indices and weights, ``(target, k)`` each."""
    matrix = axis_matrix(source, target)
    width = int((matrix > 0).sum(axis=1).max())
    start = np.minimum((matrix > 0).argmax(axis=1), source - width)
    indices = start[:, None] + np.arange(width)
    return indices, np.take_along_axis(matrix, indices, axis=1).astype(np.float32)


@functools.cache
def _writer() -> Callable[..., None]:
    # without fast math: products and sums in the order as written, on every machine
    return compiled(_write, nogil=True)


def _write(
    level: npt.NDArray[np.float32],
    shape: tuple[int, int],
    pixels: npt.NDArray[np.int64],
    rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]],
    columns: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]],
    out: npt.NDArray[np.float32],
    start: int,
) -> None:
    """Write the resized channels of ``pixels`` into ``out[:, start:]``.

    Args:
        level: ``(h * w, C)``.
        shape: w, and the width of the target.
        pixels: flat indices into the target.
        rows, columns: source indices and weights of each target row and column, ``(side, k)``.
        out: ``(n, at least start + C)``.
        start: first column to write.
    """
    width, target = shape
    y_taps, y_weights = rows
    x_taps, x_weights = columns
    channels = level.shape[1]
    for i in range(len(pixels)):
        y, x = pixels[i] // target, pixels[i] % target
        # a slice of one row, and no slice of the whole: only so is it known to be contiguous,
        # and the loops over channels become vector instructions
        sums = out[i, start : start + channels]
        for c in range(channels):
            sums[c] = np.float32(0)
        for a in range(y_taps.shape[1]):
            for b in range(x_taps.shape[1]):
                weight = y_weights[y, a] * x_weights[x, b]
                source = level[y_taps[y, a] * width + x_taps[x, b]]
                for c in range(channels):
                    sums[c] += weight * source[c]
