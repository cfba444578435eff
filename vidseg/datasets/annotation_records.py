"""What an annotation folder's files hold, as checked records: the snapshot, and edits to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

FORMAT: Final = "vidseg annotation"
VERSION: Final = 1

FARTHEST = 1e6
"""Coordinates beyond it, in pixels, are a mistake."""

DIGITS = 2
"""Decimals of a pixel that are kept of a propagated box."""

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels; 0 is the left (top) edge of the first pixel."""


def _is_box(box: Box) -> Box:
    if not all(-FARTHEST <= side <= FARTHEST for side in box):
        raise ValueError("a box has four finite numbers, in pixels")
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError("a box has a width and a height above 0")
    return box


CheckedBox = Annotated[Box, AfterValidator(_is_box)]
Frame = Annotated[int, Field(ge=0, le=100_000_000)]
Id = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(max_length=200)]


class Record(BaseModel):
    """A part of the file; unknown fields are refused, so that a misspelt one is no silent loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fill(NamedTuple):
    """A propagated box, and how doubtful it is in 0..1 (see ``vidseg.trackers.fill``), or None."""

    box: Box
    doubt: float | None = None


class Span(Record):
    """Propagated boxes of consecutive frames, from ``first`` on."""

    first: Frame
    boxes: list[CheckedBox]
    doubt: list[float | None]

    @model_validator(mode="after")
    def _aligned(self) -> Span:
        if len(self.boxes) != len(self.doubt):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.doubt)} doubts")
        return self


class ObjectRecord(Record):
    """One object: ``keys`` are the boxes that a human drew, by frame.

    A key of null says that the object is gone from this frame on, until its next box.
    """

    id: Id
    name: Name = ""
    ignored: bool = False
    keys: dict[Frame, CheckedBox | None] = {}
    fills: list[Span] = []


class RegionRecord(Record):
    """A box of the frames ``first`` to ``last`` whose pixels count as nothing."""

    id: Id
    box: CheckedBox
    first: Frame
    last: Frame

    @model_validator(mode="after")
    def _ordered(self) -> RegionRecord:
        if self.last < self.first:
            raise ValueError(f"ends at frame {self.last}, before it begins at {self.first}")
        return self


class VideoRecord(Record):
    """The video that was annotated, and where it was.

    Attributes:
        name, group: in tables, and for splits.
        path: a clip, or a folder of frames; relative to the annotation folder, or absolute.
        dataset: spec of the data set that holds it, in place of a path.
        fingerprint: content hash of the frames: another video is refused.
        length, height, width, fps: as it was probed.
    """

    name: Name
    group: Name
    path: str | None = None
    dataset: str | None = None
    fingerprint: str
    length: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    fps: float | None = None

    @model_validator(mode="after")
    def _one_place(self) -> VideoRecord:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("either path or dataset says where the frames are")
        return self


Ranges = list[tuple[Frame, Frame]]
"""Frames as ranges, first and last included."""


class Snapshot(Record):
    """``annotation.json``: everything, after the edit number ``revision``."""

    format: Literal["vidseg annotation"] = FORMAT
    version: Literal[1] = VERSION
    revision: int = 0
    video: VideoRecord
    classes: list[Name] = []
    objects: list[ObjectRecord] = []
    regions: list[RegionRecord] = []
    finished: Ranges = []
    settings: dict[str, Any] = {}


class PutObject(Record):
    """Add an object, or replace it with its keys and propagated boxes."""

    op: Literal["object"] = "object"
    object: ObjectRecord


class RemoveObject(Record):
    """Remove an object."""

    op: Literal["remove-object"] = "remove-object"
    id: Id


class Describe(Record):
    """Change an object's name (its class), or whether its pixels count as nothing."""

    op: Literal["describe"] = "describe"
    id: Id
    name: Name
    ignored: bool = False


class PutKey(Record):
    """Draw or move a human's box; propagated boxes up to the neighbouring keys are dropped.

    With ``gone`` in place of a box the object is gone from this frame on; with neither the key is
    removed.
    """

    op: Literal["key"] = "key"
    id: Id
    frame: Frame
    box: CheckedBox | None = None
    gone: bool = False

    @model_validator(mode="after")
    def _one_state(self) -> PutKey:
        if self.gone and self.box is not None:
            raise ValueError("a frame has a box, or the object is gone, not both")
        return self


class PutFills(Record):
    """Replace the propagated boxes of the frames ``first`` to ``last``; keys stay."""

    op: Literal["fills"] = "fills"
    id: Id
    first: Frame
    last: Frame
    spans: list[Span] = []


class Finish(Record):
    """Say of frames that they are finished (all that is there is drawn), or that they are not."""

    op: Literal["finished"] = "finished"
    frames: Ranges
    finished: bool = True


class PutRegion(Record):
    """Add or replace a region."""

    op: Literal["region"] = "region"
    region: RegionRecord


class RemoveRegion(Record):
    """Remove a region."""

    op: Literal["remove-region"] = "remove-region"
    id: Id


class SetClasses(Record):
    """Set the names that the page offers."""

    op: Literal["classes"] = "classes"
    names: list[Name]


class SetSettings(Record):
    """Set what the folder's user wants kept, such as tracker and method."""

    op: Literal["settings"] = "settings"
    settings: dict[str, Any]


class Batch(Record):
    """Edits that are made, and undone, together."""

    op: Literal["batch"] = "batch"
    edits: list[Edit]


Edit = Annotated[
    PutObject
    | RemoveObject
    | Describe
    | PutKey
    | PutFills
    | Finish
    | PutRegion
    | RemoveRegion
    | SetClasses
    | SetSettings
    | Batch,
    Field(discriminator="op"),
]
"""One change; ``op`` says which."""


class JournalLine(Record):
    """One line of ``journal.jsonl``."""

    revision: int
    edit: Edit


def spans_of(fills: Mapping[int, Fill]) -> list[Span]:
    """Return propagated boxes as spans of consecutive frames."""
    found: list[tuple[int, list[Fill]]] = []
    for frame in sorted(fills):
        if not found or found[-1][0] + len(found[-1][1]) != frame:
            found.append((frame, []))
        found[-1][1].append(fills[frame])
    return [
        Span(first=first, boxes=[one.box for one in row], doubt=[one.doubt for one in row])
        for first, row in found
    ]


def fills_of(spans: Iterable[Span]) -> dict[int, Fill]:
    """Return the boxes of spans by frame."""
    return {
        span.first + at: Fill(box, doubt)
        for span in spans
        for at, (box, doubt) in enumerate(zip(span.boxes, span.doubt, strict=True))
    }


def ranges_of(frames: Iterable[int]) -> Ranges:
    """Return frames as ranges, first and last included.

    Example:
        >>> ranges_of([4, 1, 2])
        [(1, 2), (4, 4)]
    """
    found: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if found and found[-1][1] + 1 == frame:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found


def frames_of(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the frames of ranges."""
    for first, last in ranges:
        yield from range(first, last + 1)
