"""What is annotated of one video, and the edits that change it; each knows what takes it back.

The records stand in :mod:`vidseg.datasets.annotation_records`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from vidseg.datasets.annotation_records import (
    Batch,
    Box,
    Describe,
    Edit,
    Fill,
    Finish,
    ObjectRecord,
    PutFills,
    PutKey,
    PutObject,
    PutRegion,
    RegionRecord,
    RemoveObject,
    RemoveRegion,
    SetClasses,
    SetSettings,
    Snapshot,
    VideoRecord,
    fills_of,
    frames_of,
    ranges_of,
    spans_of,
)
from vidseg.errors import UsageError
from vidseg.types import Size

EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)
"""Checks an edit that comes from outside."""

Origin = Literal["human", "propagated"]


class PlacedBox(NamedTuple):
    """A box of one frame, and whether a human drew it."""

    box: Box
    origin: Origin
    doubt: float | None = None


@dataclass
class TrackedObject:
    """One object through the video; see :class:`ObjectRecord` for the fields."""

    id: int
    name: str = ""
    ignored: bool = False
    keys: dict[int, Box | None] = field(default_factory=dict)
    fills: dict[int, Fill] = field(default_factory=dict)

    @classmethod
    def of(cls, record: ObjectRecord) -> TrackedObject:
        """Return the object of a record."""
        fills = fills_of(record.fills)
        kept = {frame: one for frame, one in fills.items() if frame not in record.keys}
        return cls(record.id, record.name, record.ignored, dict(record.keys), kept)

    @property
    def record(self) -> ObjectRecord:
        """The object as a record."""
        keys = dict(sorted(self.keys.items()))
        fills = spans_of(self.fills)
        return ObjectRecord(
            id=self.id, name=self.name, ignored=self.ignored, keys=keys, fills=fills
        )

    def at(self, frame: int) -> PlacedBox | None:
        """Return the box of a frame; None where the object is not, or nothing is filled in."""
        if frame in self.keys:
            key = self.keys[frame]
            return None if key is None else PlacedBox(key, "human")
        fill = self.fills.get(frame)
        return None if fill is None else PlacedBox(fill.box, "propagated", fill.doubt)

    def around(self, frame: int, length: int) -> tuple[int, int]:
        """Return the first and last frame between the keys before and after ``frame``."""
        before = max((key for key in self.keys if key < frame), default=-1)
        after = min((key for key in self.keys if key > frame), default=length)
        return before + 1, after - 1


@dataclass
class Annotation:
    """All that is annotated of one video.

    Attributes:
        video: which video, and where it was.
        objects, regions: by id.
        finished: frames on which everything is drawn: these have ground truth.
        classes: names that the page offers.
        settings: what the folder's user wants kept.
        revision: number of the last edit.
    """

    video: VideoRecord
    objects: dict[int, TrackedObject] = field(default_factory=dict)
    regions: dict[int, RegionRecord] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    classes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    revision: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot) -> Annotation:
        """Return the annotation of a snapshot.

        Raises:
            UsageError: a frame that the video does not have, or two objects of one id.
        """
        found = cls(
            snapshot.video,
            classes=list(snapshot.classes),
            settings=dict(snapshot.settings),
            revision=snapshot.revision,
        )
        ids = [one.id for one in snapshot.objects]
        if len(set(ids)) < len(ids):
            raise UsageError("two objects have one id")
        found.apply(Batch(edits=[PutObject(object=one) for one in snapshot.objects]))
        found.apply(Batch(edits=[PutRegion(region=one) for one in snapshot.regions]))
        found.apply(Finish(frames=snapshot.finished))
        return found

    @property
    def snapshot(self) -> Snapshot:
        """The whole annotation as a record."""
        return Snapshot(
            revision=self.revision,
            video=self.video,
            classes=self.classes,
            objects=[one.record for _, one in sorted(self.objects.items())],
            regions=[one for _, one in sorted(self.regions.items())],
            finished=ranges_of(self.finished),
            settings=self.settings,
        )

    @property
    def size(self) -> Size:
        """Size of the video's frames."""
        return Size(self.video.height, self.video.width)

    def at(self, frame: int) -> list[tuple[TrackedObject, PlacedBox]]:
        """Return the objects that have a box in a frame, by id."""
        found = ((one, one.at(frame)) for _, one in sorted(self.objects.items()))
        return [(one, box) for one, box in found if box is not None]

    def regions_at(self, frame: int) -> list[RegionRecord]:
        """Return the ignored regions of a frame, by id."""
        return [one for _, one in sorted(self.regions.items()) if one.first <= frame <= one.last]

    def free_id(self) -> int:
        """Return an id that no object has."""
        return max(self.objects, default=0) + 1

    def apply(self, edit: Edit) -> Edit:
        """Make an edit; return the edit that takes it back.

        Raises:
            UsageError: it names an object, a region or a frame that is not there; then nothing is
                changed.
        """
        return _APPLY[type(edit)](self, edit)

    def object(self, number: int) -> TrackedObject:
        """Return an object.

        Raises:
            UsageError: there is none of this id.
        """
        if number not in self.objects:
            raise UsageError(f"there is no object {number}")
        return self.objects[number]

    def _check_frames(self, frames: Iterable[int]) -> None:
        last = max(frames, default=0)
        if last >= self.video.length:
            raise UsageError(f"there is no frame {last}, only 0 to {self.video.length - 1}")

    def _put_object(self, edit: PutObject) -> Edit:
        new = TrackedObject.of(edit.object)
        self._check_frames((*new.keys, *new.fills))
        old = self.objects.get(new.id)
        self.objects[new.id] = new
        return RemoveObject(id=new.id) if old is None else PutObject(object=old.record)

    def _remove_object(self, edit: RemoveObject) -> Edit:
        old = self.object(edit.id)
        del self.objects[edit.id]
        return PutObject(object=old.record)

    def _describe(self, edit: Describe) -> Edit:
        one = self.object(edit.id)
        undo = Describe(id=one.id, name=one.name, ignored=one.ignored)
        one.name, one.ignored = edit.name, edit.ignored
        return undo

    def _put_key(self, edit: PutKey) -> Edit:
        one, frame = self.object(edit.id), edit.frame
        self._check_frames([frame])
        if edit.box is not None and not _shows(edit.box, self.size):
            raise UsageError(f"the box lies outside of the frame, which is {self.size}")
        first, last = one.around(frame, self.video.length)
        undo = Batch(edits=[_key_of(one, frame), _fills_of(one, first, last)])
        _drop(one, first, last)
        if edit.box is None and not edit.gone:
            one.keys.pop(frame, None)
        else:
            one.keys[frame] = edit.box
        return undo

    def _put_fills(self, edit: PutFills) -> Edit:
        one = self.object(edit.id)
        new = fills_of(edit.spans)
        self._check_frames([edit.last, *new])
        if new and not edit.first <= min(new) <= max(new) <= edit.last:
            raise UsageError(f"boxes outside of the frames {edit.first} to {edit.last}")
        undo = _fills_of(one, edit.first, edit.last)
        _drop(one, edit.first, edit.last)
        one.fills.update((frame, fill) for frame, fill in new.items() if frame not in one.keys)
        return undo

    def _finish(self, edit: Finish) -> Edit:
        self._check_frames(last for _, last in edit.frames)
        frames = set(frames_of(edit.frames))
        changed = frames - self.finished if edit.finished else frames & self.finished
        self.finished ^= changed
        return Finish(frames=ranges_of(changed), finished=not edit.finished)

    def _put_region(self, edit: PutRegion) -> Edit:
        self._check_frames([edit.region.last])
        old = self.regions.get(edit.region.id)
        self.regions[edit.region.id] = edit.region
        return RemoveRegion(id=edit.region.id) if old is None else PutRegion(region=old)

    def _remove_region(self, edit: RemoveRegion) -> Edit:
        if edit.id not in self.regions:
            raise UsageError(f"there is no region {edit.id}")
        return PutRegion(region=self.regions.pop(edit.id))

    def _set_classes(self, edit: SetClasses) -> Edit:
        old, self.classes = self.classes, list(edit.names)
        return SetClasses(names=old)

    def _set_settings(self, edit: SetSettings) -> Edit:
        old, self.settings = self.settings, dict(edit.settings)
        return SetSettings(settings=old)

    def _batch(self, edit: Batch) -> Edit:
        done: list[Edit] = []
        try:
            for one in edit.edits:
                done.append(self.apply(one))
        except UsageError:
            for undo in reversed(done):
                self.apply(undo)
            raise
        return Batch(edits=done[::-1])


_APPLY: dict[type[Any], Callable[[Annotation, Any], Edit]] = {
    PutObject: Annotation._put_object,
    RemoveObject: Annotation._remove_object,
    Describe: Annotation._describe,
    PutKey: Annotation._put_key,
    PutFills: Annotation._put_fills,
    Finish: Annotation._finish,
    PutRegion: Annotation._put_region,
    RemoveRegion: Annotation._remove_region,
    SetClasses: Annotation._set_classes,
    SetSettings: Annotation._set_settings,
    Batch: Annotation._batch,
}


def _shows(box: Box, size: Size) -> bool:
    left, top, width, height = box
    return left < size.width and top < size.height and left + width > 0 and top + height > 0


def _key_of(one: TrackedObject, frame: int) -> PutKey:
    gone = frame in one.keys and one.keys[frame] is None
    return PutKey(id=one.id, frame=frame, box=one.keys.get(frame), gone=gone)


def _fills_of(one: TrackedObject, first: int, last: int) -> PutFills:
    held = {frame: fill for frame, fill in one.fills.items() if first <= frame <= last}
    return PutFills(id=one.id, first=first, last=max(first, last), spans=spans_of(held))


def _drop(one: TrackedObject, first: int, last: int) -> None:
    for frame in [frame for frame in one.fills if first <= frame <= last]:
        del one.fills[frame]
