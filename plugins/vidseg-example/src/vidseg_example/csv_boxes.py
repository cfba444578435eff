"""Folders of frames with their boxes in a CSV file beside them.

Layout: ``frames/NAME/*.png`` (or jpg) and ``NAME.csv`` with a header and the columns ``frame``
(0-based, in the order of the file names), ``left``, ``top``, ``width``, ``height`` (pixels, from 0)
and, optional, ``id`` (track) and ``ignore`` (1: counts neither as foreground nor as background).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

COLUMNS = ("frame", "left", "top", "width", "height")
SUFFIXES = (".png", ".jpg", ".jpeg")


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int


class Info(NamedTuple):
    """What a video is: number of frames, their size, frames per second where known."""

    length: int
    size: Size
    fps: float | None = None


@dataclass(frozen=True)
class Boxes:
    """The labels of one frame: ``boxes`` is ``float64 (n, 4)``, left, top, width, height."""

    size: Size
    boxes: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]
    origin: float = 0.0
    mask: None = None


class CsvBoxes:
    """Folders of frames, ``frames/NAME``, and a table of boxes for each, ``NAME.csv``.

    Args:
        path: the folder that holds ``frames`` and the tables.
    """

    contract: ClassVar[int] = 1

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        if not (self.path / "frames").is_dir():
            raise ValueError(f"{self.path} holds no folder 'frames'")
        self.name = self.path.resolve().name

    def videos(self) -> list[FolderVideo]:
        """Return one video for each folder of frames.

        Raises:
            ValueError: there is none, one is empty, or one has no table.
        """
        folders = sorted(folder for folder in (self.path / "frames").iterdir() if folder.is_dir())
        if not folders:
            raise ValueError(f"{self.path / 'frames'} holds no folder")
        return [self._video(folder) for folder in folders]

    def _video(self, folder: Path) -> FolderVideo:
        files = tuple(sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES))
        table = self.path / f"{folder.name}.csv"
        if not files:
            raise ValueError(f"{folder} holds no image")
        if not table.is_file():
            raise ValueError(f"{table} is missing: the boxes of {folder}")
        return FolderVideo(folder.name, files, table)


@dataclass(frozen=True)
class FolderVideo:
    """One folder of frames. Each is a scene, and so a group, of its own."""

    name: str
    files: tuple[Path, ...]
    table: Path

    @property
    def group(self) -> str:
        """The scene: no split puts one group on both sides."""
        return self.name

    @cached_property
    def image_key(self) -> str:
        """Hash of the frames' bytes: the same wherever they lie."""
        whole = hashlib.sha256()
        for file in self.files:
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()

    @cached_property
    def label_key(self) -> str:
        """Hash of the table's bytes."""
        return hashlib.sha256(self.table.read_bytes()).hexdigest()

    def probe(self) -> Info:
        """Return the number of frames and their size."""
        return Info(len(self.files), self._size)

    def frames(self, indices: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield frames as ``uint8 (H, W, 3)`` RGB."""
        from PIL import Image

        for index in indices:
            with Image.open(self.files[index]) as image:
                yield np.array(image.convert("RGB"))

    def labels(self, index: int, source: str = "truth") -> Boxes:
        """Return the boxes of one frame.

        Raises:
            ValueError: a source other than ``truth``, or a row that cannot be read.
        """
        if source != "truth":
            raise ValueError(f"{self.name} has no labels {source!r}, only 'truth'")
        rows = np.array(self._by_frame.get(index, []), np.float64).reshape(-1, 6)
        return Boxes(self._size, rows[:, :4], rows[:, 4].astype(np.int64), rows[:, 5] != 0)

    @cached_property
    def _size(self) -> Size:
        from PIL import Image

        with Image.open(self.files[0]) as image:
            return Size(image.height, image.width)

    @cached_property
    def _by_frame(self) -> dict[int, list[list[float]]]:
        found: dict[int, list[list[float]]] = {}
        with self.table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{self.table} has no column {', '.join(missing)}")
            for row in reader:
                frame, values = self._read(row, reader.line_num)
                found.setdefault(frame, []).append(values)
        return found

    def _read(self, row: dict[str, Any], line: int) -> tuple[int, list[float]]:
        where = f"{self.table}:{line}"
        try:
            frame = int(row["frame"])
            box = [float(row[name]) for name in COLUMNS[1:]]
            more = [float(row.get(name) or 0) for name in ("id", "ignore")]
        except (TypeError, ValueError):
            raise ValueError(f"{where}: a number is missing or malformed") from None
        if not 0 <= frame < len(self.files):
            raise ValueError(f"{where}: there is no frame {frame}, only {len(self.files)} frames")
        if not np.isfinite(box).all() or min(box[2:]) < 0:
            raise ValueError(f"{where}: the box is not finite or has a negative side")
        return frame, box + more
