"""Scores per group as an array; groups with a hole are named and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vidseg.errors import DataError
from vidseg.stats.signflip import Array


def complete_groups(
    scores: Mapping[str, Sequence[Any]], shape: tuple[int, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], Array]:
    """Return the groups used, the groups left out, and ``float64 (groups used, *shape)``.

    Args:
        scores: per group, numbers of ``shape``, nested; None, nan and infinite are undefined.
        shape: what each group must have.

    Raises:
        DataError: a group has another shape, or fewer than two groups are complete.
    """
    used: dict[str, Array] = {}
    for group, row in sorted(scores.items()):
        values = np.asarray(row, np.float64)
        if values.shape != shape:
            raise DataError(f"scores of shape {values.shape}, not {shape}", where=group)
        if np.isfinite(values).all():
            used[group] = values
    if len(used) < 2:
        raise DataError(
            f"{len(used)} of {len(scores)} groups have all their scores, two are needed",
            hint="add groups or drop the setting that some of them lack",
        )
    return tuple(used), tuple(sorted(scores.keys() - used.keys())), np.stack(list(used.values()))
