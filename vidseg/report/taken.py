"""Frames that an arm really took, in words: a row, or every nth of a stretch or a whole video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vidseg.report.wording import count, number


@dataclass(frozen=True)
class Taken:
    """The frames of an arm.

    Attributes:
        frames: 0-based, ascending, by video; videos without any are left out.
        lengths: frames of each video, labelled or not, as far as they are known.
        start: the frame that the sampler was asked to begin at.
    """

    frames: Mapping[str, Sequence[int]]
    lengths: Mapping[str, int]
    start: int = 0

    @property
    def counts(self) -> tuple[int, int]:
        """Fewest and most frames of a video."""
        counts = [len(own) for own in self.frames.values()]
        return min(counts), max(counts)

    @property
    def steps(self) -> Counter[int]:
        """How often two neighbours lie so far apart."""
        return Counter(b - a for own in self.frames.values() for a, b in pairwise(own))

    @property
    def spacing(self) -> int | None:
        """The usual distance of two neighbours, of several the least; None without any."""
        steps = self.steps
        return min(steps, key=lambda step: (-steps[step], step)) if steps else None

    @property
    def whole(self) -> bool:
        """Whether every frame of every video was taken, as far as lengths are known."""
        return all(len(own) >= self._length(video) for video, own in self.frames.items())

    def _length(self, video: str) -> int:
        return self.lengths.get(video, len(self.frames[video]))

    @property
    def number(self) -> str:
        """How many frames of a video: ``20 frames``, ``12 to 20 frames``."""
        low, high = self.counts
        return count(high, "frame") if low == high else f"{number(low)} to {count(high, 'frame')}"

    def in_words(self, *, nth: bool = False) -> str:
        """Return which frames of each video an arm took that begins somewhere and goes on.

        Args:
            nth: every nth frame was asked for, else each; where labels lie unevenly that is lost.

        Example:
            >>> lengths = {"street": 900}
            >>> Taken({"street": range(0, 400, 20)}, lengths).in_words()
            'every 20th of the first 400 frames of each video'
            >>> Taken({"street": range(0, 900, 20)}, lengths).in_words()
            'every 20th frame of each video'
        """
        starts, steps = {own[0] for own in self.frames.values()}, set(self.steps)
        if not steps:
            return self._single(starts)
        if len(steps) > 1:
            every = self._every(self.spacing or 1)
            return f"{every}, where labelled" if nth else self._labelled()
        return self._row(starts) if steps == {1} else self._every(steps.pop())

    def _single(self, starts: set[int]) -> str:
        if len(starts) == 1:
            (start,) = starts
            return f"frame {start} of each video" if start else "the first frame of each video"
        past = f" from frame {self.start} on" if self.start else ""
        return f"the first labelled frame of each video{past}"

    def _row(self, starts: set[int]) -> str:
        (low, high), own = self.counts, self.frames
        if low < high and self.whole:
            return "every frame of each video"
        if self.start:
            return f"{self.number} in a row of each video, from frame {self.start} on"
        labelled = "" if starts == {0} else "labelled "
        ends = all(len(own[v]) in (high, self._length(v)) for v in own)
        n = number(high) if low == high or ends else f"{number(low)} to {number(high)}"
        fewer = ", all where there are fewer" if low < high and ends else ""
        return f"the first {n} {labelled}frames of each video{fewer}"

    def _every(self, step: int) -> str:
        nth = f"every {ordinal(step)}"
        past = f" from frame {self.start} on" if self.start else ""
        if all(own[-1] + step >= self._length(video) for video, own in self.frames.items()):
            return f"{nth} frame of each video{past}"
        if self.start:
            return f"{self.number} of each video, {nth}{past}"
        stretch = max(own[-1] - own[0] for own in self.frames.values()) + step
        return f"{nth} of the first {number(stretch)} frames of each video"

    def _labelled(self) -> str:
        """Return a stretch of which the labelled frames were taken, as they lie unevenly."""
        (low, high), past = self.counts, f" from frame {self.start} on" if self.start else ""
        if low == high:
            return f"the first {self.number.replace(' ', ' labelled ')} of each video{past}"
        last = max(own[-1] for own in self.frames.values())
        return f"the labelled frames among the first {number(last + 1)} of each video{past}"


def ordinal(n: int) -> str:
    """Return ``20th``, ``2nd``."""
    last = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"
