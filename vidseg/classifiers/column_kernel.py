"""The kernel of hypercolumns: chosen pixels of one resized level, written where they are wanted."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt


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


@functools.cache
def writer() -> Callable[..., None]:
    """Return the kernel, compiled; kept on disk where a place can be written.

    Without fast math: products and sums in the order as written, on every machine.
    """
    from numba import njit

    try:
        return njit(nogil=True, cache=True)(_write)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for the cache is writable
        return njit(nogil=True)(_write)  # type: ignore[no-any-return]
