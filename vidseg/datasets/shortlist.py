"""Which of many pictures are worth comparing: those with a similar bag of local features.

VLAD (H. Jegou et al., 2010): descriptors are assigned to a vocabulary of words, and the vector of a
set of pictures sums, for each word, how its descriptors differ from it. The vocabulary is learned
from the pictures themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vidseg.datasets.descriptors import Descriptors, Vectors, mirrored
from vidseg.utils.stop import check_stop

WORDS = 128
SIMILAR = 0.10
"""Cosine of two vectors from which their pictures are compared."""
UNIT = 2048
"""Length of a vector of whole numbers: products are exact, whatever the number of threads."""
_SAMPLE = 8_192
_ROUNDS = 6
_BLOCK = 256

Vector = npt.NDArray[np.int16]


class Shortlist:
    """Finds, among sets of pictures, the pairs that may show one place.

    Args:
        sets: the pictures of each video, or one picture each.

    The result does not depend on the order of the sets.
    """

    def __init__(self, sets: Sequence[Sequence[Descriptors]]) -> None:
        words = _vocabulary([_stacked(own) for own in sets])
        self._straight = np.zeros((len(sets), words.size), np.int16)
        self._flipped = np.zeros_like(self._straight)
        for i, own in enumerate(sets):
            check_stop()
            self._straight[i] = _vlad(_stacked(own), words)
            self._flipped[i] = _vlad(_stacked([mirrored(each) for each in own]), words)

    def similar(self, ones: slice, others: slice) -> npt.NDArray[np.float32]:
        """Return ``float32 (n, m)``: the cosine of sets with others, as they are or mirrored."""
        a, b = self._straight[ones].astype(np.float32), self._straight[others].astype(np.float32)
        best = a @ b.T
        np.maximum(best, a @ self._flipped[others].astype(np.float32).T, out=best)
        np.maximum(best, self._flipped[ones].astype(np.float32) @ b.T, out=best)
        return best / np.float32(UNIT**2)

    def pairs(self, tick: Callable[[float], None] = lambda rows: None) -> Iterator[tuple[int, int]]:
        """Yield the pairs that are similar enough to be compared: the lower index first.

        Args:
            tick: called with the number of rows after each block of them.
        """
        count = len(self._straight)
        for row in range(0, count, _BLOCK):
            rows = slice(row, min(row + _BLOCK, count))
            for column in range(row, count, _BLOCK):
                check_stop()
                found = self.similar(rows, slice(column, column + _BLOCK)) >= SIMILAR
                for i, j in np.argwhere(found).tolist():
                    if row + i < column + j:
                        yield row + i, column + j
            tick(rows.stop - rows.start)


def _stacked(own: Sequence[Descriptors]) -> Vectors:
    return np.concatenate([np.zeros((0, 128), np.uint8), *(each.vectors for each in own)])


def _vocabulary(sets: Sequence[Vectors]) -> npt.NDArray[np.float32]:
    """Return ``float32 (words, 128)``, whole numbers: k-means of a sample, drawn by content."""
    ordered = sorted(sets, key=lambda own: own.tobytes())
    everything = np.concatenate([np.zeros((0, 128), np.uint8), *ordered])
    step = max(1, len(everything) // _SAMPLE)
    sample = everything[::step].astype(np.float32)
    words = sample[:: max(1, len(sample) // WORDS)][:WORDS]
    for _ in range(_ROUNDS if len(sample) > WORDS else 0):
        check_stop()
        nearest = _nearest(sample, words)
        count, total = _sums(sample, nearest, len(words))
        filled = count > 0
        words = np.where(filled[:, None], np.rint(total / np.maximum(count, 1)[:, None]), words)
    return words


def _nearest(
    vectors: npt.NDArray[np.float32], words: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    if not len(words):
        return np.zeros(len(vectors), np.int64)
    return np.asarray(((words * words).sum(1) - 2 * (vectors @ words.T)).argmin(1))


def _sums(
    vectors: npt.NDArray[np.float32], nearest: npt.NDArray[np.int64], words: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return how many vectors each word has, ``(words,)``, and their sum, ``(words, 128)``."""
    order = np.argsort(nearest, kind="stable")
    count = np.bincount(nearest, minlength=words)
    filled = np.flatnonzero(count)
    starts = (np.cumsum(count) - count)[filled]
    total = np.zeros((words, vectors.shape[1]), np.float32)
    if len(filled):
        total[filled] = np.add.reduceat(vectors[order], starts, axis=0)
    return count, total


def _vlad(own: Vectors, words: npt.NDArray[np.float32]) -> Vector:
    """Return the vector ``int16 (words * 128,)`` of length :data:`UNIT`; zeros of no features."""
    vectors = own.astype(np.float32)
    count, total = _sums(vectors, _nearest(vectors, words), len(words))
    rest = (total - count[:, None] * words).astype(np.float64)
    rest = np.sign(rest) * np.sqrt(np.abs(rest))
    rest /= np.maximum(np.sqrt(np.square(rest).sum(1, keepdims=True)), 1e-9)
    length = max(float(np.sqrt(np.square(rest).sum())), 1e-9)
    return np.rint(rest.ravel() * (UNIT / length)).astype(np.int16)
