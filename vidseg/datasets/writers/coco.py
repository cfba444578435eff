"""COCO: ``annotations.json`` and ``images/VIDEO/00000.jpg``.

Images have ``video_id`` and ``frame_id``, annotations ``track_id`` where a track is known. Masks
are run-length encoded, one annotation for each connected part; ignored regions are crowds. A frame
that is not labelled is not listed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.datasets.writers.base import Writer, WrittenVideo
from vidseg.datasets.writers.regions import given_boxes, mask_of, parts_of
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.types import Labels

Json = dict[str, Any]

FILE = "annotations.json"


class CocoWriter(Writer):
    """Writes one COCO file for all videos."""

    dataset = "coco"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._videos: list[Json] = []
        self._images: list[Json] = []
        self._annotations: list[Json] = []

    def picture(self, video: str, index: int) -> Path:
        """Return ``images/VIDEO/00000``."""
        return Path("images", video, f"{index:05d}")

    def start(self, video: WrittenVideo) -> None:
        """List the video."""
        self._video = video
        height, width = video.info.size
        self._videos.append(
            {
                "id": len(self._videos) + 1,
                "name": video.name,
                "width": width,
                "height": height,
                "length": video.info.length,
            }
        )

    def frame(self, index: int, labels: Labels) -> None:
        """List a frame and its annotations."""
        height, width = self._video.info.size
        self._images.append(
            {
                "id": len(self._images) + 1,
                "file_name": self._video.pictures[index].relative_to("images").as_posix(),
                "width": width,
                "height": height,
                "video_id": len(self._videos),
                "frame_id": index,
            }
        )
        where = f"{self._video.name}, frame {index}"
        if labels.mask is None:
            self._add_boxes(labels, where)
        else:
            self._add_parts(labels, where)

    def _add_boxes(self, labels: Labels, where: str) -> None:
        boxes, ids, ignored = given_boxes(labels, where)
        for box, track, left_out in zip(boxes.tolist(), ids.tolist(), ignored, strict=True):
            more = {"track_id": track} if track >= 0 else {}
            self._add(box, box[2] * box[3], bool(left_out), segmentation=[], **more)

    def _add_parts(self, labels: Labels, where: str) -> None:
        mask = mask_of(labels, where)
        for value in (FOREGROUND, IGNORED):
            for part in parts_of(mask == value):
                whole = np.zeros(mask.shape, np.uint8)
                left, top, width, height = part.box
                whole[top : top + height, left : left + width] = part.inside
                box = [float(side) for side in part.box]
                self._add(box, part.pixels, value == IGNORED, segmentation=run_lengths(whole))

    def _add(self, box: list[float], area: float, crowd: bool, **more: Any) -> None:
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": len(self._images),
                "video_id": len(self._videos),
                "category_id": 1,
                "bbox": box,
                "area": area,
                "iscrowd": int(crowd),
                **more,
            }
        )

    def end(self) -> None:
        """Count frames that are not listed."""
        self.losses.add(
            "frame",
            "not labelled and not listed: what reads the file sees a video of the others",
            self._video.unlabelled,
        )

    def finish(self) -> None:
        """Write the file."""
        self.left = len(self._annotations)
        content = {
            "info": {"description": "written by vidseg convert"},
            "videos": self._videos,
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": 1, "name": self.label}],
        }
        with (self.root / FILE).open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)


def run_lengths(mask: npt.NDArray[np.uint8]) -> Json:
    """Return COCO's compressed run lengths of ``uint8 (H, W)`` in {0, 1}."""
    from pycocotools import mask as coco

    found = coco.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": found["counts"].decode("ascii")}
