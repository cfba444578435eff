"""Compiled CPU kernels of the exact Hessian: banded products of two resize operators.

``T = R_a^T diag(d) R_b`` couples a pixel of level b with the few pixels of level a that share a
mask pixel with it. It is gathered over the ACTIVE mask pixels only (``d > 0``) and applied to the
features of level b at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def couple(
    weights: Float32,
    rows_a: Ints,
    taps_ya: Float32,
    columns_a: Ints,
    taps_xa: Float32,
    rows_b: Ints,
    taps_yb: Float32,
    columns_b: Ints,
    taps_xb: Float32,
    first_y: Ints,
    first_x: Ints,
    out: Float32,
) -> None:
    """Write the bands of ``T``.

    Args:
        weights: ``(H, W)``, d of each mask pixel.
        rows_a, columns_a: ``(H,)`` and ``(W,)``: first source row and column of each mask row and
            column in level a; b likewise.
        taps_ya, taps_xa: ``(H, k)`` and ``(W, k)``: their resize weights; b likewise.
        first_y, first_x: ``(h_b,)`` and ``(w_b,)``: first row and column of level a that a row or
            column of level b is coupled with.
        out: ``(h_b, w_b, k_y, k_x)``.
    """
    out[:] = 0
    for y in range(weights.shape[0]):
        for x in range(weights.shape[1]):
            d = weights[y, x]
            if d == 0:
                continue
            for p in range(taps_yb.shape[1]):
                i = rows_b[y] + p
                dy = d * taps_yb[y, p]
                if dy == 0:
                    continue
                for q in range(taps_xb.shape[1]):
                    j = columns_b[x] + q
                    dyx = dy * taps_xb[x, q]
                    if dyx == 0:
                        continue
                    for r in range(taps_ya.shape[1]):
                        row = rows_a[y] + r - first_y[i]
                        e = dyx * taps_ya[y, r]
                        if e == 0:
                            continue
                        for s in range(taps_xa.shape[1]):
                            f = e * taps_xa[x, s]
                            if f != 0:
                                out[i, j, row, columns_a[x] + s - first_x[j]] += f


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def spread(
    bands: Float32, first_y: Ints, first_x: Ints, width: int, features: Float32, out: Float32
) -> npt.NDArray[np.bool_]:
    """Write ``T f`` and return which pixels of level a it reaches.

    Args:
        bands: ``(h_b, w_b, k_y, k_x)`` from :func:`couple`.
        first_y, first_x: as there.
        width: columns of level a.
        features: ``(h_b * w_b, C_b)``.
        out: ``(h_a * w_a, C_b)``; rows that are not reached keep what they held.
    """
    touched = np.zeros(out.shape[0], np.bool_)
    columns = bands.shape[1]
    channels = features.shape[1]
    for i in range(bands.shape[0]):
        for j in range(columns):
            source = features[i * columns + j]
            for r in range(bands.shape[2]):
                for s in range(bands.shape[3]):
                    weight = bands[i, j, r, s]
                    if weight == 0:
                        continue
                    pixel = (first_y[i] + r) * width + first_x[j] + s
                    target = out[pixel]
                    if touched[pixel]:
                        for c in range(channels):
                            target[c] += weight * source[c]
                    else:
                        touched[pixel] = True
                        for c in range(channels):
                            target[c] = weight * source[c]
    return touched
