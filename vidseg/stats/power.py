"""How many groups would tell: the size of a study that can reach a verdict."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError
from vidseg.stats.signflip import EXACT_UP_TO, smallest_groups, tail_rank

CERTAIN = 10.0
"""delta / standard deviation beyond which a handful of groups always tells."""
MOST = 1_000_000
"""Groups that are searched for; where it takes more, this number is returned."""


def groups_needed(
    differences: npt.ArrayLike,
    delta: float,
    power: float = 0.8,
    level: float = 0.95,
    comparisons: int = 1,
) -> int | None:
    """Return how many groups like these would tell, whichever is true.

    "Would tell" means both: if the true difference is ``delta``, the test finds a difference, and
    if it is 0, equivalence within ``delta`` is shown; each with probability ``power`` at least.
    The power is that of the t test (noncentral t) run at the sign-flip test's attainable level for
    that number of groups; simulations of the sign-flip test itself agree to one or two groups
    (docs/statistics.md). The spread is taken from the differences, so with few groups the answer
    is rough: from 4 groups the standard deviation is known to a factor of about 2.

    Args:
        differences: ``(groups,)``, finite, of the unit of ``delta``.
        delta: smallest effect of interest, above 0.
        power: 0..1, exclusive.
        level: confidence level of the verdict.
        comparisons: how many Holm's correction guards together: a difference has to pass at
            ``(1 - level) / comparisons``, as the first of them does. Equivalence is not adjusted.

    Returns:
        The number of groups in all, at least :func:`smallest_groups`, at most :data:`MOST`; None
        where the spread is unknown (fewer than two groups).

    Raises:
        UsageError: ``delta``, ``power``, ``level`` or ``comparisons`` out of range.

    Example:
        >>> groups_needed([0.03, 0.01, 0.02, 0.04], delta=0.02)
        7
    """
    floor = smallest_groups(level, comparisons)
    spread = _spread(differences, delta, power)
    if spread is None or spread * CERTAIN <= delta:
        return None if spread is None else floor
    groups = max(floor, _normal_size(delta / spread, power, level, comparisons) - 2)
    while groups < MOST and _power(groups, delta / spread, level, comparisons) < power:
        groups += 1
    return groups


def groups_to_show(
    differences: npt.ArrayLike,
    effect: float,
    power: float = 0.8,
    level: float = 0.95,
    comparisons: int = 1,
) -> int | None:
    """Return how many groups like these show that a mean is above a limit it lies ``effect`` over.

    Args:
        differences: ``(groups,)``, finite; only their spread is used.
        effect: distance of the true mean from the limit, above 0.
        power: probability to show it, 0..1, exclusive.
        level: confidence level of the one-sided test.
        comparisons: tests that share ``1 - level``.

    Returns:
        The number of groups in all, at least :func:`smallest_groups`, at most :data:`MOST`; None
        where the spread is unknown.

    Raises:
        UsageError: an argument out of range.

    Example:
        >>> groups_to_show([0.03, 0.01, 0.02, 0.04], effect=0.01)
        12
    """
    from scipy.special import nctdtr, ndtri, stdtrit

    floor, tail = smallest_groups(level), (1 - level) / comparisons
    spread = _spread(differences, effect, power)
    if spread is None or spread * CERTAIN <= effect:
        return None if spread is None else floor
    size = effect / spread
    groups = max(floor, _squared(float(ndtri(1 - tail) + ndtri(power)) / size) - 2)

    def found(n: int) -> float:
        return float(1 - nctdtr(n - 1, size * math.sqrt(n), stdtrit(n - 1, 1 - tail)))

    while groups < MOST and found(groups) < power:
        groups += 1
    return groups


def _spread(differences: npt.ArrayLike, effect: float, power: float) -> float | None:
    """Return the standard deviation, None with fewer than two groups; checks the others."""
    if not effect > 0 or not 0 < power < 1:
        raise UsageError(f"delta={effect}, power={power}", hint="delta > 0 and 0 < power < 1")
    values = np.asarray(differences, np.float64)
    return float(values.std(ddof=1)) if values.size > 1 else None


def _normal_size(effect: float, power: float, level: float, comparisons: int) -> int:
    """Return the size by the normal approximation: a lower bound to start from."""
    from scipy.special import ndtri

    finds = ndtri(1 - (1 - level) / 2 / comparisons) + ndtri(power)
    equates = ndtri(level) + ndtri((1 + power) / 2)
    return _squared(float(max(finds, equates)) / effect)


def _squared(ratio: float) -> int:
    """Return the square, rounded down; what lies above :data:`MOST` needs no exact number."""
    return math.floor(min(ratio, math.sqrt(MOST)) ** 2)


def _power(groups: int, effect: float, level: float, comparisons: int) -> float:
    """Return the smaller of two powers: to find ``effect``, to show equivalence where it is 0."""
    from scipy.special import nctdtr, stdtrit

    shift, freedom = effect * math.sqrt(groups), groups - 1
    tails = (1 - level) / 2 / comparisons, 1 - level
    two_sided, one_sided = (_attained(tail, groups) for tail in tails)
    finds = 1 - nctdtr(freedom, shift, stdtrit(freedom, 1 - two_sided))
    misses = nctdtr(freedom, shift, stdtrit(freedom, 1 - one_sided))
    return float(min(finds, 1 - 2 * misses))


def _attained(tail: float, groups: int) -> float:
    """Return the largest tail of the sign-flip test that does not exceed ``tail``."""
    if groups > EXACT_UP_TO:
        return tail
    patterns = 1 << groups
    return tail_rank(1 - 2 * tail, patterns) / patterns
