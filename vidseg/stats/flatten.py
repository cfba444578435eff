"""Where a gain curve flattens: the number of frames from which less than delta remains, bounded.

On the power law ``s(n) = a - b n^-c`` a candidate ``n`` says that exactly delta remains there:
``b (n^-c - N^-c) = delta``, ``N`` the largest count. That leaves ``c`` free. Each candidate is
tested with sign-flipped score contributions (Hemerik, Goeman and Finos 2020): ``c`` is fitted under
the hypothesis, and each group's residuals are projected on the direction in which the curve leaves
it, made orthogonal to the direction of ``c``, so that to first order ``c``'s error does not matter.
The candidates that the test keeps are the interval.
"""

from __future__ import annotations

import numpy as np

from vidseg.stats.signflip import Array, Interval, sign_flips

CANDIDATES = 65
STEP = 1e-3
"""Relative step of ``c`` for the derivative along the hypothesis."""


def flattening_point(places: Array, b: float, c: float, delta: float) -> int:
    """Return the smallest whole number of frames whose remaining gain is below ``delta``."""
    whole = np.arange(int(places[0]), int(places[-1]) + 1, dtype=np.float64)
    return int(whole[np.argmax(b * (whole**-c - places[-1] ** -c) < delta)])


def flattening_interval(
    places: Array, table: Array, exponents: Array, delta: float, level: float, point: int
) -> Interval:
    """Return the interval of the flattening point, whole numbers, ``point`` always inside.

    Ends are moved outwards to the next candidate; candidates grow by one factor between the
    smallest and the largest count.

    Args:
        places: ``(counts,)`` frames per video, ascending.
        table: ``(groups, counts)`` scores.
        exponents: ``(k,)`` values of ``c`` to try.
        delta: smallest gain of interest.
        level: confidence level.
        point: the estimate.
    """
    centred = table - table.mean(axis=1, keepdims=True)
    grid = np.geomspace(places[0], places[-1], CANDIDATES + 1)
    contributions = [_contributions(places, centred, n, exponents, delta) for n in grid[:-1]]
    found = [test.interval(level) for test in sign_flips(np.stack(contributions, axis=1))]
    kept = np.flatnonzero([0.0 in entry for entry in found])
    low = high = float(point)
    if kept.size:
        below = np.floor(grid[kept[0] - 1]) + 1 if kept[0] else places[0]
        above = min(np.floor(grid[kept[-1] + 1]) + 1, places[-1])
        low, high = min(low, float(below)), max(high, float(above))
    return Interval(low, high, found[0].level, found[0].bounded)


def _contributions(
    places: Array, centred: Array, n: float, exponents: Array, delta: float
) -> Array:
    """Return each group's score contribution ``(groups,)`` to "delta remains at ``n``"."""
    distance = ((_curves(places, n, exponents, delta) - centred.mean(axis=0)) ** 2).sum(axis=1)
    c = exponents[np.argmin(distance)]
    back, here, forth = _curves(places, n, c * np.array([1 - STEP, 1, 1 + STEP]), delta)
    along = forth - back
    leaving = here - along * (along @ here) / (along @ along)
    return np.asarray((centred - here) @ leaving / np.linalg.norm(leaving))


def _curves(places: Array, n: float, exponents: Array, delta: float) -> Array:
    """Return the centred curves on which delta remains at ``n``, ``(exponents, counts)``."""
    fall = (n / places[-1]) ** -exponents - 1
    curves = -((places / places[-1]) ** -exponents[:, None]) * (delta / fall)[:, None]
    return np.asarray(curves - curves.mean(axis=1, keepdims=True))
