"""CVAT's XML 1.1, for video and for images: read as a stream, safe against hostile files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vidseg.datasets.polygons import Polygon
from vidseg.errors import DataError
from vidseg.types import Size
from vidseg.utils.stop import check_stop

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

AREAS = ("box", "polygon", "ellipse", "mask")
"""Kinds of shapes that cover an area; the others are left out."""
_NO_AREAS = ("polyline", "points", "cuboid", "skeleton")
_SIDES = {
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
}
_DEEPEST = 20
_MOST_FRAMES = 10**7
_STEP = re.compile(r"step\s*=\s*([1-9]\d{0,5})")


class Mark(NamedTuple):
    """One shape on one frame.

    Attributes:
        kind: one of :data:`AREAS`.
        label: name of its class.
        frame: number of the frame in the source; -1 where the picture has a name.
        points: ``float64 (n, 2)``: two corners of a box, the corners of a polygon, centre and radii
            of an ellipse, corner and size of a mask.
        rotation: degrees, clockwise.
        runs: run lengths of a mask, row by row inside of its box, background first.
        outside: the object is not seen from this frame on.
        keyframe: a person set it; otherwise CVAT interpolated.
        order: higher ones cover lower ones.
    """

    kind: str
    label: str
    frame: int
    points: Polygon
    rotation: float = 0.0
    runs: tuple[int, ...] = ()
    outside: bool = False
    keyframe: bool = True
    order: int = 0


class CvatTask(NamedTuple):
    """One task: the frames that were labelled together.

    Attributes:
        number: its id, or None where the file names no task.
        name: its name.
        source: name of the clip that was uploaded, or "".
        start, stop, step: its frames, counted in the source; stop is the last one, or None.
        size: of its frames, where stated.
    """

    number: str | None = None
    name: str = ""
    source: str = ""
    start: int = 0
    stop: int | None = None
    step: int = 1
    size: Size | None = None

    def frames(self) -> range | None:
        """Return its frames, counted in the source; None where the file does not say."""
        return None if self.stop is None else range(self.start, self.stop + 1, self.step)


class CvatTrack(NamedTuple):
    """An object from frame to frame.

    Attributes:
        number: its id.
        task: id of its task, or None.
        marks: ascending by frame.
    """

    number: int
    task: str | None
    marks: tuple[Mark, ...]


class CvatImage(NamedTuple):
    """A picture with its shapes.

    Attributes:
        name: path of the file.
        task: id of its task, or None.
        size: as stated.
        marks: its shapes.
    """

    name: str
    task: str | None
    size: Size | None
    marks: tuple[Mark, ...]


@dataclass
class CvatDocument:
    """The content of a file.

    Attributes:
        file: the file.
        tasks: in its order; at least one.
        labels: names of all classes.
        tracks: of a file for video.
        images: of a file for images.
        left_out: how many shapes of which kind cover no area.
    """

    file: Path
    tasks: list[CvatTask] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    tracks: list[CvatTrack] = field(default_factory=list)
    images: list[CvatImage] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def tracks_of(self, task: CvatTask) -> list[CvatTrack]:
        """Return the tracks of a task; all of them where there is one task only."""
        one = len(self.tasks) == 1
        return [track for track in self.tracks if one or track.task in (None, task.number)]


def read_document(file: Path) -> CvatDocument:
    """Read a CVAT file.

    Raises:
        DataError: it is no XML of CVAT's, declares entities or a document type, or a shape is
            malformed; names track or image and frame.
    """
    document = CvatDocument(file)
    try:
        _stream(document)
    except DataError:
        raise
    except Exception as error:
        _refuse_xml(file, error)
        raise
    if not (document.tracks or document.images or document.tasks):
        raise DataError("has neither tracks nor images", where=file, hint="is it CVAT's XML 1.1?")
    document.tasks = document.tasks or [CvatTask()]
    used = [mark.label for marks in _all_marks(document) for mark in marks]
    document.labels = list(dict.fromkeys([*document.labels, *used]))
    return document


def _refuse_xml(file: Path, error: Exception) -> None:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException

    if isinstance(error, DefusedXmlException):
        what = "declares a document type or entities, which CVAT never does: not read"
        raise DataError(what, where=file) from error
    if isinstance(error, ParseError):
        raise DataError(f"is no XML ({error})", where=file, hint="export it again") from error
    if isinstance(error, OSError | UnicodeError | LookupError):
        raise DataError(f"cannot be read ({error})", where=file) from error


def _all_marks(document: CvatDocument) -> Iterator[tuple[Mark, ...]]:
    yield from (track.marks for track in document.tracks)
    yield from (image.marks for image in document.images)


def _stream(document: CvatDocument) -> None:
    from defusedxml.ElementTree import iterparse

    root: Element | None = None
    depth = 0
    with document.file.open("rb") as stream:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            depth += 1 if event == "start" else -1
            if depth > _DEEPEST:
                raise DataError("is nested too deeply", where=document.file)
            if root is None:
                root = element
                _check_root(root, document.file)
            elif event == "end" and depth == 1:
                _take(element, document)
                root.clear()
                check_stop()


def _check_root(root: Element, file: Path) -> None:
    if root.tag != "annotations":
        hint = "export as CVAT for video 1.1 or CVAT for images 1.1"
        raise DataError(f"is <{root.tag[:40]}>, no CVAT file", where=file, hint=hint)


def _take(element: Element, document: CvatDocument) -> None:
    if element.tag == "meta":
        document.tasks = [_task(one, element, document.file) for one in _task_elements(element)]
        names = (label.findtext("name") or "" for label in element.iter("label"))
        document.labels = [name for name in names if name]
    elif element.tag == "track":
        document.tracks.append(_track(element, document))
    elif element.tag == "image":
        document.images.append(_image(element, document))


def _task_elements(meta: Element) -> list[Element]:
    return [*meta.iter("task"), *meta.iter("job")]


def _task(task: Element, meta: Element, file: Path) -> CvatTask:
    def count(name: str) -> int | None:
        text = task.findtext(name)
        if text is None or not text.strip():
            return None
        if not re.fullmatch(r"\s*\d{1,7}\s*", text):
            raise DataError(f"{name} {text!r} is no frame number", where=file)
        return int(text)

    step = _STEP.search(task.findtext("frame_filter") or "")
    start, stop, size = count("start_frame") or 0, count("stop_frame"), count("size")
    every = int(step[1]) if step else 1
    if stop is None and size is not None:
        stop = start + (size - 1) * every
    width, height = (task.findtext(f"original_size/{side}") or "" for side in ("width", "height"))
    known = width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0
    source = task.findtext("source") or meta.findtext("source") or ""
    return CvatTask(
        task.findtext("id"),
        (task.findtext("name") or "").strip(),
        source.strip(),
        start,
        stop,
        every,
        Size(int(height), int(width)) if known else None,
    )


def _track(element: Element, document: CvatDocument) -> CvatTrack:
    number = element.get("id", "")
    where = f"{document.file}, track {number or len(document.tracks)}"
    label = element.get("label") or ""
    marks = []
    for shape in element:
        if shape.tag in AREAS:
            marks.append(_mark(shape, label, where, video=True))
        elif shape.tag in _NO_AREAS:
            document.left_out[shape.tag] += 1
    marks.sort(key=lambda mark: mark.frame)
    for before, after in pairwise(marks):
        if before.frame == after.frame:
            raise DataError(f"has two shapes on frame {after.frame}", where=where)
    own = int(number) if re.fullmatch(r"\d{1,15}", number) else len(document.tracks)
    return CvatTrack(own, element.get("task_id"), tuple(marks))


def _image(element: Element, document: CvatDocument) -> CvatImage:
    name = element.get("name") or ""
    where = f"{document.file}, image {name!r}"
    if not name:
        raise DataError("an image has no name", where=document.file)
    width, height = element.get("width", ""), element.get("height", "")
    known = width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0
    marks = []
    for shape in element:
        if shape.tag in AREAS:
            marks.append(_mark(shape, shape.get("label") or "", where, video=False))
        elif shape.tag in _NO_AREAS:
            document.left_out[shape.tag] += 1
    size = Size(int(height), int(width)) if known else None
    return CvatImage(name, element.get("task_id"), size, tuple(marks))


def _mark(shape: Element, label: str, where: str, *, video: bool) -> Mark:
    if not label:
        raise DataError(f"a {shape.tag} has no label", where=where)
    frame = _number(shape, "frame", where) if video else -1
    if frame != int(frame) or (video and not 0 <= frame < _MOST_FRAMES):
        raise DataError(f"frame {frame:g} of a {shape.tag} is no frame number", where=where)
    where = f"{where}, frame {int(frame)}" if video else where
    if shape.tag == "polygon":
        points = _points(shape.get("points", ""), where)
    else:
        sides = [_number(shape, name, where) for name in _SIDES[shape.tag]]
        points = np.array(sides, np.float64).reshape(2, 2)
    return Mark(
        shape.tag,
        label,
        int(frame),
        points,
        _number(shape, "rotation", where, "0"),
        _runs(shape.get("rle", ""), points, where) if shape.tag == "mask" else (),
        shape.get("outside", "0") == "1",
        shape.get("keyframe", "1") == "1",
        int(_number(shape, "z_order", where, "0")),
    )


def _number(shape: Element, name: str, where: str, default: str = "") -> float:
    text = shape.get(name, default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{name} of a {shape.tag} is {text[:40]!r}, no number", where=where)
    return value


def _points(text: str, where: str) -> Polygon:
    try:
        pairs = [[float(value) for value in pair.split(",")] for pair in text.split(";")]
        points = np.array(pairs, np.float64)
    except ValueError:
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise DataError(f"points of a polygon are {text[:60]!r}", where=where)
    return points


def _runs(text: str, points: Polygon, where: str) -> tuple[int, ...]:
    (left, top), (width, height) = points.tolist()
    whole = (points == np.floor(points)).all() and (points < 1 << 15).all()
    runs = tuple(int(run) for run in re.findall(r"\d{1,10}", text))
    if not whole or min(left, top) < 0 or min(width, height) < 1 or sum(runs) != width * height:
        raise DataError("the runs of a mask do not fill its box", where=where)
    return runs
