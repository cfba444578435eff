"""Histograms of scores that need no range: fine wherever the scores lie, and added up exactly.

A float32 as an unsigned integer, mapped so that the order is kept, is a path of 32 bits from the
root of a binary tree. The root has :data:`LEAVES` leaves to give away; a node whose two halves both
hold scores gives each half of what it has, a node with scores in one half gives that half all. A
node that has one leaf to give and scores in both halves is not split: its scores count as equal.
So a histogram has at most :data:`LEAVES` leaves, never coarser ones than the top 16 bits (1 % of a
score), and spends them where scores are: of scores between 990 and 1010 nearly every one is kept.

The leaves depend only on the set of scores. More scores make a leaf wider or leave it, never
narrower, and what a wider one needs is known from the narrower ones: histograms of parts make the
histogram of the whole, in whatever order and parts.

AP from a histogram is within 1e-3 of the exact one, mostly within 1e-4. What it does not resolve
are scores that crowd ever closer against a value other than 0, such as probabilities that differ
from 1 by less than 1e-3: a model should return margins or logits.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from vidseg.types import Mask, Scores

BUDGET = 16
LEAVES = 1 << BUDGET
BITS = 32
WAITING = 1 << 17
"""Distinct scores that are kept one by one before leaves are made of them."""

Keys = npt.NDArray[np.uint32]
Table = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Kind = TypeVar("Kind", bound=np.generic)


class Histogram(NamedTuple):
    """Scores of background and of foreground pixels.

    Attributes:
        lows: ``uint32 (n,)``, ascending: the lowest key (:func:`key_of`) of each leaf.
        counts: ``int64 (2, n)``: background and foreground pixels of each leaf.
    """

    lows: Keys
    counts: Table

    def to_json(self) -> str:
        """Return the histogram as text: distances of the lows and counts, packed."""
        steps = np.diff(self.lows, prepend=np.uint32(0))
        content = steps.astype("<u4").tobytes() + self.counts.astype("<i8").tobytes()
        return base64.b64encode(zlib.compress(content)).decode()

    @classmethod
    def from_json(cls, text: str) -> Histogram:
        """Return what :meth:`to_json` wrote.

        Raises:
            ValueError: the text is damaged.
        """
        try:
            content = zlib.decompress(base64.b64decode(text, validate=True))
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"a damaged histogram: {error}") from error
        length, rest = divmod(len(content), 4 + 2 * 8)
        if rest:
            raise ValueError("a damaged histogram: its length is wrong")
        steps = np.frombuffer(content, "<u4", length)
        counts = np.frombuffer(content, "<i8", 2 * length, 4 * length)
        lows = np.cumsum(steps, dtype=np.uint32)
        return cls(lows, counts.reshape(2, length).astype(np.int64))


EMPTY = Histogram(np.zeros(0, np.uint32), np.zeros((2, 0), np.int64))


def key_of(scores: Scores) -> Keys:
    """Return scores as unsigned integers of the same order and shape; -0 is 0."""
    bits = (np.ascontiguousarray(scores, np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))


def score_of(keys: Keys) -> Scores:
    """Return the scores of keys, ``float32``."""
    low = keys >> 31 == 0
    return np.where(low, ~keys, keys ^ np.uint32(1 << 31)).astype(np.uint32).view(np.float32)


def exact_histogram(scores: Scores, mask: Mask) -> Histogram:
    """Return the distinct scores of a frame and how often each occurs; pixels at 0 are left out.

    Args:
        scores: ``float32 (h, w)``.
        mask: ``int8 (h, w)``.
    """
    counted = mask != 0
    marked = key_of(scores[counted]).astype(np.uint64) << 1 | (mask[counted] > 0)
    marked.sort()
    keys, positive = (marked >> 1).astype(np.uint32), (marked & 1).astype(np.int64)
    first = _firsts(keys)
    return Histogram(keys[first], _added(np.stack([1 - positive, positive]), first))


def merge(parts: Iterable[Histogram]) -> Histogram:
    """Return the histogram of all scores of the parts, with at most :data:`LEAVES` leaves.

    The same for every order of the parts, and whichever of them were merged before.

    Examples:
        >>> import numpy as np
        >>> scores = np.array([[999.5, 1000.0], [1000.5, 1000.5]], np.float32)
        >>> mask = np.array([[-1, 1], [-1, 1]], np.int8)
        >>> merge([exact_histogram(scores, mask)]).counts.tolist()
        [[1, 0, 1], [0, 1, 1]]
    """
    return _cut(parts)[0]


class Accumulator:
    """Adds up the scores of many frames; the result is :func:`merge` of all of them.

    Scores that fall into a leaf there is are counted at once; others wait until there are many.

    Args:
        start: what was added up before.
    """

    def __init__(self, start: Histogram = EMPTY) -> None:
        self._known = Histogram(start.lows, start.counts.copy())
        self._highs = start.lows
        self._waiting: list[Histogram] = []

    def add(self, scores: Scores, mask: Mask) -> None:
        """Add one frame, see :func:`exact_histogram`."""
        frame = exact_histogram(scores, mask)
        self._waiting.append(_count_known(self._known, self._highs, frame))
        if sum(len(part.lows) for part in self._waiting) > WAITING:
            self._settle()

    def histogram(self) -> Histogram:
        """Return what was added up; it does not change when more is added."""
        self._settle()
        return Histogram(self._known.lows, self._known.counts.copy())

    def _settle(self) -> None:
        if self._waiting:
            self._known, self._highs = _cut([self._known, *self._waiting])
            self._waiting = []


def _count_known(known: Histogram, highs: Keys, frame: Histogram) -> Histogram:
    """Add to the leaves, in place, the scores of a frame that fall into one; return the others."""
    start = np.searchsorted(frame.lows, known.lows)
    stop = np.searchsorted(frame.lows, highs, side="right")
    running = np.pad(np.cumsum(frame.counts, axis=1), ((0, 0), (1, 0)))
    known.counts[:] += running[:, stop] - running[:, start]
    inside = np.zeros(len(frame.lows) + 1, np.int64)
    np.add.at(inside, start, 1)
    np.add.at(inside, stop, -1)
    rest = np.cumsum(inside[:-1]) == 0
    return Histogram(frame.lows[rest], frame.counts[:, rest])


def _cut(parts: Iterable[Histogram]) -> tuple[Histogram, Keys]:
    """Return the histogram of all parts, and the highest key of each leaf."""
    whole = _united(list(parts))
    first, lows, highs = _leaves(whole.lows)
    return Histogram(lows, _added(whole.counts, first)), highs


def _united(parts: list[Histogram]) -> Histogram:
    """Return the parts in one, equal lows added up."""
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    lows = np.concatenate([part.lows for part in parts])
    order = np.argsort(lows, kind="stable")
    lows = lows[order]
    first = _firsts(lows)
    counts = np.concatenate([part.counts for part in parts], axis=1)[:, order]
    return Histogram(lows[first], _added(counts, first))


def _firsts(keys: Keys) -> Places:
    """Return the first place of each distinct key of ascending ones."""
    return np.flatnonzero(np.diff(keys, prepend=keys[:1] ^ np.uint32(1)))


def _added(counts: Table, first: Places) -> Table:
    """Return the sums of the columns from each place in ``first`` to the next."""
    return np.add.reduceat(counts, first, axis=1) if len(first) else counts[:, :0]


def _leaves(keys: Keys) -> tuple[Places, Keys, Keys]:
    """Return for each leaf the place of its first key, and its lowest and highest possible key.

    Args:
        keys: ascending, distinct.
    """
    place, lows, highs = np.arange(len(keys)), keys.copy(), keys.copy()
    if len(keys) <= BUDGET:
        return place, lows, highs
    alike = _common_bits(keys)
    # no node above this depth can have spent the budget, so one key of each node stands for it
    top = np.flatnonzero(alike < BUDGET)
    spent = np.zeros(len(top), np.int8)
    for depth in range(BUDGET):
        heads = np.flatnonzero(alike[top] < depth)
        spent += _spread(_branches(alike[top], heads, depth), heads, len(top)).astype(np.int8)
    spent = _spread(spent, top, len(keys))
    for depth in range(BUDGET, BITS):
        heads = np.flatnonzero(alike < depth)
        branches = _branches(alike, heads, depth)
        full = branches & (spent[heads] == BUDGET)
        spent += _spread(branches, heads, len(spent)).astype(np.int8)
        if full.any():
            below = np.uint32((1 << (BITS - depth)) - 1)
            lows[heads[full]] &= ~below
            highs[heads[full]] |= below
            keep = _spread(~full, heads, len(spent))
            keep[heads] = True
            place, lows, highs = place[keep], lows[keep], highs[keep]
            alike, spent = alike[keep], spent[keep]
    return place, lows, highs


def _common_bits(keys: Keys) -> npt.NDArray[np.int8]:
    """Return how many leading bits each key shares with the one before it; -1 for the first."""
    differing = np.frexp((keys[1:] ^ keys[:-1]).astype(np.float64))[1]
    return np.concatenate([[-1], BITS - differing]).astype(np.int8)


def _branches(alike: npt.NDArray[np.int8], heads: Places, depth: int) -> npt.NDArray[np.bool_]:
    """Return which nodes of a depth, each from its head on, have keys in both halves."""
    return np.logical_or.reduceat(alike == depth, heads)


def _spread(values: npt.NDArray[Kind], heads: Places, length: int) -> npt.NDArray[Kind]:
    """Return the value of each node for each of its keys."""
    return np.repeat(values, np.diff(heads, append=length))
