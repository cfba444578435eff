"""One video that pages annotate: its edits in order, what each changed, and its propagation."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidseg.annotate.batch import fills_of_gap, folder_name
from vidseg.annotate.filler import Filler, Job
from vidseg.annotate.folder import AnnotationFolder
from vidseg.annotate.pictures import Pictures
from vidseg.annotate.records import record_of_footage
from vidseg.annotate.settings import SETTINGS, check_settings
from vidseg.curate.footage import Footage
from vidseg.datasets.annotation import Annotation, TrackedObject
from vidseg.datasets.annotation_file import is_annotation
from vidseg.datasets.annotation_records import (
    Batch,
    Box,
    Describe,
    Edit,
    PutFills,
    PutKey,
    PutObject,
    PutRegion,
    RemoveObject,
    RemoveRegion,
    SetClasses,
    SetSettings,
    Snapshot,
    ranges_of,
)
from vidseg.errors import DataError, UsageError
from vidseg.trackers.fill import Filled
from vidseg.trackers.gaps import Gap, gaps_of
from vidseg.utils.progress import Quiet

Place = tuple[str, int]
"""What an edit changes: ``("object", id)``, ``("region", id)``, ``("settings", 0)``."""


class StaleError(UsageError):
    """An edit of something that another page has changed since."""


class Counting(Quiet):
    """Progress that pages are told: steps done and in all; nothing in all when nothing is done."""

    def __init__(self) -> None:
        self.done, self.total = 0.0, 0.0

    @contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Counting]:
        """Count the steps of a task."""
        self.done, self.total = 0.0, total or 0.0
        try:
            yield self
        finally:
            self.done = self.total = 0.0

    def advance(self, steps: float = 1) -> None:
        """Count."""
        self.done += steps

    def to_dict(self) -> dict[str, float]:
        """Return it for the page."""
        return {"done": self.done, "total": self.total}


class OpenVideo:
    """A video and its annotation, open for any number of pages.

    Args:
        video: the frames.
        output: the annotation is its folder of the video's name; made where it is not there.
        scratch: folder for decoded frames.
        tracker: spec of the tracker of a new annotation.

    Raises:
        DataError: the video does not decode to its end, or the folder is of another video.
        StoreError: another process edits the annotation, or it cannot be written.
    """

    def __init__(self, video: Footage, output: Path, scratch: Path, tracker: str = "lk") -> None:
        self.video, self.info = video, video.probe()
        self.place = output / folder_name(video.name)
        self._tracker = tracker
        self._lock = threading.RLock()
        self.folder = _opened(video, self.place)
        self.pictures = Pictures(video.images, self.info.length, scratch)
        self.filler = Filler(self.pictures.frames, self.info.size, self._take)
        self._changed: dict[Place, int] = {}
        self._edited: dict[Place, tuple[int, str]] = {}
        self.exporting = Counting()
        self._human = self._begun = self.annotation.revision

    @property
    def annotation(self) -> Annotation:
        """The state; see :class:`vidseg.datasets.annotation.Annotation`."""
        return self.folder.annotation

    @property
    def settings(self) -> dict[str, Any]:
        """What the page was told to use."""
        held = self.annotation.settings
        known = {name: held[name] for name in SETTINGS if name in held}
        return SETTINGS | {"tracker": self._tracker} | known

    def apply(self, edit: Edit, revision: int, client: str) -> dict[str, Any]:
        """Make an edit of a page; return what changed since the page's revision.

        Raises:
            StaleError: another page changed the same thing since; nothing is changed.
            UsageError: it does not fit the annotation; nothing is changed.
            StoreError: it cannot be written; nothing is changed.
        """
        with self._lock:
            self._check(edit)
            if isinstance(edit, SetSettings):
                check_settings(edit.settings)
            self._refuse_stale(edit, revision, client)
            with self._refitting(edit):
                if isinstance(edit, SetSettings | SetClasses):
                    self.folder.write(edit)
                else:
                    self.folder.apply(edit)
            self._note(edit, client)
            return self.changes(revision)

    def step(self, *, back: bool, revision: int, client: str) -> dict[str, Any]:
        """Undo or redo an edit, whichever page made it; return what changed.

        Raises:
            StaleError: a page made an edit that this one has not seen.
            UsageError: there is nothing to take back.
            StoreError: it cannot be written; nothing is changed.
        """
        with self._lock:
            if self._human > revision:
                raise StaleError("another page has changed the annotation since; look, then undo")
            edit = self.folder.next_undo if back else self.folder.next_redo
            if edit is None:
                raise UsageError(f"there is nothing to {'undo' if back else 'redo'}")
            with self._refitting(edit):
                done = self.folder.undo() if back else self.folder.redo()
            assert done is not None
            self._note(done, client)
            return self.changes(revision)

    def changes(self, since: int) -> dict[str, Any]:
        """Return everything that changed after a revision; all there is for one before this server.

        Objects and regions that are in ``ids`` of the answer are there; others are gone.
        """
        with self._lock:
            state = self.annotation
            whole = since < self._begun or since > state.revision
            snapshot = {
                "revision": state.revision,
                "regions": [region.model_dump() for _, region in sorted(state.regions.items())],
                "finished": ranges_of(state.finished),
                "classes": state.classes,
                "settings": self.settings,
                "can_undo": self.folder.can_undo,
                "can_redo": self.folder.can_redo,
            }
            changed = [
                one.record.model_dump()
                for number, one in sorted(state.objects.items())
                if whole or self._changed.get(("object", number), 0) > since
            ]
            gone = [
                number
                for (kind, number), at in self._changed.items()
                if kind == "object" and at > since and number not in state.objects
            ]
            return snapshot | {"whole": whole, "objects": changed, "removed": gone}

    def status(self) -> dict[str, Any]:
        """Return what pages are told as it changes: small, and quick to make."""
        return {
            "revision": self.annotation.revision,
            "ready": self.pictures.ready,
            "length": self.info.length,
            "frames_error": self.pictures.error,
            "fill": self.filler.state.to_dict(),
            "exporting": self.exporting.to_dict(),
        }

    def propagate(self, ids: Iterable[int] | None, *, again: bool = False) -> int:
        """Fill the gaps of objects; return how many are begun.

        Args:
            ids: of the objects; None: all.
            again: also those that are filled, such as by another method.

        Raises:
            UsageError: there is no such object.
        """
        with self._lock:
            numbers = sorted(self.annotation.objects) if ids is None else list(ids)
            jobs = [
                job
                for number in numbers
                for gap in self._gaps(self.annotation.object(number))
                if again or not _filled(self.annotation.object(number), gap)
                for job in [self._job(gap, first=ids is not None)]
            ]
        self.filler.add(jobs)
        return len(jobs)

    def close(self) -> None:
        """Fold the journal, and let others open the annotation."""
        self.filler.close()
        self.pictures.close()
        with self._lock:
            self.folder.close()

    def snapshot(self) -> Snapshot:
        """Return the whole annotation."""
        with self._lock:
            return self.annotation.snapshot

    def _take(self, gap: Gap, filled: Filled) -> None:
        """Write a filled gap, unless its key boxes were changed meanwhile."""
        with self._lock:
            one = self.annotation.objects.get(gap.track)
            if one is None or not _holds(one, gap):
                return
            self.folder.write(fills_of_gap(one.id, gap, filled))
            self._changed["object", one.id] = self.annotation.revision

    def _check(self, edit: Edit, depth: int = 0) -> None:
        """Refuse boxes outside of the frame, and batches in batches."""
        if isinstance(edit, Batch):
            if depth:
                raise UsageError("edits in edits in edits")
            for one in edit.edits:
                self._check(one, depth + 1)
        for box in _boxes(edit):
            left, top, width, height = box
            size = self.info.size
            if left >= size.width or top >= size.height or left + width <= 0 or top + height <= 0:
                raise UsageError(f"the box lies outside of the frame, which is {size}")

    def _refuse_stale(self, edit: Edit, revision: int, client: str) -> None:
        """Propagation makes no edit stale: it gives way to what a human draws."""
        for kind, number in _places(edit):
            at, by = self._edited.get((kind, number), (0, ""))
            if at > revision and by != client:
                raise StaleError(f"another page has changed {kind} {number} since; do it again")

    def _note(self, edit: Edit, client: str) -> None:
        self._human = self.annotation.revision
        for place in _places(edit):
            self._changed[place] = self._human
            self._edited[place] = self._human, client

    @contextmanager
    def _refitting(self, edit: Edit) -> Iterator[None]:
        """Fill anew, after an edit, what it dropped; with ``ahead`` also what was never filled."""
        before = {number: self._drawn(number) for number in _objects(edit)}
        yield
        ahead, jobs = self.settings["ahead"], []
        for number, (keys, fills) in before.items():
            one = self.annotation.objects.get(number)
            if one is None or (one.keys == keys and one.fills.keys() >= fills):
                continue
            lost = fills - one.fills.keys()
            for gap in self._gaps(one):
                if not _filled(one, gap) and (ahead or not lost.isdisjoint(gap.frames)):
                    jobs.append(self._job(gap, first=True))
        self.filler.add(jobs)

    def _drawn(self, number: int) -> tuple[dict[int, Box | None], set[int]]:
        one = self.annotation.objects.get(number)
        return ({}, set()) if one is None else (dict(one.keys), set(one.fills))

    def _gaps(self, one: TrackedObject) -> list[Gap]:
        """Return the gaps of an object, and that behind its last box."""
        gaps = gaps_of(one.id, one.keys)
        last = max(one.keys, default=None)
        if self.settings["ahead"] and last is not None and (box := one.keys[last]) is not None:
            end = min(last + int(self.settings["every"]), self.info.length - 1)
            if end > last:
                gaps.append(Gap(one.id, last, end, box, None))
        return gaps

    def _job(self, gap: Gap, *, first: bool) -> Job:
        settings = self.settings
        return Job(gap, str(settings["tracker"]), settings["method"], first)


def _opened(video: Footage, place: Path) -> AnnotationFolder:
    """Open the annotation of a video, or begin it.

    Raises:
        DataError: it is of another video.
        StoreError: it cannot be written, or another process edits it.
    """
    if not is_annotation(place):
        return AnnotationFolder.create(place, record_of_footage(video, place))
    found = AnnotationFolder(place)
    if found.annotation.video.fingerprint != video.image_key:
        found.close()
        raise DataError(
            f"is the annotation of another video than {video.path}",
            where=place,
            hint="name another folder by --output",
        )
    return found


def _filled(one: TrackedObject, gap: Gap) -> bool:
    return all(frame in one.fills for frame in gap.frames)


def _holds(one: TrackedObject, gap: Gap) -> bool:
    """Return whether the ends of a gap are still what they were, with no key between them."""
    ends = (gap.first, gap.start), (gap.last, gap.end)
    same = all(box is None or one.keys.get(frame) == box for frame, box in ends)
    return same and one.keys.keys().isdisjoint(gap.frames)


def _boxes(edit: Edit) -> Iterator[Box]:
    """Yield the boxes that an edit draws; propagated ones may leave the frame."""
    if isinstance(edit, PutObject):
        yield from (box for box in edit.object.keys.values() if box is not None)
    elif isinstance(edit, PutKey) and edit.box is not None:
        yield edit.box
    elif isinstance(edit, PutRegion):
        yield edit.region.box


def _places(edit: Edit) -> set[Place]:
    match edit:
        case Batch():
            return {place for one in edit.edits for place in _places(one)}
        case PutObject():
            return {("object", edit.object.id)}
        case RemoveObject() | Describe() | PutKey() | PutFills():
            return {("object", edit.id)}
        case PutRegion():
            return {("region", edit.region.id)}
        case RemoveRegion():
            return {("region", edit.id)}
        case SetSettings():
            return {("settings", 0)}
        case SetClasses():
            return {("classes", 0)}
    return set()


def _objects(edit: Edit) -> list[int]:
    return sorted(number for kind, number in _places(edit) if kind == "object")
