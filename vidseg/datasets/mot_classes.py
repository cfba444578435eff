"""How often each class occurs in MOT box files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidseg.datasets.base import ClassCount
from vidseg.datasets.mot_rows import CLASS, BoxRows
from vidseg.datasets.mot_rule import LabelRule, class_names, meanings

_PERSON = 1
"""What MOT15's files hold, which state no class."""


@dataclass(frozen=True)
class ClassRows:
    """The rows of one class that count as one thing, in one video.

    Attributes:
        name: of the class, or its number where the file's names do not have it.
        number: in the file.
        use: ``"foreground"``, ``"ignored"`` or ``"background"``.
        boxes: rows.
        frames: frames that have one.
    """

    name: str
    number: int
    use: str
    boxes: int
    frames: int


def class_rows(
    rows: BoxRows, rule: LabelRule, places: npt.NDArray[np.int64], *, sequence: str
) -> tuple[ClassRows, ...]:
    """Return the classes of one file.

    Args:
        rows: of the file.
        rule: what they mean.
        places: ``int64 (n,)`` 0-based frame of each row; negative ones are not counted.
        sequence: name of the sequence.
    """
    wanted, ignored = meanings(rows, rule, sequence)
    uses = np.select([ignored, wanted], ["ignored", "foreground"], "background")
    own = rows.rows[:, CLASS] if rows.kind != "mot15" else np.full(len(uses), _PERSON)
    names = {one: name for name, ids in reversed(class_names(rows).items()) for one in ids}
    found = []
    for number, use in sorted({(int(n), str(u)) for n, u in zip(own, uses, strict=True)}):
        chosen = (own == number) & (uses == use) & (places >= 0)
        frames = len(np.unique(places[chosen]))
        name = names.get(number, str(number))
        found.append(ClassRows(name, number, use, int(chosen.sum()), frames))
    return tuple(found)


def total(videos: Iterable[Iterable[ClassRows]]) -> list[ClassCount]:
    """Return the counts over all videos of a data set."""
    boxes: Counter[tuple[int, str, str]] = Counter()
    frames: Counter[tuple[int, str, str]] = Counter()
    for own in videos:
        for one in own:
            key = (one.number, one.name, one.use)
            boxes[key] += one.boxes
            frames[key] += one.frames
    return [
        ClassCount(name, number, boxes[number, name, use], frames[number, name, use], use)
        for number, name, use in boxes
    ]
