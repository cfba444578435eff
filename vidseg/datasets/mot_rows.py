"""The rows of a MOT box file: read, checked, and told apart by their columns.

All formats begin with ``frame, id, left, top, width, height``. What follows differs:

* ``mot16`` (MOT16, MOT17, MOT20, CVAT's export), 9 columns: ``active, class, visibility``;
* ``mot15``, 10 columns: ``conf, x, y, z``, the last three -1 or a place in the world;
* ``visdrone``, 10 columns: ``score, category, truncation, occlusion`` (Zhu et al. 2018,
  arXiv:1804.07437).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt

from vidseg.errors import BadRowsError, DataError
from vidseg.utils.lfs import HINT, is_lfs_pointer

FRAME, ID, BOX, ACTIVE, CLASS, VISIBILITY = 0, 1, slice(2, 6), 6, 7, 8

Kind = Literal["mot15", "mot16", "visdrone"]
Format = Literal["auto", "mot15", "mot16", "visdrone"]

Table = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoxRows:
    """The rows of one file.

    Attributes:
        file: where they stand.
        rows: ``float64 (n, 9 or 10)`` in the file's order, as they stand there.
        lines: ``(n,)`` the line of each, from 1.
        kind: what the columns from the seventh on mean.
    """

    file: Path
    rows: Table
    lines: list[int]
    kind: Kind

    @property
    def frames(self) -> npt.NDArray[np.int64]:
        """``int64 (n,)`` the frame number of each row, as it stands in the file."""
        return self.rows[:, FRAME].astype(np.int64)

    @property
    def origin(self) -> float:
        """Coordinate of the first pixel: 1 in MOT (Milan et al. 2016, 4.2), 0 in VisDrone."""
        return 0.0 if self.kind == "visdrone" else 1.0


def read_rows(file: Path, layout: Format = "auto") -> BoxRows:
    """Return the rows of a MOT box file.

    Args:
        file: the text file.
        layout: what its columns mean; auto finds it.

    Raises:
        DataError: no rows, malformed ones (:class:`~vidseg.errors.BadRowsError` where there are
            several; names file and line), or columns that may mean two things.
    """
    table, lines, faults = _parse(file)
    if not faults and not lines:
        raise DataError("holds no row", where=file, hint="ground truth is needed")
    if lines:
        kind = _kind_of(table, layout)
        faults += _faulty(file, table, lines, kind)
        if not faults:
            return BoxRows(file, table, lines, kind or _refuse_ambiguous(file))
    faults.sort(key=lambda fault: fault[0])
    errors = [_bad_row(file, line, what) for line, what in faults]
    raise errors[0] if len(errors) == 1 else BadRowsError(errors)


_Fault = tuple[int, str]


def _parse(file: Path) -> tuple[Table, list[int], list[_Fault]]:
    """Return the rows that are numbers and of the usual width, and the faults of the others."""
    found: list[tuple[int, list[float]]] = []
    faults: list[_Fault] = []
    for number, line in enumerate(_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = [float(value) for value in line.strip().removesuffix(",").split(",")]
        except ValueError:
            faults.append((number, f"not a row of numbers with commas: {line.strip()[:60]!r}"))
            continue
        if len(row) in (9, 10):
            found.append((number, row))
        else:
            what = "MOT16/17/20 have 9, MOT15 and VisDrone 10"
            faults.append((number, f"{len(row)} columns; {what}"))
    widths = Counter(len(row) for _, row in found)
    usual = max(widths, key=lambda width: widths[width], default=9)
    faults += [
        (number, f"{len(row)} columns, the other rows have {usual}")
        for number, row in found
        if len(row) != usual
    ]
    kept = [(number, row) for number, row in found if len(row) == usual]
    table = np.array([row for _, row in kept], np.float64).reshape(len(kept), usual)
    return table, [number for number, _ in kept], faults


def _text(file: Path) -> str:
    if is_lfs_pointer(file):
        raise DataError("is a pointer of Git LFS, no rows", where=file, hint=HINT)
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error


def _kind_of(table: Table, layout: Format) -> Kind | None:
    """Return what the columns mean; None where they may mean two things.

    Of 10 columns, MOT15's last three are -1 throughout, or places in the world that are neither
    all whole nor all within VisDrone's ranges. VisDrone's are whole, within 0 to 11, 0 to 1 and 0
    to 2, and not the same in every row. Anything else could be either, or MOT16 with one more.
    """
    if table.shape[1] == 9:
        return "mot16"
    if layout != "auto":
        return layout
    last = table[:, 7:10]
    if (last == -1).all():
        return "mot15"
    whole = bool((last == np.rint(last)).all())
    if whole and ((last >= 0) & (last <= (11, 1, 2))).all():
        varies = len(np.unique(last[:, 0])) > 1 or len(np.unique(last[:, 1:], axis=0)) > 1
        return "visdrone" if varies and last[:, 0].any() else None
    classes, shares = last[:, 0], last[:, 1]
    like_mot16 = (classes == np.rint(classes)) & (classes >= 0) & (shares >= 0) & (shares <= 1)
    return None if like_mot16.all() else "mot15"


def _refuse_ambiguous(file: Path) -> NoReturn:
    raise DataError(
        "10 columns that may be MOT15's (conf, x, y, z), VisDrone's (score, category, truncation, "
        "occlusion) or MOT16's with one more",
        where=file,
        hint="say which: format=mot15, format=visdrone or format=mot16",
    )


def _faulty(file: Path, table: Table, lines: list[int], kind: Kind | None) -> list[_Fault]:
    """Return the first fault of each row that has one."""
    whole = table[:, [FRAME, ID]]
    with np.errstate(invalid="ignore"):
        faults = {
            "a number is not finite": ~np.isfinite(table).all(axis=1),
            "frame and id must be whole numbers": (whole != np.rint(whole)).any(axis=1),
            "frame is negative": table[:, FRAME] < 0,
            "frame or id is too large": (np.abs(whole) > 2**53).any(axis=1),
            "width and height must be positive": (table[:, 4:6] <= 0).any(axis=1),
        }
        if kind != "mot15":
            what = "class must be a whole number"
            faults[what] = table[:, CLASS] != np.rint(table[:, CLASS])
    found: dict[int, str] = {}
    for what, wrong in faults.items():
        for at in np.flatnonzero(wrong):
            found.setdefault(lines[at], what)
    return list(found.items())


def _bad_row(file: Path, line: int, what: str) -> DataError:
    return DataError(what, where=f"{file}:{line}", hint="mend or delete the row")
