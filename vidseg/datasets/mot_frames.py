"""Which picture a row of a box file belongs to: by its number, or by its place.

MOT counts pictures from 1 and names them so. Exports and hand-made folders do not: their pictures
begin at 0 or at 101, are every fifth, or are called by the time. A row belongs to the picture of
its number where all rows find one; to the picture of its place where that is the only reading
under which every row has a picture; else the rows are refused. Nothing is renumbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.datasets.mot_rows import BoxRows
from vidseg.errors import DataError

Match = Literal["auto", "number", "position"]

Indices = npt.NDArray[np.int64]

_HOW = (
    "see that rows and pictures count alike, or say how they belong together: match=number (rows "
    "without a picture are dropped) or match=position"
)


class Matched(NamedTuple):
    """Where rows belong.

    Attributes:
        places: ``int64 (n,)`` 0-based frame of each row, -1 where the row is dropped.
        notes: how rows were matched where it is not MOT's own way.
        mismatches: rows that were dropped, with counts.
    """

    places: Indices
    notes: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()


def by_place(rows: BoxRows) -> Matched:
    """Return the places of rows that count frames, from 1, or from 0 where one has a 0.

    The length of the video may be unknown: places beyond its end are the caller's to refuse.
    """
    first = int(rows.frames.min() > 0)
    notes = () if first else ("rows count frames from 0",)
    return Matched(rows.frames - first, notes)


def match_rows(
    rows: BoxRows,
    files: Sequence[Path],
    numbers: Sequence[int] | None,
    *,
    announced: int | None = None,
    how: Match = "auto",
) -> Matched:
    """Return which picture each row belongs to.

    Args:
        rows: of the box file.
        files: the pictures in order.
        numbers: in their names, ascending; None where the names are no sequence.
        announced: what ``seqLength`` says. Cut-down copies of a sequence keep its whole annotation:
            rows behind the last picture are dropped where they were announced.
        how: number and position leave nothing to find.

    Raises:
        DataError: rows without a picture, or more than one way to read them.
    """
    if numbers is None and how == "number":
        raise DataError(
            f"the names of the pictures, such as {files[0].name}, are no numbers in order",
            where=files[0].parent,
            hint="use match=position",
        )
    told = "as told" if how == "position" else ""
    if numbers is None:
        return _placed(rows, len(files), announced, told)
    numbered = np.asarray(numbers, np.int64)
    from_one = (numbered[0], numbered[-1]) == (1, len(numbered))
    if how == "position":
        return _placed(rows, len(files), announced if from_one else None, told)
    index, found = _look_up(rows.frames, numbered)
    if how == "auto" and not found.all():
        if _fits_places(rows, numbered, found):
            return _placed(rows, len(files), None, f"pictures are {_named(files)}")
        if not (found | _left_out(rows, numbered, announced)).all():
            raise _without_picture(rows, files, numbered, found)
    return Matched(index, _how_numbered(files, numbered), _dropped(rows, ~found))


def _left_out(rows: BoxRows, numbers: Indices, announced: int | None) -> npt.NDArray[np.bool_]:
    """Return which rows are announced, and behind pictures that begin as the rows do."""
    begins = numbers[0] == 1 or bool((rows.frames == numbers[0]).any())
    behind = (rows.frames > numbers[-1]) & (rows.frames <= (announced or 0))
    return behind if begins else np.zeros_like(behind)


def _look_up(frames: Indices, numbers: Indices) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Return each frame's place among the numbers, -1 where absent, and whether it is there."""
    place = np.searchsorted(numbers, frames).clip(max=len(numbers) - 1)
    found = numbers[place] == frames
    return np.where(found, place, -1), found


def _fits_places(rows: BoxRows, numbers: Indices, found: npt.NDArray[np.bool_]) -> bool:
    """Return whether rows count the pictures, and cannot be meant by number.

    Pictures without gaps differ from places by one shift. Elsewhere most rows have to have no
    picture of their number: otherwise some pictures may be missing instead.
    """
    first = int(rows.frames.min() > 0)
    if rows.frames.max() - first >= len(numbers):
        return False
    gapless = numbers[-1] - numbers[0] == len(numbers) - 1
    present = len(np.unique(rows.frames[found])) / len(np.unique(rows.frames))
    return bool(gapless or present <= 0.5)


def _placed(rows: BoxRows, length: int, announced: int | None, why: str) -> Matched:
    index, counted, _ = by_place(rows)
    beyond = index >= length
    last = int(rows.frames[~beyond].max(initial=0))
    if (rows.frames[beyond] > max(last, announced or 0)).any():
        raise _beyond(rows, beyond, length)
    plain = not counted and why == ""
    first = 0 if counted else 1
    where = f"{why}, rows" if why else "rows"
    notes = () if plain else (f"{where} count pictures from {first} and are matched in order",)
    return Matched(np.where(beyond, -1, index), notes, _dropped(rows, beyond))


def _how_numbered(files: Sequence[Path], numbers: Indices) -> tuple[str, ...]:
    if numbers[0] == 1 and numbers[-1] == len(numbers):
        return ()
    return (f"pictures are {_named(files)}: rows are matched with the numbers in their names",)


def _named(files: Sequence[Path]) -> str:
    first, last = files[0].name, files[-1].name
    return f"{first} to {last}" if len(files) > 1 else first


def _dropped(rows: BoxRows, dropped: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    if not dropped.any():
        return ()
    absent = len(np.unique(rows.frames[dropped]))
    return (f"{int(dropped.sum())} rows for {absent} absent frames are dropped",)


def _without_picture(
    rows: BoxRows, files: Sequence[Path], numbers: Indices, found: npt.NDArray[np.bool_]
) -> DataError:
    if numbers[0] == 1 and numbers[-1] == len(numbers) and rows.frames.min() > 0:
        return _beyond(rows, ~found, len(files))
    absent = np.unique(rows.frames[~found])
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    inside = (absent < numbers[-1]).any()
    at = int(np.argmax(~found))
    return DataError(
        f"frame {absent[0]:06d}{more} {'missing' if inside else 'not there'}: rows have "
        f"{'it' if not more else 'them'}, but pictures are {_named(files)}",
        where=f"{rows.file}:{rows.lines[at]}",
        hint=_HOW,
    )


def _beyond(rows: BoxRows, beyond: npt.NDArray[np.bool_], length: int) -> DataError:
    at = int(np.argmax(beyond))
    return DataError(
        f"label for frame {rows.frames[at]}, but only {length} frames exist",
        where=f"{rows.file}:{rows.lines[at]}",
        hint="restore the pictures; match=number drops rows without one",
    )
