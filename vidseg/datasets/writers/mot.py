"""MOT: ``VIDEO/img1/000001.jpg``, ``VIDEO/gt/gt.txt`` and ``VIDEO/seqinfo.ini``.

Frames and pixels count from 1. With ignored boxes anywhere the rows have MOT15's 10 columns (conf 0
is ignored), else the 9 of MOT16 (active 1, class 1, visibility 1).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from vidseg.datasets.writers.base import Writer, WrittenVideo, text_of
from vidseg.datasets.writers.regions import boxes_of, settled
from vidseg.types import Labels

_ORIGIN = 1

Row = tuple[int, int, list[float], bool]


class MotWriter(Writer):
    """Writes MOT sequences."""

    dataset = "mot"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._rows: dict[str, list[Row]] = {}
        self._sparse = False

    def picture(self, video: str, index: int) -> Path:
        """Return ``VIDEO/img1/000001``."""
        return Path(video, "img1", f"{index + 1:06d}")

    def start(self, video: WrittenVideo) -> None:
        """Write ``seqinfo.ini``."""
        self._video, self._with_rows, self._taken = video, 0, 0
        self._rows[video.name] = []
        suffix = f"imExt={video.suffix}\n" if video.suffix else ""
        fps = f"frameRate={text_of(video.info.fps)}\n" if video.info.fps else ""
        (self.root / video.name / "seqinfo.ini").write_text(
            f"[Sequence]\nname={video.name}\nimDir=img1\n{fps}seqLength={video.info.length}\n"
            f"imWidth={video.info.size.width}\nimHeight={video.info.size.height}\n{suffix}",
            encoding="utf-8",
        )

    def frame(self, index: int, labels: Labels) -> None:
        """Keep the rows of a frame."""
        boxes, ids, ignored = boxes_of(labels, self.losses, f"{self._video.name}, frame {index}")
        origin = np.array([_ORIGIN, _ORIGIN, 0, 0])
        boxes = settled(boxes, lambda one: (one + origin) - origin) + origin
        own: set[int] = set()
        rows = self._rows[self._video.name]
        for box, number, left_out in zip(boxes.tolist(), ids.tolist(), ignored, strict=True):
            if box[2] <= 0 or box[3] <= 0:
                self.losses.add("box", "has no area and is left out")
                continue
            if number < 0 or number in own:
                self.losses.add(
                    "box", "no track of its own: its row has an id that no other frame has"
                )
                number = -1
            own.add(number)
            rows.append((index + 1, number, box, bool(left_out)))
        self._with_rows += bool(own)

    def end(self) -> None:
        """Count what a file of rows cannot say of frames without one."""
        video = self._video
        self.left += len(self._rows[video.name])
        if video.unlabelled:
            self.options = ",labelled=rows"
            self.losses.add(
                "frame",
                "not labelled; MOT has no sign for it, read it with labelled=rows",
                video.unlabelled,
            )
            self.losses.add(
                "frame",
                "labelled as empty, which labelled=rows takes for not labelled",
                len(video.labelled) - self._with_rows,
            )

    def finish(self) -> None:
        """Write ``gt.txt`` of each sequence."""
        ignored = any(row[3] for rows in self._rows.values() for row in rows)
        for name, rows in self._rows.items():
            if not rows:
                self.losses.add("video", "has no box, and is left out")
                shutil.rmtree(self.root / name)
                continue
            following = max(0, *(row[1] for row in rows)) + 1
            folder = self.root / name / "gt"
            folder.mkdir()
            with (folder / "gt.txt").open("w", encoding="utf-8") as file:
                for frame, number, box, left_out in rows:
                    if number < 0:
                        number, following = following, following + 1
                    tail = (0 if left_out else 1, -1, -1, -1) if ignored else (1, 1, 1)
                    sides = ",".join(map(text_of, box))
                    file.write(f"{frame},{number},{sides},{','.join(map(str, tail))}\n")
