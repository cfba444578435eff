"""Two arms compared over their groups: difference, interval, verdict against delta."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np

from vidseg.errors import DataError, UsageError
from vidseg.stats.holm import holm
from vidseg.stats.power import groups_needed
from vidseg.stats.signflip import TIE, Array, Interval, sign_flip

Scores = Mapping[str, float | None]
"""A score per group; None and nan are undefined."""


class Verdict(StrEnum):
    """What a comparison says about arm b against arm a."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class LeftOut:
    """A group that leaves both arms of a comparison.

    Attributes:
        group: its name.
        arm: where its score is lacking.
        reason: ``missing`` (no entry) or ``undefined`` (None, nan or infinite: a video without
            positives has no IoU).
    """

    group: str
    arm: Literal["a", "b", "both"]
    reason: Literal["missing", "undefined"]


@dataclass(frozen=True)
class Comparison:
    """Arm b against arm a, paired by group. Scores and differences have one unit (IoU: 0..1).

    Attributes:
        difference: mean over the groups of b - a.
        differences: b - a of each group used, sorted by group.
        left_out: the groups that were not used, and why.
        p_value: two-sided sign-flip test of "no difference".
        p_floor: the smallest p that this number of groups can give.
        interval: of the mean difference, at ``level``; see :class:`Interval` where unbounded.
        equivalence: the interval at ``1 - 2 (1 - level)`` that the verdict "equivalent" looks at.
        verdict: see :func:`compare`.
        beyond_delta: the interval is bounded and lies wholly above delta, or wholly below -delta.
        groups_needed: groups that would tell (see :func:`groups_needed`); None if unknown.
        delta, level: as asked.
        p_adjusted: p after :func:`with_holm`, before it the same as ``p_value``.
        exact: all sign patterns were enumerated; otherwise drawn, with a fixed seed.
    """

    difference: float
    differences: Mapping[str, float]
    left_out: tuple[LeftOut, ...]
    p_value: float
    p_floor: float
    interval: Interval
    equivalence: Interval
    verdict: Verdict
    beyond_delta: bool
    groups_needed: int | None
    delta: float
    level: float
    p_adjusted: float
    exact: bool

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups used, sorted."""
        return tuple(self.differences)


def compare(a: Scores, b: Scores, delta: float = 0.01, level: float = 0.95) -> Comparison:
    """Compare arm b with arm a.

    The verdict, in this order:

    - ``equivalent``: the ``1 - 2 (1 - level)`` interval (90 % for 95 %) lies inside
      ``(-delta, delta)``. This is the test of two one-sided hypotheses (TOST, Schuirmann 1987) at
      ``1 - level``; a difference that is significant but surely smaller than delta is equivalent.
    - ``better`` / ``worse``: the interval at ``level`` is bounded and excludes 0, that is
      ``p_value <= 1 - level``. It does not claim delta; ``beyond_delta`` does.
    - ``cannot tell``: anything else. Where no bounded interval exists at ``level`` (below 6 groups
      at 95 %) always.

    Where the differences are symmetric about their mean, a wrong verdict (better or worse at a true
    difference of 0, equivalent or the wrong sign at ``delta`` or more) has probability at most
    ``1 - level``.

    Args:
        a, b: score per group, seeds averaged before (:func:`average_seeds`); groups that lack a
            defined score in either leave both.
        delta: smallest effect of interest, in the unit of the scores; 0 rules "equivalent" out.
        level: confidence level.

    Raises:
        DataError: no group has a score in both arms.
        UsageError: ``delta`` or ``level`` out of range.

    Example:
        >>> ious = [0.4, 0.5, 0.3, 0.6, 0.5, 0.4]
        >>> one = dict(zip(["bridge", "street", "park", "mall", "quay", "yard"], ious))
        >>> twenty = {group: iou + 0.05 for group, iou in one.items()}
        >>> found = compare(one, twenty)
        >>> found.verdict.value, found.p_value
        ('better', 0.03125)
    """
    if not (delta >= 0 and math.isfinite(delta)):
        raise UsageError(f"delta={delta} is no smallest effect", hint="0.01 is one IoU point")
    if not 0.5 < level < 1:
        raise UsageError(f"level={level} is no confidence level", hint="write 0.95 for 95 %")
    left_out = _left_out(a, b)
    gone = {entry.group for entry in left_out}
    names = sorted((a.keys() | b.keys()) - gone)
    if not names:
        raise DataError("no group has a score in both arms", hint="were both arms tested?")
    values, tie = _paired(a, b, names)
    mean = float(values.mean())
    test = sign_flip(values)
    interval, inner = test.interval(level), test.interval(1 - 2 * (1 - level))
    return Comparison(
        difference=mean if abs(mean) > tie else 0.0,
        differences=dict(zip(names, values.tolist(), strict=True)),
        left_out=left_out,
        p_value=test.p_value(),
        p_floor=test.p_floor,
        interval=interval,
        equivalence=inner,
        verdict=_verdict(interval, inner, delta),
        beyond_delta=_beyond(interval, delta),
        groups_needed=groups_needed(values, delta, level=level) if delta else None,
        delta=delta,
        level=level,
        p_adjusted=test.p_value(),
        exact=test.exact,
    )


def with_holm(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Guard the comparisons of one suite, of one primary score, against chance finds (Holm).

    ``p_adjusted`` is filled; a better or worse whose adjusted p exceeds ``1 - level`` becomes
    ``cannot tell``. ``equivalent`` is not a find and stays. Intervals stay as they are, each for
    itself. Give every comparison that was looked at, not only the good ones.

    Example:
        >>> one = dict.fromkeys("abcdef", 0.4)
        >>> found = compare(one, dict.fromkeys("abcdef", 0.5))
        >>> [claim.verdict.value for claim in with_holm([found, found])]
        ['cannot tell', 'cannot tell']
    """
    adjusted = holm([entry.p_value for entry in comparisons])
    return tuple(
        replace(entry, p_adjusted=p, verdict=_after_holm(entry, p))
        for entry, p in zip(comparisons, adjusted, strict=True)
    )


def average_seeds(scores: Mapping[str, Mapping[int, float | None]]) -> dict[str, float]:
    """Return each group's mean over seeds; seeds are repeats of a group, never groups.

    Args:
        scores: per group, the score of each seed; undefined ones (None, nan) are passed over.

    Returns:
        The mean per group; nan where no seed has a score.

    Example:
        >>> average_seeds({"street": {0: 0.4, 1: 0.6}, "park": {0: 0.5, 1: None}})
        {'street': 0.5, 'park': 0.5}
    """
    means = {}
    for group, by_seed in scores.items():
        values = [score for score in by_seed.values() if score is not None and math.isfinite(score)]
        means[group] = math.fsum(values) / len(values) if values else math.nan
    return means


def _defined(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def _left_out(a: Scores, b: Scores) -> tuple[LeftOut, ...]:
    entries = []
    for group in sorted(a.keys() | b.keys()):
        lacking = [name for name, arm in (("a", a), ("b", b)) if not _defined(arm.get(group))]
        if lacking:
            present = any(group in {"a": a, "b": b}[name] for name in lacking)
            where: Literal["a", "b", "both"] = (
                "both" if len(lacking) == 2 else "a" if lacking == ["a"] else "b"
            )
            entries.append(LeftOut(group, where, "undefined" if present else "missing"))
    return tuple(entries)


def _paired(a: Scores, b: Scores, names: Sequence[str]) -> tuple[Array, float]:
    """Return b - a of each group, and the size up to which their mean is a rounding error."""
    first = np.array([a[name] for name in names], np.float64)
    second = np.array([b[name] for name in names], np.float64)
    scale = np.maximum(np.abs(first), np.abs(second))
    values = np.where(np.abs(second - first) <= TIE * scale, 0.0, second - first)
    return values, TIE * float(scale.max())


def _verdict(interval: Interval, inner: Interval, delta: float) -> Verdict:
    margin = delta * (1 - TIE)
    if not interval.bounded:
        return Verdict.CANNOT_TELL
    if -margin < inner.low and inner.high < margin:
        return Verdict.EQUIVALENT
    if interval.low > 0 or interval.high < 0:
        return Verdict.BETTER if interval.low > 0 else Verdict.WORSE
    return Verdict.CANNOT_TELL


def _beyond(interval: Interval, delta: float) -> bool:
    margin = delta * (1 + TIE)
    return interval.bounded and (interval.low > margin or interval.high < -margin)


def _after_holm(entry: Comparison, p: float) -> Verdict:
    found = entry.verdict in (Verdict.BETTER, Verdict.WORSE)
    return Verdict.CANNOT_TELL if found and p > 1 - entry.level else entry.verdict
