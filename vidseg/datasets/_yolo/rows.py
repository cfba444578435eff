"""The rows of YOLO's label files: a box or a polygon each, as shares of width and height."""

from __future__ import annotations

import math
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from vidseg.datasets.polygons import Polygon
from vidseg.datasets.shapes import Box
from vidseg.errors import BadRowsError, DataError

FARTHEST = 2.0
"""A coordinate beyond is no share of the picture; below, a label that reaches over the border."""
_SLACK = 0.01
"""So far over the border is rounding."""
_BOX_COLUMNS = 5


class YoloRow(NamedTuple):
    """One row of a label file.

    Attributes:
        number: of the class, from 0.
        box: left, top, width, height as shares of the picture, or None for a polygon.
        polygon: ``float64 (n, 2)`` x and y as shares of the picture, or None for a box.
        outside: whether a part of a polygon lies outside of the picture.
    """

    number: int
    box: Box | None
    polygon: Polygon | None
    outside: bool


def read_rows(file: Path, names: Container[int] | None, keypoints: int = 0) -> list[YoloRow]:
    """Return the rows of a label file; none of an empty one.

    A row is ``class cx cy w h`` (a box) or ``class x1 y1 x2 y2 x3 y3 ...`` (a polygon).

    Args:
        file: the label file of one picture.
        names: the class numbers that there are, or None where they are not known.
        keypoints: numbers that follow each box in a file of poses; they are left out.

    Raises:
        DataError: malformed rows (:class:`~vidseg.errors.BadRowsError` where there are several);
            names file and line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read as text", where=file) from error
    rows: list[YoloRow] = []
    faults: list[DataError] = []
    for line, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            try:
                rows.append(_row(file, line, row, names, keypoints))
            except DataError as fault:
                faults.append(fault)
    if faults:
        raise faults[0] if len(faults) == 1 else BadRowsError(faults)
    return rows


def _row(file: Path, line: int, row: str, names: Container[int] | None, keypoints: int) -> YoloRow:
    values = _numbers(file, line, row)
    number = _class(file, line, values[0], names)
    if keypoints and len(values) == _BOX_COLUMNS + keypoints:
        values = values[:_BOX_COLUMNS]
    return _shape(file, line, number, values)


def _numbers(file: Path, line: int, row: str) -> list[float]:
    try:
        values = [float(value) for value in row.split()]
    except ValueError:
        _refuse(file, line, f"not a row of numbers: {row.strip()[:60]!r}")
    if not all(map(math.isfinite, values)):
        _refuse(file, line, "a number is not finite")
    return values


def _class(file: Path, line: int, value: float, names: Container[int] | None) -> int:
    if value != int(value) or value < 0:
        _refuse(file, line, f"class {value:g} is no whole number from 0 on")
    if names is not None and int(value) not in names:
        _refuse(file, line, f"class {value:g} is not in names")
    return int(value)


def _shape(file: Path, line: int, number: int, values: list[float]) -> YoloRow:
    if any(abs(value) > FARTHEST for value in values[1:]):
        _refuse(file, line, "coordinates are shares of width and height (0 to 1), these are pixels")
    if len(values) == _BOX_COLUMNS:
        _, cx, cy, w, h = values
        if w <= 0 or h <= 0:
            _refuse(file, line, "width and height must be positive")
        box = (cx - w / 2, cy - h / 2, w, h)
        return YoloRow(number, box, None, False)
    if len(values) == _BOX_COLUMNS + 1:
        _refuse(file, line, "6 columns: a confidence or a track? Labels have 5, delete the last")
    if len(values) < 7 or len(values) % 2 == 0:
        _refuse(file, line, f"{len(values)} columns; a box has 5, a polygon 7, 9, 11, ...")
    polygon = np.array(values[1:]).reshape(-1, 2)
    return YoloRow(
        number, None, polygon, bool((polygon < -_SLACK).any() or (polygon > 1 + _SLACK).any())
    )


def _refuse(file: Path, line: int, what: str) -> NoReturn:
    raise DataError(what, where=f"{file}:{line}", hint="mend or delete the row")
