"""CVAT for video 1.1: ``VIDEO.xml`` and ``images/VIDEO/frame_000000.png``.

Boxes with a track are one ``track`` each, with every box a keyframe; a pause is ``outside``. Boxes
without one, and the masks of connected parts, are tracks of one frame. Ignored ones have the label
``ignored``.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from vidseg.datasets.writers.base import Writer, WrittenVideo, text_of
from vidseg.datasets.writers.regions import Boxes, given_boxes, mask_of, parts_of, settled
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.types import Labels

IGNORED_LABEL: Final = "ignored"

Shape = tuple[int, str, dict[str, str]]
"""Frame, element and its attributes."""


class CvatWriter(Writer):
    """Writes one CVAT file for each video."""

    dataset = "cvat"

    def picture(self, video: str, index: int) -> Path:
        """Return ``images/VIDEO/frame_000000``."""
        return Path("images", video, f"frame_{index:06d}")

    def start(self, video: WrittenVideo) -> None:
        """Begin without tracks."""
        self._video = video
        self._tracks: dict[tuple[str, int], list[Shape]] = {}
        self._alone: list[tuple[str, Shape]] = []

    def frame(self, index: int, labels: Labels) -> None:
        """Keep the shapes of a frame."""
        where = f"{self._video.name}, frame {index}"
        if labels.mask is None:
            self._add_boxes(index, labels, where)
        else:
            self._add_parts(index, labels, where)

    def _add_boxes(self, index: int, labels: Labels, where: str) -> None:
        boxes, ids, ignored = given_boxes(labels, where)
        edges = _edges(settled(boxes, lambda one: _sides(_edges(one))))
        for box, number, left_out in zip(edges.tolist(), ids.tolist(), ignored, strict=True):
            label = IGNORED_LABEL if left_out else self.label
            named = zip(("xtl", "ytl", "xbr", "ybr"), map(text_of, box), strict=True)
            shape = index, "box", dict(named)
            track = self._tracks.setdefault((label, number), []) if number >= 0 else None
            if track is None or (track and track[-1][0] == index):
                self._alone.append((label, shape))
            else:
                track.append(shape)

    def _add_parts(self, index: int, labels: Labels, where: str) -> None:
        mask = mask_of(labels, where)
        for value, label in ((FOREGROUND, self.label), (IGNORED, IGNORED_LABEL)):
            for part in parts_of(mask == value):
                left, top, width, height = part.box
                shape = {
                    "rle": ", ".join(map(str, row_runs(part.inside))),
                    "left": str(left),
                    "top": str(top),
                    "width": str(width),
                    "height": str(height),
                }
                self._alone.append((label, (index, "mask", shape)))

    def end(self) -> None:
        """Write the file."""
        video = self._video
        lone = ((label, [shape]) for label, shape in self._alone)
        tracks = [*((label, shapes) for (label, _), shapes in self._tracks.items()), *lone]
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        root.append(self._meta())
        if any(label == IGNORED_LABEL for label, _ in tracks):
            self.options = f",ignore_classes={IGNORED_LABEL}"
        for number, (label, shapes) in enumerate(tracks):
            root.append(_track(number, label, shapes, video.info.length))
            self.left += len(shapes)
        ElementTree.indent(root)
        file = self.root / f"{video.name}.xml"
        ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
        self.losses.add(
            "frame",
            "not labelled, which CVAT for video cannot say: reads as empty",
            video.unlabelled,
        )

    def _meta(self) -> ElementTree.Element:
        """Return what CVAT says of the task: frames, size and labels."""
        length, (height, width), _ = self._video.info
        meta = ElementTree.Element("meta")
        task = ElementTree.SubElement(meta, "task")
        for name, text in (
            ("name", self._video.name),
            ("size", str(length)),
            ("mode", "interpolation"),
            ("start_frame", "0"),
            ("stop_frame", str(length - 1)),
            ("source", self._video.name),
        ):
            ElementTree.SubElement(task, name).text = text
        labels = ElementTree.SubElement(task, "labels")
        for name in (self.label, IGNORED_LABEL):
            label = ElementTree.SubElement(labels, "label")
            ElementTree.SubElement(label, "name").text = name
        size = ElementTree.SubElement(task, "original_size")
        ElementTree.SubElement(size, "width").text = str(width)
        ElementTree.SubElement(size, "height").text = str(height)
        return meta


def _track(number: int, label: str, shapes: list[Shape], length: int) -> ElementTree.Element:
    """Return a track; behind each stretch of frames it is outside, until it goes on."""
    track = ElementTree.Element("track", id=str(number), label=label, source="manual")
    following = chain((frame for frame, _, _ in shapes[1:]), [length])
    for (frame, kind, attributes), after in zip(shapes, following, strict=True):
        ElementTree.SubElement(track, kind, _state(frame, outside=False) | attributes)
        if frame + 1 < after:
            ElementTree.SubElement(track, kind, _state(frame + 1, outside=True) | attributes)
    return track


def _state(frame: int, *, outside: bool) -> dict[str, str]:
    return {
        "frame": str(frame),
        "keyframe": "1",
        "outside": str(int(outside)),
        "occluded": "0",
        "z_order": "0",
    }


def _edges(boxes: Boxes) -> Boxes:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _sides(edges: Boxes) -> Boxes:
    return np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], axis=1)


def row_runs(inside: npt.NDArray[np.bool_]) -> list[int]:
    """Return CVAT's run lengths of ``bool (H, W)``: row by row, background first."""
    flat = np.concatenate([[False], inside.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [inside.size]])
    runs = np.diff(ends)
    return [int(run) for run in (runs[:-1] if runs[-1] == 0 else runs)]
