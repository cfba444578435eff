"""A person's word on which videos are one scene: a CSV file of video and group."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vidseg.errors import DataError
from vidseg.media.image_folder import locate
from vidseg.utils.suggest import did_you_mean

HEAD = ("video", "group")
_SHOWN = 5
_MOST_BYTES = 64 * 2**20


class Groups(NamedTuple):
    """The group of every video, by name, and what the user should see."""

    by_video: dict[str, str]
    notes: tuple[str, ...]


def read_groups(path: str, videos: Sequence[str]) -> Groups:
    """Read the groups of all videos from a CSV file with the columns video and group.

    The first row may name the columns. A relative path is looked up as those of data sets are.

    Args:
        path: the file.
        videos: names of the videos of the experiment.

    Raises:
        DataError: no such file, a row that is not a video and its group, a video with two
            groups, or videos that the file does not name.
    """
    where = f"groups {path}"
    file = locate(path, what=where, or_file=True)
    if file.is_dir():
        raise DataError("a folder, not a file", where=where, hint="name a CSV file: video,group")
    found: dict[str, str] = {}
    for row, video, group in _rows(file, where):
        if found.setdefault(video, group) != group:
            raise DataError(
                f"row {row}: {video} is in group {found[video]} and in {group}", where=where
            )
    missing = [video for video in videos if video not in found]
    absent = [video for video in found if video not in set(videos)]
    if missing:
        near = did_you_mean(missing[0], absent)
        hint = f"{near}add a row for each: video,group"
        raise DataError(f"no group for {_listed(missing)}", where=where, hint=hint)
    notes = (f"{where}: there is no video {_listed(absent)}",) if absent else ()
    return Groups({video: found[video] for video in videos}, notes)


def _rows(file: Path, where: str) -> Iterator[tuple[int, str, str]]:
    """Yield number of the row, video and group."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise DataError("larger than 64 MiB: not a list of groups", where=where)
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        rows = list(csv.reader(lines, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read as CSV ({reason})", where=where) from error
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and tuple(cells) == HEAD):
            continue
        if len(cells) != len(HEAD) or not all(cells):
            raise DataError(
                f"row {number} is {','.join(row)!r}, not video,group",
                where=where,
                hint='write a name that holds a comma in quotes: "a, b",street',
            )
        yield number, cells[0], cells[1]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
