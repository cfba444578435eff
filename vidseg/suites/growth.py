"""How the seconds of a fit grow with its frames and its epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Curve:
    """Seconds by work: straight lines between timings that never fall.

    Attributes:
        points: (work, seconds), ascending; one at least.
    """

    points: tuple[tuple[float, float], ...]

    @classmethod
    def through(cls, timings: Iterable[tuple[float, float]]) -> Curve:
        """Return the curve through some (work, seconds), made monotone."""
        found: list[tuple[float, float]] = []
        for work, seconds in sorted(timings):
            if found and work == found[-1][0]:
                found[-1] = work, max(seconds, found[-1][1])
            else:
                found.append((work, max(seconds, found[-1][1] if found else 0.0)))
        return cls(tuple(found))

    def __call__(self, work: float) -> float:
        """Return the seconds of some work; beyond the last timing it grows as before it.

        Where the last two timings do not differ, or there is one, it grows in proportion.

        Example:
            >>> Curve.through([(4, 1.0), (16, 2.2)])(100).__round__(6)
            10.6
        """
        (low, least), (high, most) = self.points[0], self.points[-1]
        if work <= low:
            return max(least - self._slope(0) * (low - work), 0.0)
        if work >= high:
            return most + self._slope(-1) * (work - high)
        (w1, t1), (w2, t2) = next(
            pair for pair in pairwise(self.points) if pair[0][0] <= work <= pair[1][0]
        )
        return t1 + (t2 - t1) * (work - w1) / (w2 - w1)

    @property
    def slope(self) -> float:
        """Seconds that further work takes on the whole; all of it where nothing else is known."""
        (low, least), (high, most) = self.points[0], self.points[-1]
        return (most - least) / (high - low) if most > least else most / high

    def _slope(self, place: int) -> float:
        """Return the slope of the first (0) or the last (-1) line, at most that through 0."""
        lines = list(pairwise(self.points))
        work, seconds = self.points[place]
        most = seconds / work
        if not lines:
            return most
        (w1, t1), (w2, t2) = lines[place]
        return min((t2 - t1) / (w2 - w1), most) or most


@dataclass(frozen=True)
class Growth:
    """Seconds of a fit.

    Attributes:
        once: by frames, with one epoch, or all of it where there are no epochs.
        again: of each frame in each further epoch.
    """

    once: Curve
    again: float = 0.0

    def __call__(self, frames: int, further: int = 0) -> float:
        """Return the seconds.

        Args:
            frames: that are trained on.
            further: how often each is read beyond a fit of one epoch.
        """
        return self.once(frames) + self.again * frames * further
