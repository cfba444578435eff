"""The annotation of VIRAT aerial sequences: one file per track, four lines per frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from vidseg.datasets.base import VideoBoxes
from vidseg.errors import DataError

_PER_FRAME = 4
_HEAD = 2


def read_length(folder: Path) -> int:
    """Return the number of frames that ``size.txt`` of a sequence's folder states.

    Raises:
        DataError: no such file, or not one positive whole number.
    """
    return _read_count(folder / "size.txt", least=1)


def read_tracks(folder: Path, length: int) -> VideoBoxes:
    """Read the track files of a sequence.

    Args:
        folder: holds ``nbtrack.txt`` and ``0.txt``, ``1.txt``, ...
        length: frames of the sequence; no track may reach beyond.

    Returns:
        All boxes; the id is the number of the file, the origin 0, nothing is ignored.

    Raises:
        DataError: files and ``nbtrack.txt`` disagree, or a malformed track; names file and line.
    """
    count = _read_count(folder / "nbtrack.txt", least=0)
    _check_files(folder, count)
    tracks = [_read_track(folder / f"{track}.txt", length) for track in range(count)]
    starts = [start for start, _ in tracks]
    boxes = [boxes for _, boxes in tracks]
    frames = [start + np.arange(len(own)) for start, own in tracks]
    ids = [np.full(len(own), track) for track, own in enumerate(boxes)]
    if not starts:
        return VideoBoxes(*(np.zeros(0, np.int64),) * 2, np.zeros((0, 4)), np.zeros(0, bool))
    order = np.argsort(np.concatenate(frames), kind="stable")
    return VideoBoxes(
        np.concatenate(frames)[order].astype(np.int64),
        np.concatenate(ids)[order].astype(np.int64),
        np.concatenate(boxes)[order],
        np.zeros(len(order), bool),
    )


def _check_files(folder: Path, count: int) -> None:
    found = {int(file.stem) for file in folder.glob("*.txt") if file.stem.isdigit()}
    for track in sorted(set(range(count)) ^ found):
        what = "no such track file" if track < count else "one track file too many"
        raise DataError(
            what, where=folder / f"{track}.txt", hint=f"nbtrack.txt announces {count} tracks"
        )


def _read_track(file: Path, length: int) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the first frame, and the boxes ``float64 (n, 4)`` of the frames from there on."""
    values = _read_lines(file)
    if len(values) < _HEAD:
        raise DataError(
            f"holds {len(values)} lines", where=file, hint="a start and a length come first"
        )
    start, alive = _whole(file, 1, values[0], least=0), _whole(file, 2, values[1], least=1)
    if len(values) != _HEAD + _PER_FRAME * alive:
        raise DataError(
            f"{len(values) - _HEAD} lines follow, {alive} frames need {_PER_FRAME * alive}",
            where=f"{file}:2",
            hint="x, y, w and h of a frame stand on a line each",
        )
    if start + alive > length:
        raise DataError(
            f"the track ends with frame {start + alive - 1}, the last frame is {length - 1}",
            where=f"{file}:2",
            hint="mend the track or size.txt",
        )
    boxes = np.array(values[_HEAD:]).reshape(alive, _PER_FRAME)
    flat = boxes[:, 2:] <= 0
    if flat.any():
        frame, side = np.argwhere(flat)[0]
        line = _HEAD + _PER_FRAME * int(frame) + 2 + int(side) + 1
        _refuse(file, line, "width and height must be positive")
    return start, boxes


def _read_lines(file: Path) -> list[float]:
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error
    values = []
    for number, line in enumerate(text.rstrip().splitlines(), start=1):
        try:
            value = float(line)
        except ValueError:
            _refuse(file, number, f"not a number: {line.strip()[:40]!r}")
        if not math.isfinite(value):
            _refuse(file, number, "the number is not finite")
        values.append(value)
    return values


def _read_count(file: Path, *, least: int) -> int:
    if not file.is_file():
        raise DataError("no such file", where=file, hint="every sequence needs it")
    values = _read_lines(file)
    if len(values) != 1:
        raise DataError(f"holds {len(values)} numbers, one is needed", where=file)
    return _whole(file, 1, values[0], least=least)


def _whole(file: Path, line: int, value: float, *, least: int) -> int:
    if value != int(value) or value < least:
        _refuse(file, line, f"{value:g} is no whole number from {least} on")
    return int(value)


def _refuse(file: Path, line: int, what: str) -> NoReturn:
    raise DataError(what, where=f"{file}:{line}", hint="mend the file")
