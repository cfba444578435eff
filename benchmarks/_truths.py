"""Suites whose truth is known: arms on a saturating power law, with the scatter of real scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks._rules import Array, Seen

ARMS = {
    "1": (1.0, 50.0),
    "20": (20.0, 32.0),
    "1 a second": (4.0, 6.3),
    "every 20th": (5.0, 5.0),
    "every 5th": (20.0, 1.2),
}
"""Of each arm the frames of a video of 100 and their mean distance to the nearest."""

POWER = 0.7
LEVEL = 0.15
"""Standard deviation of a scene's own level; it cancels between arms."""


@dataclass(frozen=True)
class Truth:
    """What is true of all scenes.

    Attributes:
        gain: points from one frame to infinitely many, 0..1.
        in_a_row: the frames far apart that 20 in a row are worth: 2.5 as on real scenes, or 20.
        uneven: standard deviation of a scene's gain, as a share of it.
        scatter: standard deviation of a score beside that, 0..1.
        groups: scenes that are seen.
    """

    gain: float
    scatter: float
    groups: int
    in_a_row: float = 2.5
    uneven: float = 0.5

    @property
    def means(self) -> Array:
        """True mean score of each arm."""
        return np.asarray(0.6 - self.gain * self._left())

    def seen(self, rng: np.random.Generator) -> Seen:
        """Return what a suite sees."""
        gains = self.gain * (1 + self.uneven * rng.standard_normal((self.groups, 1)))
        levels = 0.6 + LEVEL * rng.standard_normal((self.groups, 1))
        scores = levels - gains * self._left()
        scores += self.scatter * rng.standard_normal(scores.shape)
        frames, gaps = np.array(list(ARMS.values())).T
        return Seen(frames, scores, gaps, WITHIN, FURTHER)

    def _left(self) -> Array:
        """Return the share of the gain that each arm leaves."""
        worth = [self.in_a_row if arm == "20" else frames for arm, (frames, _) in ARMS.items()]
        return np.asarray(np.array(worth) ** -POWER)


_ORDER = list(ARMS)
WITHIN = np.zeros((len(ARMS), len(ARMS)), bool)
for small, large in (("1", "20"), ("1", "1 a second"), ("1", "every 20th"), ("1", "every 5th"),
                     ("1 a second", "every 5th"), ("every 20th", "every 5th")):  # fmt: skip
    WITHIN[_ORDER.index(small), _ORDER.index(large)] = True
FURTHER = np.zeros_like(WITHIN)
FURTHER[_ORDER.index("20"), [_ORDER.index(arm) for arm in _ORDER[2:]]] = True


def truths() -> Iterator[Truth]:
    """Yield every combination of gain, scatter and number of scenes."""
    for groups in (4, 6, 8, 12):
        for scatter in (0.02, 0.08):
            for gain in (0.0, 0.03, 0.1, 0.3):
                for in_a_row in (2.5, 20.0):
                    yield Truth(gain, scatter, groups, in_a_row)
