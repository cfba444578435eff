"""The frames that ``vidseg select`` chose, found again in the videos that are annotated."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidseg.curate.footage import Footage
from vidseg.errors import DataError


def read_frame_list(file: Path, videos: Sequence[Footage]) -> tuple[list[list[int]], int]:
    """Return the listed frames of each video, ascending, and how many are of other videos.

    Args:
        file: of ``vidseg select``: a line for each frame (a picture, or ``CLIP#INDEX``), or a CSV
            with the columns ``file`` and ``frame``.
        videos: that are annotated.

    Raises:
        DataError: it cannot be read, a line is malformed, or no frame is of these videos.
    """
    clips = {video.path.resolve(): place for place, video in enumerate(videos)}
    pictures = {
        picture.resolve(): (place, index)
        for place, video in enumerate(videos)
        for index, picture in enumerate(getattr(video.images, "files", ()))
    }
    found: list[set[int]] = [set() for _ in videos]
    others = 0
    for path, index in _rows(file):
        resolved = path.resolve()
        if resolved in pictures:
            place, index = pictures[resolved]
        elif resolved in clips and index is not None:
            place = clips[resolved]
        else:
            others += 1
            continue
        found[place].add(index)
    if not any(found):
        raise DataError(
            "lists no frame of these videos",
            where=file,
            hint="open the clips or folders that were given to `vidseg select`",
        )
    return [sorted(frames) for frames in found], others


def _rows(file: Path) -> Iterator[tuple[Path, int | None]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "not text"
        raise DataError(f"cannot be read ({what})", where=file) from error
    lines = text.splitlines()
    if lines and {"file", "frame"} <= set(lines[0].split(",")):
        for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
            yield Path(row["file"] or ""), _index(row["frame"], f"{file}:{number}")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        path, mark, index = line.rpartition("#")
        if mark and index.isdecimal():
            yield Path(path), _index(index, f"{file}:{number}")
        else:
            yield Path(line), None


def _index(text: str | None, where: str) -> int:
    if text is None or not text.isdecimal() or len(text) > 9:
        raise DataError(f"{text!r} is no number of a frame", where=where)
    return int(text)
