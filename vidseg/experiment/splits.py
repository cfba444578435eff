"""Splits: which groups are trained on and which are held out, never one scene on both sides.

``frame`` and ``block`` break that rule on purpose: they hold out frames (every k-th, or one of k
blocks of time) of the same videos, so that the suite ``leakage`` can show how much that flatters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidseg.errors import DataError, UsageError
from vidseg.plugins.spec import Spec, parse
from vidseg.utils.suggest import did_you_mean

SPLITS = {
    "leave-one-group-out": (),
    "k-fold": ("k",),
    "fixed": ("test", "train"),
    "frame": ("k",),
    "block": ("k",),
}
"""Names of the splits and their parameters."""


@dataclass(frozen=True)
class Part:
    """The held-out frames of every video, where a split is by frame instead of by group.

    Frames with labels are counted, others are not.

    Attributes:
        kind: ``frame`` (every k-th frame) or ``block`` (one of k blocks of time).
        k: number of parts.
        index: which of them is held out.
    """

    kind: str
    k: int
    index: int

    def holds(self, frame: int, length: int) -> bool:
        """Return whether labelled frame ``frame`` of ``length`` is held out."""
        place = frame if self.kind == "frame" else frame * self.k // length
        return place % self.k == self.index


@dataclass(frozen=True)
class Fold:
    """One partition of the groups, or of the frames.

    Attributes:
        index: number of the fold, from 0.
        train, test: names of the groups of each side, sorted, not empty; disjoint unless
            ``part`` is given.
        part: the held-out frames of a split by frame, else None.
    """

    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    part: Part | None = None


def resolve_split(text: str | Mapping[str, Any] | Spec) -> Spec:
    """Return the checked spec of a split, defaults written out.

    Raises:
        UsageError: unknown split or parameter, or a value out of range.
    """
    spec = parse(text, where="split")
    if spec.name not in SPLITS:
        raise UsageError(
            f"there is no split {spec.name!r}",
            where="split",
            hint=f"{did_you_mean(spec.name, SPLITS)}choose {', '.join(SPLITS)}",
        )
    params = dict(spec.params)
    allowed = SPLITS[spec.name]
    if spec.positional is not None and not allowed:
        raise UsageError(f"{spec.name} takes no parameter", where="split")
    if spec.positional is not None:
        if allowed[0] in params:
            raise UsageError(f"{allowed[0]!r} is given twice", where=f"split {spec.name}")
        params = {allowed[0]: spec.positional, **params}
    for name in params:
        if name not in allowed:
            takes = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            raise UsageError(
                f"{spec.name} has no parameter {name!r}",
                where="split",
                hint=did_you_mean(name, allowed) + takes,
            )
    if "k" in allowed:
        k = params.setdefault("k", 5)
        if not isinstance(k, int) or isinstance(k, bool) or k < 2:
            raise UsageError(
                f"k={k!r} is no number of folds", where="split", hint="k is int (>= 2)"
            )
    if spec.name == "fixed":
        sides = {side: _names(params[side]) for side in allowed if side in params}
        if not sides.get("test"):
            raise UsageError("fixed names no test video", where="split", hint="write fixed:test=a")
        params = dict(sides)
    return Spec(spec.name, None, params)


def folds(spec: Spec, groups: Mapping[str, str], seed: int) -> list[Fold]:
    """Return the folds of a data set.

    Args:
        spec: of :func:`resolve_split`.
        groups: group by video name, after the content check.
        seed: seeds the shuffle of ``k-fold``.

    Raises:
        DataError: too few groups, an unknown video, or a scene on both sides.
    """
    names = sorted(set(groups.values()))
    if spec.name == "fixed":
        return [_fixed(spec.params, groups)]
    if spec.name in ("frame", "block"):
        k = int(spec.params["k"])
        everyone = tuple(names)
        return [Fold(i, everyone, everyone, Part(spec.name, k, i)) for i in range(k)]
    if len(names) < 2:
        raise DataError(
            f"the split {spec.name} needs two groups, the data set has {len(names)} "
            f"({', '.join(names)})",
            where="split",
            hint="add videos of another scene",
        )
    parts = len(names) if spec.name == "leave-one-group-out" else int(spec.params["k"])
    if parts > len(names):
        raise DataError(
            f"k-fold:k={parts} needs {parts} groups, the data set has {len(names)}",
            where="split",
            hint=f"choose k up to {len(names)}, or leave-one-group-out",
        )
    order = names
    if spec.name == "k-fold":
        order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return [
        Fold(
            index,
            tuple(sorted(set(names) - set(order[index::parts]))),
            tuple(sorted(order[index::parts])),
        )
        for index in range(parts)
    ]


def _fixed(params: Mapping[str, Sequence[str]], groups: Mapping[str, str]) -> Fold:
    test = _groups_of(params["test"], groups)
    rest = sorted(set(groups.values()) - test)
    train = _groups_of(params["train"], groups) if "train" in params else set(rest)
    both = sorted(test & train)
    if both:
        members = sorted(video for video, group in groups.items() if group in both)
        raise DataError(
            f"the scene of {', '.join(members)} is on both sides",
            where="split fixed",
            hint="leave it on one side",
        )
    if not train:
        raise DataError(
            "no group is left to train on", where="split fixed", hint="name fewer test videos"
        )
    return Fold(0, tuple(sorted(train)), tuple(sorted(test)))


def _groups_of(names: Sequence[str], groups: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for name in (_spelled(name, groups) for name in names):
        if name in groups:
            found.add(groups[name])
        elif name in groups.values():
            found.add(name)
        else:
            raise DataError(
                f"there is no video or group {name!r}",
                where="split fixed",
                hint=f"{did_you_mean(name, groups)}the videos are {', '.join(groups)}",
            )
    return found


def _names(value: Any) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def _spelled(name: str, groups: Mapping[str, str]) -> str:
    """Return the name as the data set spells it: an unquoted 01 was read as the number 1."""
    known = {*groups, *groups.values()}
    if name in known or not name.isdigit():
        return name
    same = [other for other in known if other.isdigit() and int(other) == int(name)]
    return same[0] if len(same) == 1 else name
