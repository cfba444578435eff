"""Which arm to take: the cheapest that is shown at most delta below the best of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError
from vidseg.stats.power import groups_to_show
from vidseg.stats.signflip import TIE, Array, smallest_groups, subset_sums


class Standing(StrEnum):
    """How sure a decision is."""

    SHOWN = "shown"
    NOT_PROVEN = "not proven"
    TOO_FEW = "too few groups"


@dataclass(frozen=True)
class Option:
    """An arm that could be taken, trained in one way.

    Attributes:
        name: unique.
        cost: labels that it needs, in any unit.
        scores: per group, seeds averaged before; None and nan are undefined.
        trained: per group, what the model that is tested on it was trained on (a hash). Where it
            is equal for two options, the group says nothing about the two.
        arm: what is labelled. Options of one arm differ in training only, which costs no label, so
            an arm is as good as the best of them; "" for an arm of its own.
        instead: arms, by ``labels``, one of which is taken instead of it where nothing is shown:
            its frames lie in a row, and with no more labels theirs reach further, apart.
    """

    name: str
    cost: float
    scores: Mapping[str, float | None]
    trained: Mapping[str, str] = field(default_factory=dict)
    arm: str = ""
    instead: tuple[str, ...] = ()

    @property
    def labels(self) -> str:
        """The arm, by name."""
        return self.arm or self.name


@dataclass(frozen=True)
class Decision:
    """What to take, and how sure that is.

    Attributes:
        standing: ``shown``; ``not proven``: the choice is the best guess; ``too few groups``:
            nothing can be shown with so many at this level, and nothing is chosen.
        choice: name of the option to take, of its arm the one with the highest mean; None with
            too few groups.
        best: name of the option with the highest mean score.
        means: mean score of each option over ``groups``.
        p_values: per arm, the adjusted p of "it is delta or more below the best of all".
        groups: those in which every option has a score, sorted.
        nearest: the choice (with too few groups, what it would be), and the option of another arm
            that trained otherwise in the fewest groups.
        compared: these groups; what is shown of the choice rests on no more.
        same: by option that was not considered, the one that trained on the same everywhere.
        instead_of: the option whose place the choice takes, as nothing is shown; "" if none.
        groups_needed: groups like these that would show the choice, were it no worse than any
            other; None if unknown or if it is shown.
        delta, level: as asked.
    """

    standing: Standing
    choice: str | None
    best: str
    means: Mapping[str, float]
    p_values: Mapping[str, float]
    groups: tuple[str, ...]
    nearest: tuple[str, str]
    compared: tuple[str, ...]
    same: Mapping[str, str]
    groups_needed: int | None
    delta: float
    level: float
    instead_of: str = ""

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the arms that are shown at most delta below the best."""
        if self.standing is Standing.TOO_FEW:
            return ()
        return tuple(n for n, p in self.p_values.items() if p <= 1 - self.level + TIE)


def decide(options: Sequence[Option], delta: float = 0.01, level: float = 0.95) -> Decision | None:
    """Choose among arms by cost and score.

    - ``shown``: the cheapest arm (of equal costs the one with the highest mean) that is shown to
      lie less than delta below the best.
    - ``not proven``: none is. Among the arms whose mean is at most delta below the highest, the
      cheapest, of equal costs the one with the highest mean; where others are to be taken
      ``instead``, of these the one with the highest mean.
    - ``too few groups``: below :func:`smallest_groups`. Two options are compared on the groups in
      which they trained on different frames: with fewer of those neither is shown against the
      other, and where that leaves no arm that could be shown nothing is chosen.

    Whichever option ``b`` is truly best, the others are tested against it together: ``H_i: mean of
    (s_b - s_i) >= delta``, one-sided at ``1 - level``, by flipping the signs of all differences of
    a group at once and comparing with the largest statistic (multiple comparisons with the best,
    Hsu 1984; max-T of Westfall and Young 1993). An arm is shown where this holds of one of its
    options for every ``b`` of another arm, so the probability that any arm is shown wrongly is at
    most ``1 - level``, where the errors of a group are symmetric together. No further correction
    for the number of options is needed, and the smallest p does not depend on it.

    Args:
        options: two or more; those that trained on the same in every group count as one, the first.
        delta: largest loss that does not matter, above 0.
        level: confidence level.

    Returns:
        The decision; None with fewer than two arms, or no group in which all have a score.

    Raises:
        UsageError: ``delta`` or ``level`` out of range, or a name stands twice.

    Example:
        >>> groups = "abcdefgh"
        >>> few, many = (dict.fromkeys(groups, score) for score in (0.500, 0.502))
        >>> found = decide([Option("20", 160, few), Option("400", 3200, many)])
        >>> found.standing.value, found.choice, found.p_values["20"]
        ('shown', '20', 0.00390625)
    """
    if not delta > 0 or not 0.5 < level < 1:
        raise UsageError(f"delta={delta}, level={level}", hint="delta > 0 and 0.5 < level < 1")
    if len({one.name for one in options}) < len(options):
        raise UsageError("two options have one name")
    kept, same = _distinct(options)
    groups = _complete(kept)
    arms = list(dict.fromkeys(one.labels for one in kept))
    if len(arms) < 2 or not groups:
        return None
    table = np.array([[float(one.scores[g] or 0.0) for one in kept] for g in groups])
    means = table.mean(axis=0)
    differences = _differences(table, kept, groups)
    of_arm, least = [arms.index(one.labels) for one in kept], smallest_groups(level)
    p = _p_values(differences, delta, of_arm, least)
    few = not _can_be_shown(differences, of_arm, least)
    # of each arm the option with the highest mean stands for it
    first = [max(_of(kept, arm), key=lambda i: float(means[i])) for arm in arms]
    found = [i for i, own in zip(first, p, strict=True) if own <= 1 - level + TIE]
    near = [i for i in first if means[i] >= means.max() - delta * (1 + TIE)]
    guess = min(found or near, key=lambda i: (kept[i].cost, -means[i]))
    others = [i for i in first if not found and kept[i].labels in kept[guess].instead]
    chosen = max(others or [guess], key=lambda i: (means[i], -kept[i].cost))
    apart, nearest = _nearest(differences[:, :, chosen], of_arm, of_arm[chosen])
    standing = Standing.TOO_FEW if few else Standing.SHOWN if found else Standing.NOT_PROVEN
    return Decision(
        standing=standing,
        choice=None if few else kept[chosen].name,
        best=kept[int(means.argmax())].name,
        means={one.name: float(mean) for one, mean in zip(kept, means, strict=True)},
        p_values={arm: float(value) for arm, value in zip(arms, p, strict=True)},
        groups=tuple(groups),
        nearest=(kept[chosen].name, kept[nearest].name),
        compared=tuple(group for group, own in zip(groups, apart, strict=True) if own),
        same=same,
        groups_needed=(
            None
            if standing is Standing.SHOWN
            else _needed(differences[:, :, chosen], _of(kept, kept[chosen].labels), delta, level)
        ),
        delta=delta,
        level=level,
        instead_of="" if few or chosen == guess else kept[guess].name,
    )


def _of(options: Sequence[Option], arm: str) -> list[int]:
    return [i for i, one in enumerate(options) if one.labels == arm]


def _distinct(options: Sequence[Option]) -> tuple[list[Option], dict[str, str]]:
    """Return the options that differ in what they trained on, and whom the others equal."""
    kept: list[Option] = []
    same: dict[str, str] = {}
    for one in options:
        twin = next((k for k in kept if one.trained and dict(k.trained) == dict(one.trained)), None)
        if twin is None:
            kept.append(one)
        else:
            same[one.name] = twin.name
    return kept, same


def _complete(options: Sequence[Option]) -> list[str]:
    """Return the groups in which every option has a score."""

    def defined(option: Option, group: str) -> bool:
        score = option.scores.get(group)
        return score is not None and math.isfinite(score)

    names = sorted({group for one in options for group in one.scores})
    return [group for group in names if all(defined(one, group) for one in options)]


def _differences(table: Array, options: Sequence[Option], groups: Sequence[str]) -> Array:
    """Return score of i minus score of b, ``(groups, b, i)``; nan where both trained alike."""
    found = table[:, None, :] - table[:, :, None]
    scale = np.maximum(np.abs(table[:, None, :]), np.abs(table[:, :, None]))
    found[np.abs(found) <= TIE * scale] = 0.0
    for place, group in enumerate(groups):
        hashes = [one.trained.get(group) for one in options]
        for b, other in enumerate(hashes):
            alike = [i for i, own in enumerate(hashes) if own is not None and own == other]
            found[place, b, [i for i in alike if i != b]] = np.nan
    return found


def _p_values(differences: Array, delta: float, arms: Sequence[int], least: int) -> Array:
    """Return for each arm the largest adjusted p over whichever option of another is the best.

    It is 1 where fewer than ``least`` groups trained otherwise.
    """
    p = np.zeros(max(arms) + 1)
    for b, best in enumerate(arms):
        others = [i for i, arm in enumerate(arms) if arm != best]
        # a difference of 0 has no sign: such a group is left out of its test
        found = _max_t(np.nan_to_num(differences[:, b, others] + delta))
        found[(~np.isnan(differences[:, b, others])).sum(axis=0) < least] = 1.0
        own = np.ones_like(p)
        np.minimum.at(own, [arms[i] for i in others], found)
        own[best] = 0.0
        p = np.maximum(p, own)
    return p


def _can_be_shown(differences: Array, arms: Sequence[int], least: int) -> bool:
    """Return whether some arm has against every option of another an option with enough groups."""
    enough = (~np.isnan(differences)).sum(axis=0) >= least
    own = np.array(arms)
    return any(enough[own != arm][:, own == arm].any(axis=1).all() for arm in set(arms))


def _nearest(
    differences: Array, arms: Sequence[int], arm: int
) -> tuple[npt.NDArray[np.bool_], int]:
    """Return the option of another arm that differs in the fewest groups, and in which.

    Args:
        differences: of one option, ``(groups, options)``; nan where both trained alike.
        arms: of the options.
        arm: of the one.
    """
    apart = ~np.isnan(differences)
    others = [i for i, other in enumerate(arms) if other != arm]
    nearest = min(others, key=lambda i: int(apart[:, i].sum()))
    return apart[:, nearest], nearest


def _max_t(values: Array) -> npt.NDArray[np.float64]:
    """Return the adjusted one-sided p of "the mean is at most 0" of each column."""
    size = np.sqrt((values**2).sum(axis=0))
    scaled = np.divide(values, size, out=np.zeros_like(values), where=size > 0)
    seen = scaled.sum(axis=0)
    sums, _ = subset_sums(scaled)
    largest = np.sort((seen - 2 * sums).max(axis=1))
    reached = len(largest) - np.searchsorted(largest, seen - TIE * math.sqrt(len(values)))
    return np.asarray((1 + reached) / (1 + len(largest)), np.float64)


def _needed(differences: Array, own: Sequence[int], delta: float, level: float) -> int | None:
    """Return the groups that would show the choice against every option of other arms."""
    needed = []
    others = [b for b in range(differences.shape[1]) if b not in own]
    for b in others:
        values = differences[:, b][~np.isnan(differences[:, b])]
        if not values.size:
            continue
        effect = max(float(values.mean()), 0.0) + delta
        needed.append(groups_to_show(values, effect, level=level, comparisons=len(others)))
    known = [n for n in needed if n is not None]
    return max(known) if known and len(known) == len(needed) else None
