"""The rows of MOTChallenge's ``gt.txt``, and what they mean: foreground, ignored, background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.datasets.base import VideoBoxes
from vidseg.errors import DataError, UsageError

FRAME, _ID, _BOX, _ACTIVE, _CLASS, _VISIBILITY = 0, 1, slice(2, 6), 6, 7, 8

_DISTRACTORS = (2, 7, 8, 12)
"""Person on a vehicle, static person, distractor, reflection: whether a tracker finds them or not
counts for nothing in MOT16 and MOT17 (TrackEval, ``mot_challenge_2d_box.py``)."""
_MOT20_DISTRACTORS = (*_DISTRACTORS, 6)
"""MOT20 has non-motorised vehicles too."""

Classes = tuple[Annotated[int, Field(ge=1)], ...]
IgnoreClasses = tuple[Annotated[int, Field(ge=1)] | Literal["mot"], ...]
Visibility = Annotated[float, Field(ge=0, le=1)]


class LabelRule(NamedTuple):
    """What the rows of a file of 9 columns mean.

    Attributes:
        classes: active boxes of these classes are foreground.
        ignore_classes: boxes of these classes are ignored, active or not; ``"mot"`` among them
            stands for MOTChallenge's own.
        min_visibility: foreground boxes that are visible to a smaller share are ignored, 0..1.
    """

    classes: tuple[int, ...] = (1,)
    ignore_classes: IgnoreClasses = ()
    min_visibility: float = 0.0

    @classmethod
    def of(
        cls, classes: Classes, ignore_classes: IgnoreClasses, min_visibility: Visibility
    ) -> LabelRule:
        """Return the rule that these options of a plugin make.

        Raises:
            UsageError: a class is foreground and ignored.
        """
        both = set(classes) & {one for one in ignore_classes if one != "mot"}
        if both:
            raise UsageError(
                f"class {min(both)} is both foreground and ignored",
                where="ignore_classes",
                hint="name it once",
            )
        return cls(classes, ignore_classes, min_visibility)

    def ignored_classes(self, sequence: str) -> list[int]:
        """Return the classes that are ignored in a sequence of that name."""
        named = [one for one in self.ignore_classes if one != "mot"]
        if "mot" not in self.ignore_classes:
            return named
        known = _MOT20_DISTRACTORS if sequence.startswith("MOT20") else _DISTRACTORS
        return [*named, *(one for one in known if one not in self.classes)]


def read_rows(file: Path) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Return the rows of a MOT box file.

    Returns:
        ``float64 (n, 9 or 10)`` in the file's order, 1-based, and the line number of each.

    Raises:
        DataError: no rows, or a malformed one; names file and line.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = [float(value) for value in line.split(",")]
        except ValueError:
            refuse_row(file, number, f"not a row of numbers: {line.strip()[:60]!r}")
        if len(row) not in (9, 10):
            refuse_row(file, number, f"{len(row)} columns; MOT16/17/20 have 9, MOT15 has 10")
        if rows and len(row) != len(rows[0]):
            refuse_row(file, number, f"{len(row)} columns, the rows before have {len(rows[0])}")
        rows.append(row)
        lines.append(number)
    if not rows:
        raise DataError("holds no row", where=file, hint="ground truth is needed")
    table = np.array(rows)
    _check_rows(file, table, lines)
    return table, lines


def _check_rows(file: Path, rows: npt.NDArray[np.float64], lines: list[int]) -> None:
    whole = rows[:, [FRAME, _ID]]
    with np.errstate(invalid="ignore"):
        faults = {
            "a number is not finite": ~np.isfinite(rows).all(axis=1),
            "frame and id must be whole numbers": (whole != np.rint(whole)).any(axis=1),
            "frames count from 1": rows[:, FRAME] < 1,
            "width and height must be positive": (rows[:, 4:6] <= 0).any(axis=1),
        }
    for what, wrong in faults.items():
        if wrong.any():
            refuse_row(file, lines[int(np.argmax(wrong))], what)


def refuse_row(file: Path, line: int, what: str) -> None:
    """Raise a DataError that names the line."""
    raise DataError(what, where=f"{file}:{line}", hint="mend or delete the row")


def select_rows(
    rows: npt.NDArray[np.float64], rule: LabelRule, *, sequence: str, file: Path
) -> VideoBoxes:
    """Keep the rows that are foreground or ignored.

    Args:
        rows: of :func:`read_rows`.
        rule: what rows of 9 columns mean; of 10 columns all are persons, conf 0 is ignored.
        sequence: name of the sequence.
        file: named in errors.

    Raises:
        DataError: ``min_visibility`` is asked for, and the file does not state the visibility.
    """
    if rows.shape[1] == 9:
        wanted = (rows[:, _ACTIVE] == 1) & np.isin(rows[:, _CLASS], rule.classes)
        ignored = np.isin(rows[:, _CLASS], rule.ignored_classes(sequence))
        if rule.min_visibility > 0:
            ignored |= wanted & (_visibility(rows, wanted, file) < rule.min_visibility)
        kept = wanted | ignored
        rows, ignored = rows[kept], ignored[kept]
    elif rule.min_visibility > 0:
        _refuse_visibility(file, "has 10 columns (MOT15), none of them the visibility")
    else:
        ignored = rows[:, _ACTIVE] == 0
    order = np.argsort(rows[:, FRAME], kind="stable")
    rows = rows[order]
    return VideoBoxes(
        rows[:, FRAME].astype(np.int64) - 1,
        rows[:, _ID].astype(np.int64),
        np.ascontiguousarray(rows[:, _BOX]),
        ignored[order],
    )


def _visibility(
    rows: npt.NDArray[np.float64], wanted: npt.NDArray[np.bool_], file: Path
) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = rows[:, _VISIBILITY]
    if (wanted & ((shares < 0) | (shares > 1))).any():
        _refuse_visibility(file, "has a visibility outside 0..1")
    return shares


def _refuse_visibility(file: Path, what: str) -> None:
    raise DataError(
        what,
        where=file,
        hint="leave min_visibility out, or that sequence (exclude=)",
    )
