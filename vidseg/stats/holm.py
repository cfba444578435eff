"""Holm's correction: many comparisons, one chance of a false alarm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidseg.errors import UsageError


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given.

    Claims whose adjusted p is at most ``alpha`` hold together with a family-wise error rate of at
    most ``alpha``, whatever the dependence (Holm 1979). A nan (a comparison that could not be
    made) stays nan and does not count.

    Args:
        p_values: each in 0..1 or nan.

    Raises:
        UsageError: a value is outside 0..1.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise UsageError(f"p values lie between 0 and 1, not {list(p_values)}")
    order = known[np.argsort(values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return [float(value) for value in adjusted]
