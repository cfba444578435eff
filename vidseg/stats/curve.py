"""The gain curve: score against frames per video, and where it flattens.

Model of the mean over groups: ``s(n) = a - b n^-c`` (the power law of learning curves, Cortes et
al. 1994), ``0.05 <= c <= 4``, by least squares; ``a`` and ``b`` are linear given ``c``. Each group
has an ``a`` of its own, so only the shape within groups counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError
from vidseg.stats.flatten import flattening_interval, flattening_point
from vidseg.stats.signflip import Array, Interval, sign_flips, subset_sums
from vidseg.stats.table import complete_groups
from vidseg.stats.verdict import Verdict, compare

MIN_COUNTS = 5
EXPONENTS = np.geomspace(0.05, 4.0, 89)
"""Exponents tried: neighbours differ by 5 %."""
Shape = Literal["rising", "falling", "peaked", "flat", "cannot tell"]


@dataclass(frozen=True)
class GainCurve:
    """A gain curve over its groups.

    Attributes:
        counts: frames per video, ascending.
        means: mean score over the groups at each count.
        a, b, c: the fitted power law (best fit whatever ``shape`` says).
        rms: root mean square distance of the means from it, in score units.
        p_value: sign-flip test of "flat": no count differs from another in expectation.
        p_floor: its smallest possible value.
        gain: mean score at the largest minus at the smallest count.
        gain_interval: its sign-flip interval.
        shape: ``peaked`` where a mean between lies delta or more above both ends, and ``p_value``
            allows it at ``1 - level``, but the gain is not shown to be above 0; else ``flat`` where
            the gain is equivalent to 0 within delta (see :func:`vidseg.stats.compare`), unless
            means between lie delta or more off the ends; ``rising`` or ``falling`` where
            ``p_value`` allows it; else ``cannot tell``.
        remaining: sign-flip interval of the gain still to be had from each count to the largest.
        best: the count with the highest mean, the smallest of equals.
        flattens_at: smallest whole number of frames whose fitted remaining gain is below delta;
            None where the power law does not describe the means: ``rms`` above delta, or a mean of
            delta or more above the last one.
        flattens: interval of that number, ends inclusive; ``bounded`` False where there are too
            few groups for the level asked, and the level attained stands beside it.
        groups, left_out: the groups used, and those with an undefined score.
        delta, level: as asked.
    """

    counts: tuple[float, ...]
    means: tuple[float, ...]
    a: float
    b: float
    c: float
    rms: float
    p_value: float
    p_floor: float
    gain: float
    gain_interval: Interval
    shape: Shape
    remaining: tuple[Interval, ...]
    best: float
    flattens_at: int | None
    flattens: Interval | None
    groups: tuple[str, ...]
    left_out: tuple[str, ...]
    delta: float
    level: float

    def predict(self, counts: npt.ArrayLike) -> Array:
        """Return the fitted mean score at ``counts`` (above 0), of their shape."""
        return self.a - self.b * np.asarray(counts, np.float64) ** -self.c


def fit_gain_curve(
    counts: Sequence[float],
    scores: Mapping[str, Sequence[float | None]],
    delta: float = 0.01,
    level: float = 0.95,
) -> GainCurve:
    """Fit a gain curve and say where it flattens.

    Where it flattens, and the interval of that, lean on the power law (see
    :mod:`vidseg.stats.flatten`); ``remaining`` and ``gain_interval`` do not, and ``rms`` says how
    far the means are from it.

    Args:
        counts: frames per video, at least :data:`MIN_COUNTS`, ascending, above 0.
        scores: per group, the score at each count, seeds averaged before.
        delta: smallest gain of interest, above 0.
        level: confidence level.

    Raises:
        UsageError: fewer than five counts, not ascending, or ``delta`` not above 0.
        DataError: a group has another number of scores, or fewer than two groups are complete.

    Example:
        >>> counts = [1, 2, 5, 10, 20]
        >>> scores = {group: [0.5 - 0.2 * n**-0.7 for n in counts] for group in "abcdef"}
        >>> curve = fit_gain_curve(counts, scores, delta=0.02)
        >>> curve.shape, curve.flattens_at
        ('rising', 9)
    """
    places = _checked(counts, delta)
    groups, left_out, table = complete_groups(scores, (len(places),))
    mean = table.mean(axis=0)
    a, b, c = _fit(places, mean)
    rms = float(np.sqrt(np.mean((a - b * places**-c - mean) ** 2)))
    described = rms <= delta and mean.max() - mean[-1] < delta
    point = flattening_point(places, b, c, delta) if described else None
    p_value, p_floor = _flat_test(places, table)
    first, last = (dict(zip(groups, table[:, i].tolist(), strict=True)) for i in (0, -1))
    ends = compare(first, last, delta, level)
    changes = p_value <= 1 - level
    peaked = mean.max() - max(mean[0], mean[-1]) >= delta
    dipped = min(mean[0], mean[-1]) - mean.min() >= delta
    shape: Shape = "cannot tell"
    if changes and not dipped and ends.verdict is Verdict.BETTER:
        shape = "rising"
    elif peaked or dipped:  # neither the ends nor the power law's sign tell what lies between
        shape = "peaked" if changes and not dipped else "cannot tell"
    elif ends.verdict is Verdict.EQUIVALENT:
        shape = "flat"
    elif changes:
        shape = "rising" if b > 0 else "falling"
    return GainCurve(
        counts=tuple(int(n) if n == int(n) else float(n) for n in places),
        means=tuple(mean.tolist()),
        a=a,
        b=b,
        c=c,
        rms=rms,
        p_value=p_value,
        p_floor=p_floor,
        gain=ends.difference,
        gain_interval=ends.interval,
        shape=shape,
        remaining=_remaining(table, level),
        best=float(places[mean.argmax()]),
        flattens_at=point,
        flattens=(
            None
            if point is None
            else flattening_interval(places, table, EXPONENTS, delta, level, point)
        ),
        groups=groups,
        left_out=left_out,
        delta=delta,
        level=level,
    )


def _checked(counts: Sequence[float], delta: float) -> Array:
    places = np.asarray(counts, np.float64)
    if len(places) < MIN_COUNTS:
        raise UsageError(
            f"{len(places)} frame counts carry no curve", hint=f"take {MIN_COUNTS} or more"
        )
    if places[0] < 1 or (np.diff(places) <= 0).any() or not delta > 0:
        raise UsageError(f"counts={list(counts)}, delta={delta}", hint="ascending; delta above 0")
    return places


def _directions(places: Array) -> Array:
    """Return the centred unit vectors of ``-n^-c``, ``(exponents, counts)``."""
    curves = -((places[None, :] / places[0]) ** -EXPONENTS[:, None])
    curves -= curves.mean(axis=1, keepdims=True)
    return np.asarray(curves / np.linalg.norm(curves, axis=1, keepdims=True))


def _fit(places: Array, mean: Array) -> tuple[float, float, float]:
    """Return the least-squares a, b, c."""
    centred = mean - mean.mean()
    c = float(EXPONENTS[np.argmax((_directions(places) @ centred) ** 2)])
    basis = -(places**-c)
    basis_centred = basis - basis.mean()
    b = float(basis_centred @ centred / (basis_centred @ basis_centred))
    return float(mean.mean() - b * basis.mean()), b, c


def _flat_test(places: Array, table: Array) -> tuple[float, float]:
    """Return p and its floor of the sign-flip test against the best power law.

    A group's deviations from its own mean change sign together; the statistic is the part of the
    mean curve's sum of squares that the best exponent explains.
    """
    centred = table - table.mean(axis=1, keepdims=True)
    sums, _ = subset_sums(centred, exact_up_to=14, draws=(1 << 14) - 1)
    directions = _directions(places)
    total = centred.sum(axis=0)
    seen = float(((directions @ total) ** 2).max())
    flipped = (((total - 2 * sums) @ directions.T) ** 2).max(axis=1)
    patterns = len(sums) + 1
    reached = int(np.count_nonzero(flipped >= seen * (1 - 1e-9)))
    return (1 + reached) / patterns, min(1.0, 2 / patterns)


def _remaining(table: Array, level: float) -> tuple[Interval, ...]:
    """Return the interval of the gain from each count to the largest."""
    return tuple(test.interval(level) for test in sign_flips(table[:, -1:] - table))
