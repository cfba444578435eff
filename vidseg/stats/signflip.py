"""The exact sign-flip test of a mean, and the interval that inverts it.

Model: the difference of group ``i`` is ``theta + e_i``, the ``e_i`` independent and each symmetric
about 0 (not normal, not of equal variance). Under the hypothesis ``theta = t`` every sign of every
``d_i - t`` is equally likely, so the mean is compared with all ``2^g`` sign patterns (Fisher 1935).

Derivation. Let ``x_i = d_i - t`` and ``A`` the groups whose sign is flipped. The flipped sum is
``S - 2 X_A``, which reaches ``S > 0`` iff ``X_A <= 0``, that is iff the mean of ``d`` over ``A`` is
at most ``t``; it reaches ``-S`` iff the same holds for the complement. Hence, for any ``t``,

    p(t) = min(1, 2 (1 + min(#{m_A <= t}, #{m_A >= t})) / 2^g)

over the ``2^g - 1`` means ``m_A`` of the non-empty subsets. So ``t`` is kept at level ``1 - alpha``
iff ``m_(K) <= t <= m_(2^g - K)`` with ``K = floor(alpha 2^(g-1))``: the interval's ends are order
statistics of the subset means (Hartigan 1969, "Using subsample values as typical values"), and its
coverage is exactly ``1 - 2K / 2^g`` for continuous symmetric errors. ``K = 0`` means unbounded.

Up to :data:`EXACT_UP_TO` groups all subsets are enumerated. Above, :data:`DRAWS` distinct subsets
are drawn once, with a fixed seed: the same formulas with ``2^g`` replaced by ``DRAWS + 1`` stay
valid (Hartigan 1969; Phipson and Smyth 2010), the ends move by about 1 % of a standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError, UsageError

EXACT_UP_TO = 16
"""Groups up to which all ``2^g - 1`` subsets are enumerated."""
DRAWS = (1 << EXACT_UP_TO) - 1
"""Subsets drawn when there are more groups."""
TIE = 1e-12
"""Relative size of a difference that counts as rounding error."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval, closed.

    Attributes:
        low, high: its ends, in the unit of the scores; infinite only where no bounded interval
            exists at any level (one group).
        level: the level attained, at least the level asked when ``bounded``; otherwise the widest
            that a bounded interval can have, ``1 - 2 / 2^g`` (0 for one group).
        bounded: whether a bounded interval exists at the level asked.
    """

    low: float
    high: float
    level: float
    bounded: bool

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class SignFlip:
    """Subset means of one sample of differences: its test and its intervals.

    Attributes:
        means: ``float64 (2^g - 1,)`` or ``(DRAWS,)``, ascending: means of the non-empty subsets.
        groups: number of differences.
        tie: differences up to this one (absolute) are rounding errors.
    """

    means: Array
    groups: int
    tie: float

    @property
    def patterns(self) -> int:
        """Number of sign patterns that the test compares, its own among them."""
        return len(self.means) + 1

    @property
    def exact(self) -> bool:
        """Whether all patterns were enumerated, none drawn."""
        return self.groups <= EXACT_UP_TO

    @property
    def p_floor(self) -> float:
        """The smallest p that the test can give: ``2 / 2^g``, or ``2 / (DRAWS + 1)``."""
        return min(1.0, 2 / self.patterns)

    def p_value(self, at: float = 0.0) -> float:
        """Return the two-sided p of the hypothesis that the mean is ``at``."""
        below = int(np.searchsorted(self.means, at + self.tie, side="right"))
        above = len(self.means) - int(np.searchsorted(self.means, at - self.tie, side="left"))
        return min(1.0, 2 * (1 + min(below, above)) / self.patterns)

    def interval(self, level: float = 0.95) -> Interval:
        """Return every mean that the two-sided test at ``1 - level`` keeps.

        Where that is the whole line (below 6 groups at 0.95), the widest bounded interval,
        smallest to largest difference, is returned with its level and ``bounded=False``.

        Raises:
            UsageError: ``level`` is not between 0 and 1.
        """
        rank = tail_rank(level, self.patterns)
        if self.groups == 1:
            return Interval(-math.inf, math.inf, 0.0, False)
        used = max(rank, 1)
        low, high = float(self.means[used - 1]), float(self.means[-used])
        return Interval(low, high, 1 - 2 * used / self.patterns, rank > 0)


def sign_flip(differences: npt.ArrayLike) -> SignFlip:
    """Prepare the sign-flip test of the mean of ``differences``, one per group.

    Args:
        differences: ``(groups,)``, finite; the groups are independent.

    Raises:
        DataError: no differences, more than one dimension, or one that is not finite.

    Example:
        >>> test = sign_flip([0.03, 0.05, 0.02, 0.06, 0.04, 0.05])
        >>> test.p_value(0.0)
        0.03125
        >>> test.interval(0.95)
        Interval(low=0.02, high=0.06, level=0.96875, bounded=True)
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise DataError(
            f"a sign-flip test needs one finite difference per group, not {values.tolist()}",
            hint="leave groups without a score out, in both arms",
        )
    return sign_flips(values[:, None])[0]


def sign_flips(table: Array) -> list[SignFlip]:
    """Return the test of each column of ``table (groups, k)``, finite: one pass for all."""
    sums, sizes = subset_sums(table)
    means = np.ascontiguousarray((sums / sizes[:, None]).T)
    ties = TIE * np.abs(table).max(axis=0)
    means[np.abs(means) <= ties[:, None]] = 0.0
    means.sort(axis=1)
    return [SignFlip(row, len(table), float(tie)) for row, tie in zip(means, ties, strict=True)]


def tail_rank(level: float, patterns: int) -> int:
    """Return ``K = floor((1 - level) patterns / 2)``: subset means cut off at each end.

    Raises:
        UsageError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"level={level} is no confidence level", hint="write 0.95 for 95 %")
    return math.floor((1 - level) * patterns / 2 + 1e-9)


def smallest_groups(level: float = 0.95, comparisons: int = 1) -> int:
    """Return the fewest groups with which a difference can be significant at ``level``.

    ``ceil(log2(2 comparisons / (1 - level)))``: 6 at 0.95; 8 where Holm guards six comparisons.

    Example:
        >>> smallest_groups(), smallest_groups(comparisons=6)
        (6, 8)
    """
    if not 0 < level < 1 or comparisons < 1:
        raise UsageError(f"level={level}, comparisons={comparisons}", hint="0 < level < 1 <= count")
    return math.ceil(math.log2(2 * comparisons / (1 - level)) - 1e-9)


def subset_sums(
    values: Array, exact_up_to: int = EXACT_UP_TO, draws: int = DRAWS
) -> tuple[Array, Array]:
    """Return the sums of the rows of ``values`` over non-empty subsets of them.

    Args:
        values: ``(groups, k)``.
        exact_up_to: groups up to which all subsets are enumerated.
        draws: distinct subsets drawn above that; always the same ones for one number of groups.

    Returns:
        Sums ``float64 (subsets, k)`` and the subsets' sizes ``float64 (subsets,)``.
    """
    padded = np.hstack([values, np.ones((len(values), 1))])
    if len(values) <= exact_up_to:
        table = np.zeros((1, padded.shape[1]))
        for row in padded:
            table = np.concatenate([table, table + row])
        table = table[1:]
    else:
        parts = np.array_split(_drawn(len(values), draws), 16)
        table = np.concatenate([part.astype(np.float64) @ padded for part in parts])
    return table[:, :-1], table[:, -1]


@lru_cache(maxsize=4)
def _drawn(groups: int, draws: int) -> npt.NDArray[np.bool_]:
    """Draw distinct non-empty subsets, ``bool (draws, groups)``."""
    rng = np.random.default_rng([groups, draws])
    packed = np.zeros((0, (groups + 7) // 8), np.uint8)
    while len(packed) < draws:
        members = rng.random((draws + draws // 8, groups)) < 0.5
        fresh = np.packbits(members[members.any(axis=1)], axis=1)
        packed = np.unique(np.concatenate([packed, fresh]), axis=0)
    chosen = np.sort(rng.choice(len(packed), draws, replace=False))
    return np.unpackbits(packed[chosen], axis=1, count=groups).astype(np.bool_)
