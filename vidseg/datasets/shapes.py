"""Boxes, polygons and run-length masks of the frames of one video: YOLO, CVAT and COCO have them.

One rule for all of them: a frame that shows boxes only has :class:`BoxLabels` (so they can be
refined); a frame with any polygon or mask has :class:`MaskLabels` at native size. Polygons are
drawn by pycocotools (COCO's own rasteriser) after they were clipped to the frame, boxes beside them
by the pixel-centre rule of :mod:`vidseg.tasks.segmentation.rasterise`. What is drawn later covers
what was drawn before: by ``order``, and within one order background, ignored, foreground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.datasets.files import FrameFiles, GroundTruth
from vidseg.datasets.polygons import Polygon, clip_polygon, extent
from vidseg.errors import DataError
from vidseg.media.image_folder import content_key
from vidseg.tasks.segmentation.rasterise import draw_boxes
from vidseg.types import Mask, Question, Size, VideoInfo

if TYPE_CHECKING:
    from vidseg.datasets.label_states import RowFrames

_READER = "shapes 1"

Box = tuple[float, float, float, float]


class Rle(NamedTuple):
    """A run-length encoded mask: COCO's, column by column, background first.

    Attributes:
        size: height and width of the frame.
        counts: COCO's compressed text.
    """

    size: Size
    counts: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """One labelled region of a frame.

    Attributes:
        value: 1 foreground, 0 ignored, -1 background that covers what is below it.
        box: left, top, width, height in pixels from 0; None with polygons or a mask.
        polygons: ``float64 (n, 2)`` each, x and y in pixels from 0; the region is their union.
        rle: a mask of the whole frame.
        track: identity from frame to frame, or -1.
        order: higher ones cover lower ones.
    """

    value: int
    box: Box | None = None
    polygons: tuple[Polygon, ...] = ()
    rle: Rle | None = None
    track: int = -1
    order: int = 0

    def scaled(self, size: Size) -> Shape:
        """Return the shape in pixels, where its coordinates are shares of width and height."""
        h, w = size
        box = None
        if self.box is not None:
            left, top, width, height = self.box
            box = (left * w, top * h, width * w, height * h)
        polygons = tuple(polygon * (w, h) for polygon in self.polygons)
        return Shape(self.value, box, polygons, self.rle, self.track, self.order)


@dataclass(frozen=True, eq=False)
class ShapeTruth(GroundTruth):
    """The labels of one video.

    Attributes:
        shapes: of each frame that has any.
        rows: which frames are labelled; None where ``frames`` says so.
        frames: the labelled frames, ascending; None for all of them.
        relative: coordinates are shares of width and height.
        announced: size that the file states for the frames, if it does; checked against them.
        where: file that an error names.
    """

    shapes: Mapping[int, Sequence[Shape]]
    rows: RowFrames | None = field(default=None, repr=False)
    frames: Sequence[int] | None = None
    relative: bool = False
    announced: Size | None = None
    where: str = "labels"

    def key(self, images: FrameFiles) -> str:
        """Return the hash of all shapes, of which frames are labelled, and of the frames."""
        states = self.rows.key if self.rows is not None else ()
        frames = None if self.frames is None else np.asarray(self.frames, np.int64)
        return content_key(_READER, images.key, self.relative, *states, frames, *self._parts())

    def _parts(self) -> Iterator[object]:
        for frame in sorted(self.shapes):
            for one in self.shapes[frame]:
                yield frame, one.value, one.box, one.rle, one.track, one.order, len(one.polygons)
                yield from one.polygons

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have labels, ascending."""
        if self.rows is not None:
            return self.rows.labelled(info.length)
        if self.frames is None:
            return range(info.length)
        return [frame for frame in self.frames if frame < info.length]

    def notes(self, info: VideoInfo) -> Sequence[str]:
        """Return what the user should know of frames without labels."""
        if self.rows is not None:
            return self.rows.notes(info.length)
        count = len(self.labelled(info))
        return [f"{count} of {info.length} frames are labelled"] if count < info.length else []

    def questions(self) -> Sequence[Question]:
        """Return whether frames without rows are empty, where it is not clear."""
        return () if self.rows is None else self.rows.questions()

    def check(self, info: VideoInfo) -> None:
        """Refuse frames of another size than the file states, and fewer than it labels.

        Raises:
            DataError: sizes or lengths differ.
        """
        if self.announced not in (None, info.size):
            raise DataError(
                f"says that the frames are {self.announced}, they are {info.size}",
                where=self.where,
                hint="give the pictures that were labelled, or label these",
            )
        if (last := max(self.shapes, default=0)) >= info.length:
            raise DataError(
                f"labels frame {last}, the frames are 0 to {info.length - 1}",
                where=self.where,
                hint="give all frames that were labelled",
            )

    def at(self, index: int, size: Size) -> BoxLabels | MaskLabels:
        """Return the boxes of a frame, or its mask where it has polygons or masks.

        Raises:
            DataError: a run-length mask is of another size, or malformed.
        """
        shapes = self.shapes.get(index, ())
        if self.relative:
            shapes = [shape.scaled(size) for shape in shapes]
        where = f"{self.where}, frame {index}"
        if all(shape.box is not None for shape in shapes):
            return _boxes([shape for shape in shapes if shape.value >= 0], size)
        regions = [_region(shape, size, where) for shape in shapes]
        mask = _draw(shapes, regions, size)
        pairs = zip(shapes, regions, strict=True)
        around = [replace(s, box=_bounds(s, region)) for s, region in pairs if s.value >= 0]
        boxes = _boxes(around, size)
        return MaskLabels(size, mask, boxes.boxes, 0.0, boxes.ids, boxes.ignored)


def _boxes(shapes: Sequence[Shape], size: Size) -> BoxLabels:
    boxes = np.array([shape.box for shape in shapes], np.float64).reshape(-1, 4)
    ids = np.array([shape.track for shape in shapes], np.int64)
    ignored = np.array([shape.value == 0 for shape in shapes], bool)
    return BoxLabels(size, boxes, 0.0, ids, ignored)


def _draw(shapes: Sequence[Shape], regions: Sequence[npt.NDArray[np.bool_]], size: Size) -> Mask:
    mask = np.full(size, -1, np.int8)
    ranks = [(shape.order, shape.value) for shape in shapes]
    for place in sorted(range(len(shapes)), key=ranks.__getitem__):
        mask[regions[place]] = shapes[place].value
    return mask


def _region(shape: Shape, size: Size, where: str) -> npt.NDArray[np.bool_]:
    if shape.rle is not None:
        return decode_rle(shape.rle, size, where)
    if shape.box is None:
        return draw_polygons(shape.polygons, size)
    left, top, width, height = shape.box
    edges = np.array([[left, top, left + width, top + height]])
    return draw_boxes(edges, np.zeros(1, bool), size, size) > 0


def _bounds(shape: Shape, region: npt.NDArray[np.bool_]) -> Box:
    if shape.box is not None:
        return shape.box
    if shape.polygons:
        return extent(shape.polygons)
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    top, left = rows[0], columns[0]
    return float(left), float(top), float(columns[-1] - left + 1), float(rows[-1] - top + 1)


def draw_polygons(polygons: Sequence[Polygon], size: Size) -> npt.NDArray[np.bool_]:
    """Return ``bool (H, W)``: the union of polygons, clipped to the frame, drawn by pycocotools."""
    from pycocotools import mask as coco

    inside = [clip_polygon(polygon, size) for polygon in polygons]
    flat = [polygon.ravel().tolist() for polygon in inside if len(polygon) >= 3]
    if not flat:
        return np.zeros(size, bool)
    drawn = coco.decode(coco.merge(coco.frPyObjects(flat, *size)))
    return np.asarray(drawn, bool)


def decode_rle(rle: Rle, size: Size, where: str) -> npt.NDArray[np.bool_]:
    """Return ``bool (H, W)`` of a run-length mask.

    Raises:
        DataError: it is of another size, or its runs do not fill it.
    """
    from pycocotools import mask as coco

    if rle.size != size:
        raise DataError(f"the mask is {rle.size}, its frame is {size}", where=where)
    if _run_total(rle.counts) != size.height * size.width:
        raise DataError("the runs of a run-length mask do not fill the frame", where=where)
    return np.asarray(coco.decode({"size": list(rle.size), "counts": rle.counts}), bool)


def encode_runs(counts: Sequence[int], size: Size, where: str) -> Rle:
    """Return the mask that plain run lengths make, column by column, background first.

    Raises:
        DataError: a run is no whole number, is negative, or they do not fill ``size``.
    """
    from pycocotools import mask as coco

    whole = all(type(count) is int and count >= 0 for count in counts)
    if not whole or sum(counts) != size.height * size.width:
        raise DataError("the runs of a run-length mask do not fill the frame", where=where)
    rle = coco.frPyObjects({"size": list(size), "counts": list(counts)}, *size)
    return Rle(size, rle["counts"])


def encode_mask(mask: npt.NDArray[np.bool_]) -> Rle:
    """Return the run-length form of ``bool (H, W)``."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return Rle(Size(*mask.shape), rle["counts"])


def _run_total(counts: bytes) -> int:
    """Return how many pixels a compressed mask covers, -1 where it is malformed.

    pycocotools does not check that runs fill the mask, and leaves the rest of it uninitialised.
    Format: runs as differences to the run before the last, in groups of 5 bits from the lowest,
    bit 5 says that another group follows, bit 4 of the last one is the sign (``rleToString``).
    """
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not len(groups) or groups.min() < 0 or groups.max() > 63 or groups[-1] & 0x20:
        return -1
    ends = np.flatnonzero((groups & 0x20) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 7:
        return -1
    shift = 5 * (np.arange(len(groups)) - np.repeat(starts, ends - starts + 1))
    runs = np.add.reduceat((groups & 0x1F) << shift, starts)
    runs[(groups[ends] & 0x10) != 0] -= (1 << (shift[ends] + 5))[(groups[ends] & 0x10) != 0]
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return -1 if runs.min() < 0 else int(runs.sum())
