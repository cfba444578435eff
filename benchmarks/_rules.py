"""Rules for what to take where nothing is shown: each a function of what one suite has seen.

Of all rules with a prior, "the cheapest arm whose expected regret is at most delta above the least"
is :func:`near` on the means that the prior leaves: the expected regret of two arms differs by their
expected means. So rules differ in how means are shrunk and in how much may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What a suite has seen of its arms.

    Attributes:
        frames: labelled frames of a video, in the mean, of each arm.
        scores: ``(groups, arms)``, 0..1.
        gaps: mean distance of a video's frames from the nearest that the arm labels, in frames.
        within: ``(arms, arms)``, whether the frames of i are among those of j.
        further: ``(arms, arms)``, whether i lies in a row, and j reaches further with no more
            labels, apart.
    """

    frames: Array
    scores: Array
    gaps: Array
    within: npt.NDArray[np.bool_]
    further: npt.NDArray[np.bool_]

    @property
    def means(self) -> Array:
        """Mean score of each arm."""
        return np.asarray(self.scores.mean(axis=0))

    @property
    def best(self) -> int:
        """The arm with the highest mean."""
        return int(self.means.argmax())

    @property
    def errors(self) -> Array:
        """Standard error of each arm's mean difference from the best."""
        lost = self.scores[:, [self.best]] - self.scores
        return np.asarray(lost.std(axis=0, ddof=1) / np.sqrt(len(lost)))


Rule = Callable[[Seen, float], int]


def near(seen: Seen, means: Array, slack: Array | float, among: Sequence[int]) -> int:
    """Return of some arms the cheapest within ``slack`` of their best, of equal costs the best."""
    within = means >= means[list(among)].max() - np.asarray(slack) * (1 + 1e-12)
    taken = [i for i in among if within[i]]
    return min(taken, key=lambda i: (seen.frames[i], -means[i]))


def nested(seen: Seen) -> list[int]:
    """Return the best arm and those whose frames are among its own."""
    return [i for i in range(len(seen.frames)) if i == seen.best or seen.within[i, seen.best]]


def spread(seen: Seen) -> list[int]:
    """Return the arms that are not in a row where another reaches further with no more labels."""
    return [i for i, further in enumerate(seen.further) if not further.any()]


def shrunk(means: Array, toward: Array, seen: Seen, fitted: int) -> Array:
    """Return means moved toward a fit of ``fitted`` parameters (James-Stein, positive part)."""
    rest = seen.scores - seen.scores.mean(axis=1, keepdims=True) - means + means.mean()
    groups, arms = seen.scores.shape
    noise = (rest**2).sum() / ((groups - 1) * (arms - 1)) / groups
    spread = ((means - toward) ** 2).sum()
    left = max(0.0, 1 - (arms - fitted - 2) * noise / spread) if spread > 0 else 0.0
    return np.asarray(toward + left * (means - toward))


def to_mean(seen: Seen) -> Array:
    """Return means shrunk toward one mean of all arms."""
    return shrunk(seen.means, np.full_like(seen.means, seen.means.mean()), seen, 1)


def to_line(seen: Seen, along: Array) -> Array:
    """Return means shrunk toward a line in some logarithm that does not fall."""
    x = along - along.mean()
    slope = max(0.0, float(x @ seen.means / (x @ x)))
    return shrunk(seen.means, seen.means.mean() + slope * x, seen, 2)


def rising(seen: Seen) -> Array:
    """Return means in which a nested arm with fewer frames is never above one with more.

    Isotonic regression over the frames of those arms that are nested in one, the one that holds
    the most.
    """
    whole = int(seen.within.sum(axis=0).argmax())
    chain = [i for i in np.argsort(seen.frames) if i == whole or seen.within[i, whole]]
    own, means = seen.means[chain], seen.means.copy()
    sums = np.concatenate([[0.0], own.cumsum()])
    for place, arm in enumerate(chain):
        ends = range(place + 1, len(chain) + 1)
        means[arm] = max(
            min((sums[end] - sums[start]) / (end - start) for end in ends)
            for start in range(place + 1)
        )
    return means


WAYS: dict[str, Callable[[Seen, float], tuple[Array, Array | float]]] = {
    "within delta": lambda seen, delta: (seen.means, delta),
    "highest mean": lambda seen, _: (seen.means, 0.0),
    "one standard error": lambda seen, _: (seen.means, seen.errors),
    "shrunk to one mean": lambda seen, delta: (to_mean(seen), delta),
    "shrunk to a line in log frames": lambda seen, delta: (
        to_line(seen, np.log(seen.frames)),
        delta,
    ),
    "shrunk to a line in log gaps": lambda seen, delta: (
        to_line(seen, -np.log1p(seen.gaps)),
        delta,
    ),
    "never falling": lambda seen, delta: (rising(seen), delta),
}
"""Means, and how far below the highest a cheaper arm may lie."""

AMONG: dict[str, Callable[[Seen], list[int]]] = {
    "": lambda seen: list(range(len(seen.frames))),
    ", none in a row": spread,
    ", nested": nested,
}
"""The arms that may be taken: by name what is added to the way's."""


def take(seen: Seen, delta: float, way: str, among: str) -> int:
    """Return the arm that a rule takes."""
    means, slack = WAYS[way](seen, delta)
    return near(seen, means, slack, AMONG[among](seen))


def instead(seen: Seen, delta: float, way: str) -> int:
    """Return the arm that a rule takes; where it is in a row the best that reaches further."""
    own = take(seen, delta, way, "")
    others = [int(i) for i in np.flatnonzero(seen.further[own])]
    return max(others or [own], key=lambda i: (seen.means[i], -seen.frames[i]))


RULES: dict[str, Rule] = {
    **{f"{way}, not in a row": partial(instead, way=way) for way in WAYS},
    **{way + among: partial(take, way=way, among=among) for among in AMONG for way in WAYS},
}
"""By name: every way with every choice of arms."""
