"""YOLO: ``data.yaml``, ``images/VIDEO/00000.jpg`` and ``labels/VIDEO/00000.txt``.

Boxes are detection rows, masks are segmentation rows: the outline of each connected part along the
edges of its pixels, holes by seams. A frame that shows nothing has an empty file, one that is not
labelled has none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from vidseg.datasets.writers.base import Writer, WrittenVideo, text_of
from vidseg.datasets.writers.outline import outline
from vidseg.datasets.writers.regions import Boxes, given_boxes, mask_of, parts_of, settled
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.types import Labels, Size

_HEAD = """# Written by vidseg convert. val names the same pictures as train, because trainers ask
# for it: split by scene before you train elsewhere.
"""


class YoloWriter(Writer):
    """Writes a YOLO data set of one class."""

    dataset = "yolo"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._kinds: set[str] = set()
        self._absent = self._empty = 0

    def picture(self, video: str, index: int) -> Path:
        """Return ``images/VIDEO/00000``."""
        return Path("images", video, f"{index:05d}")

    def start(self, video: WrittenVideo) -> None:
        """Make the folder of the label files."""
        self._video = video
        (self.root / "labels" / video.name).mkdir(parents=True)

    def frame(self, index: int, labels: Labels) -> None:
        """Write a label file."""
        where = f"{self._video.name}, frame {index}"
        rows = self._boxes(labels, where) if labels.mask is None else self._parts(labels, where)
        file = self.root / "labels" / self._video.name / f"{index:05d}.txt"
        lines = [" ".join(["0", *map(text_of, row)]) + "\n" for row in rows]
        file.write_text("".join(lines), encoding="utf-8")
        self.left += len(rows)
        self._empty += not rows

    def _boxes(self, labels: Labels, where: str) -> list[list[float]]:
        boxes, ids, ignored = given_boxes(labels, where)
        self.losses.add("ignored box", "left out, becomes background", int(ignored.sum()))
        given = boxes[~ignored]
        sides = _inside(given, labels.size)
        flat = (sides[:, 2:] <= 0).any(axis=1)
        cut = (sides != given).any(axis=1) & ~flat
        self.losses.add("box", "has no area in the frame and is left out", int(flat.sum()))
        self.losses.add("box", "cut at the border of the frame", int(cut.sum()))
        self.losses.add("box", "keeps no track", int((ids[~ignored][~flat] >= 0).sum()))
        kept = settled(
            sides[~flat], lambda one: _from_shares(_shares(one, labels.size), labels.size)
        )
        rows = _shares(kept, labels.size)
        self._kinds |= {"box"} if len(rows) else set()
        return [list(map(float, row)) for row in rows]

    def _parts(self, labels: Labels, where: str) -> list[list[float]]:
        mask = mask_of(labels, where)
        size = Size(*mask.shape)
        left_out = len(parts_of(mask == IGNORED))
        self.losses.add("ignored region", "left out, becomes background", left_out)
        rows = []
        for part in parts_of(mask == FOREGROUND):
            corners = outline(part.inside) + part.box[:2]
            rows.append([float(v) for v in (corners / (size.width, size.height)).ravel()])
        self._kinds |= {"outline"} if rows else set()
        return rows

    def end(self) -> None:
        """Count frames without a label file."""
        self._absent += self._video.unlabelled

    def finish(self) -> None:
        """Write ``data.yaml``."""
        content = {"path": ".", "train": "images", "val": "images", "names": {0: self.label}}
        text = _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (self.root / "data.yaml").write_text(text, encoding="utf-8")
        if len(self._kinds) > 1:
            what = "holds boxes and outlines, trainers ask for one kind"
            self.losses.add("data set", what)
        if self._absent and not self._empty:
            self.options = ",labelled=rows"


def _inside(boxes: Boxes, size: Size) -> Boxes:
    """Return the parts of boxes that lie in the frame, as trainers ask for it."""
    end = np.array([size.width, size.height], np.float64)
    start = np.clip(boxes[:, :2], 0, end)
    stop = np.clip(boxes[:, :2] + boxes[:, 2:], 0, end)
    over = np.any((boxes[:, :2] < 0) | (boxes[:, :2] + boxes[:, 2:] > end), axis=1, keepdims=True)
    return np.where(over, np.concatenate([start, stop - start], axis=1), boxes)


def _shares(boxes: Boxes, size: Size) -> Boxes:
    """Return centre, width and height as shares of the frame."""
    sides = (size.width, size.height) * 2
    centres = np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    return np.asarray(centres / sides)


def _from_shares(rows: Boxes, size: Size) -> Boxes:
    corners = np.concatenate([rows[:, :2] - rows[:, 2:] / 2, rows[:, 2:]], axis=1)
    return np.asarray(corners * ((size.width, size.height) * 2))
