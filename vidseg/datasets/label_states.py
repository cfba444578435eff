"""Which frames a box file labels: a frame without a row is empty, or nobody has looked at it.

A box file does not say which. By convention (MOTChallenge) a frame without rows shows nothing, and
that is what is read. Where only every fifth frame was labelled, the others would then teach and
test "nothing there" on frames full of objects. So the option ``labelled`` of a data set says what
such frames are, and where the rows look like key frames and it does not say, the video has a
question: training waits for the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator

from vidseg.types import Question

_EVERY = re.compile(r"every:([1-9]\d{0,5})")

GRID_FRAMES = 5
"""Frames with rows that a grid needs: fewer may be chance, as one person on frames 0 and 10 is."""
GRID_SHARE = 0.9
"""Share of the frames with rows that are on the grid: some people label the last frame too."""
GRID_FILLED = 0.8
"""Share of the grid's frames between its ends that have rows, where they are few."""
LONE_FRAMES = 8
"""Frames with rows, none next to another, that are too many for objects that come and go."""
END_FRAMES = 10
"""Frames without rows at the end that are worth a note."""


def _checked(rule: str) -> str:
    if rule in ("all", "rows") or _EVERY.fullmatch(rule):
        return rule
    raise ValueError("it is all, rows, or every:N such as every:5")


LabelledFrames = Annotated[str, AfterValidator(_checked)]
"""The option ``labelled`` of a data set whose files hold rows: ``all``, ``rows`` or ``every:N``."""


class Grid(NamedTuple):
    """Frames ``first``, ``first + step``, ...

    Attributes:
        step: distance of two of them.
        first: the first one of the video, less than ``step``.
    """

    step: int
    first: int


class RowFrames:
    """The labelled frames of a video whose labels are rows of boxes.

    Args:
        rule: ``all``: every frame, those without rows are empty. ``rows``: the frames that have
            rows. ``every:N``: every N-th frame, counted from where the rows lie, empty or not, and
            all others that have rows. None: ``all``, with a question where that looks wrong.
        rows: 0-based frame of each row, of whatever class, in any order.
    """

    def __init__(self, rule: str | None, rows: Iterable[int] | npt.NDArray[np.int64]) -> None:
        given = rows if isinstance(rows, np.ndarray) else list(rows)
        self._rule = rule
        self._frames = np.unique(np.asarray(given, np.int64))

    @property
    def key(self) -> tuple[object, ...]:
        """What of it decides labels; nothing where every frame is labelled."""
        if self._rule in (None, "all"):
            return ()
        return self._rule, self._frames

    def labelled(self, length: int) -> Sequence[int]:
        """Return the labelled frames of a video of ``length`` frames, ascending."""
        if self._rule in (None, "all"):
            return range(length)
        frames = self._frames[self._frames < length]
        if self._rule != "rows":
            step = self._told_step
            frames = np.union1d(frames, np.arange(_phase(self._frames, step), length, step))
        return [int(frame) for frame in frames]

    def cover(self, frames: Iterable[int]) -> bool:
        """Return whether each of ``frames`` has rows."""
        return bool(np.isin(list(frames), self._frames).all())

    def questions(self) -> tuple[Question, ...]:
        """Return what has to be answered before these labels are trained on."""
        if self._rule is not None or (seen := self._sparse) is None:
            return ()
        grid = self.grid
        every = "" if grid is None else f"labelled=every:{grid.step} (every {_nth(grid.step)}), "
        return (
            Question(
                f"{seen}: the others may be empty, or not labelled",
                f"say which frames are labelled: {every}labelled=rows (those with rows) or "
                "labelled=all (every one, the others are empty)",
            ),
        )

    def notes(self, length: int) -> tuple[str, ...]:
        """Return what the user should know of the labelled frames of a video of ``length``."""
        notes = []
        if self._rule == "all" and self._sparse is not None:
            notes.append(f"{self._sparse}; labelled=all reads the others as empty")
        if self._rule in (None, "all") and (last := self._ends_early(length)) is not None:
            notes.append(
                f"no rows after frame {last} (of 0 to {length - 1}): the last {length - 1 - last} "
                "frames count as empty, unless labelled=rows or labelled=every:N leaves them out"
            )
        if self._rule not in (None, "all"):
            notes += self._told_notes(length)
        return tuple(notes)

    @cached_property
    def grid(self) -> Grid | None:
        """The grid that the frames with rows fall on, where there is enough evidence of one."""
        frames = self._frames
        if len(frames) < GRID_FRAMES:
            return None
        steps = Counter(int(step) for step in np.diff(frames))
        step = steps.most_common(1)[0][0]
        if step < 2:
            return None
        first = _phase(frames, step)
        on = frames[frames % step == first]
        filled = len(on) >= GRID_FILLED * ((on[-1] - on[0]) // step + 1)
        enough = len(on) >= LONE_FRAMES or (len(on) >= GRID_FRAMES and filled)
        return Grid(step, first) if enough and len(on) >= GRID_SHARE * len(frames) else None

    @property
    def _sparse(self) -> str | None:
        """What makes the rows look like key frames, if anything does."""
        frames = self._frames
        if self.grid is not None:
            step, first = self.grid
            places = ", ".join(str(first + step * k) for k in range(3))
            return f"has rows on every {_nth(step)} frame only ({places}, ... counted from 0)"
        if len(frames) >= LONE_FRAMES and np.diff(frames).min() > 1:
            return f"has rows on {len(frames)} frames, no two of them neighbours"
        return None

    @property
    def _told_step(self) -> int:
        match = _EVERY.fullmatch(self._rule or "")
        assert match is not None
        return int(match[1])

    def _told_notes(self, length: int) -> list[str]:
        found = self.labelled(length)
        empty = len(found) - int((self._frames < length).sum())
        notes = []
        if len(found) < length:
            text = f"{len(found)} of {length} frames are labelled (labelled={self._rule})"
            notes.append(f"{text}, {empty} of them empty" if empty else text)
        if self._rule != "rows" and self.grid is not None and self._told_step % self.grid.step:
            notes.append(
                f"labelled={self._rule}, but {self._sparse}: {empty} frames without rows count as "
                "empty"
            )
        return notes

    def _ends_early(self, length: int) -> int | None:
        """Return the last frame with rows, where more follow than any other gap has."""
        frames = self._frames[self._frames < length]
        if not len(frames):
            return None
        last = int(frames[-1])
        after = length - 1 - last
        widest = int(np.diff(frames).max()) - 1 if len(frames) > 1 else 0
        long = after >= max(END_FRAMES, length // 10) and after > 2 * widest
        return last if long else None


def _phase(frames: npt.NDArray[np.int64], step: int) -> int:
    """Return the remainder that most of ``frames`` leave; of several the least."""
    counts = np.bincount(frames % step, minlength=step)
    return int(np.argmax(counts))


def _nth(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
