"""Key boxes of a data set propagated to annotation folders, without a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.annotate.folder import AnnotationFolder
from vidseg.annotate.records import record_of_video
from vidseg.datasets.annotation import TrackedObject
from vidseg.datasets.annotation_file import JOURNAL, SNAPSHOT, is_annotation
from vidseg.datasets.annotation_records import (
    DIGITS,
    Batch,
    Edit,
    Fill,
    Finish,
    ObjectRecord,
    PutFills,
    PutObject,
    SetSettings,
    spans_of,
)
from vidseg.errors import DataError
from vidseg.labels.key_boxes import KeyTrack, Objects, key_frames, key_tracks, track_gaps
from vidseg.plugins.spec import Spec
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.fill import DOUBTFUL, Filled, Method, fill
from vidseg.trackers.gaps import Gap, Runs
from vidseg.trackers.run import run_gaps, updates
from vidseg.types import Video, labelled_frames
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop


@dataclass(frozen=True)
class Way:
    """How key boxes are propagated.

    Attributes:
        every: frames from one key frame to the next; 1: all labelled frames are key frames.
        tracker: makes trackers.
        method: how gaps are filled.
        objects: what an object is.
    """

    every: int
    tracker: TrackerSource
    method: Method
    objects: Objects


@dataclass(frozen=True)
class PropagatedVideo:
    """What became of one video.

    Attributes:
        name: of the video.
        folder: its annotation.
        frames, key_frames, objects: how many there are.
        human, propagated: boxes.
        doubtful: propagated boxes with a doubt above :data:`vidseg.trackers.fill.DOUBTFUL`.
        kept: gaps that were finished before.
    """

    name: str
    folder: Path
    frames: int
    key_frames: int
    objects: int
    human: int
    propagated: int
    doubtful: int
    kept: int


def propagate_video(
    video: Video,
    spec: Spec,
    output: Path,
    way: Way,
    *,
    fresh: bool = False,
    progress: Progress,
    stop: Callable[[], None] = check_stop,
) -> PropagatedVideo:
    """Propagate the key boxes of one video; finished gaps of an interrupted call are kept.

    Args:
        video: with labelled frames.
        spec: of its data set.
        output: the annotation is its folder of the video's name.
        way: how.
        fresh: begin anew where the folder holds another annotation.
        progress: where to tell how far it is.
        stop: raises when the user asked to stop.

    Raises:
        DataError: a frame cannot be read, no frame is labelled, or the folder holds another
            annotation.
        UsageError: the labels have no identities.
        StoreError: the folder cannot be written.
    """
    keys = key_frames(labelled_frames(video), way.every)
    if not keys:
        raise DataError("no frame is labelled", where=f"video {video.name}")
    tracks = key_tracks(video, keys, way.objects)
    gaps = track_gaps(tracks, keys)
    settings = _settings(video, way)
    with _opened(video, spec, output / folder_name(video.name), settings, fresh) as folder:
        if not folder.annotation.settings:
            folder.write(Batch(edits=list(_begin(tracks, keys, settings))))
        ids = _ids(tracks)
        waiting = [g for g in gaps if not _done(folder.annotation.object(ids[g.track]), g)]
        with progress.task(f"propagating {video.name}", updates(waiting)) as bar:
            for gap, runs in _runs(video, waiting, way, bar, stop):
                folder.write(fills_of_gap(ids[gap.track], gap, fill(gap, runs, way.method)))
        folder.write(Finish(frames=[(keys[0], keys[-1])]))
        objects = folder.annotation.objects.values()
        return _counted(video, folder.folder, keys, list(objects), len(gaps) - len(waiting))


def _runs(
    video: Video, gaps: Sequence[Gap], way: Way, bar: Any, stop: Callable[[], None]
) -> Iterator[tuple[Gap, Runs | None]]:
    if way.method == "linear":
        yield from ((gap, None) for gap in gaps)
        return
    yield from run_gaps(video.frames, gaps, way.tracker, video.probe().size, bar=bar, stop=stop)


def _settings(video: Video, way: Way) -> dict[str, Any]:
    tracker = {} if way.method == "linear" else {"tracker": str(way.tracker.spec)}
    return {
        "labels": video.label_key,
        "every": way.every,
        "method": way.method,
        "objects": way.objects,
        **tracker,
    }


def _opened(
    video: Video, spec: Spec, folder: Path, settings: dict[str, Any], fresh: bool
) -> AnnotationFolder:
    if not is_annotation(folder):
        return AnnotationFolder.create(folder, record_of_video(video, spec, folder))
    found = AnnotationFolder(folder)
    same = found.annotation.settings in ({}, settings)
    if same and found.annotation.video.fingerprint == video.image_key and not fresh:
        return found
    found.close()
    if not fresh:
        raise DataError(
            "holds an annotation that was made in another way, or of another video",
            where=folder,
            hint="name another folder, or replace it by --fresh",
        )
    for name in (JOURNAL, SNAPSHOT):
        (folder / name).unlink(missing_ok=True)
    return AnnotationFolder.create(folder, record_of_video(video, spec, folder))


def _begin(
    tracks: Sequence[KeyTrack], keys: Sequence[int], settings: dict[str, Any]
) -> Iterator[Edit]:
    for number, track in zip(_ids(tracks), tracks, strict=True):
        gone = {
            (before + frame) // 2 + 1: None
            for before, frame in pairwise(keys)
            if before in track.keys and frame not in track.keys
        }
        boxes = {frame: _rounded(box) for frame, box in track.keys.items()}
        record = ObjectRecord(id=number, ignored=track.ignored, keys=gone | boxes)
        yield PutObject(object=record)
    yield SetSettings(settings=settings)


def _ids(tracks: Sequence[KeyTrack]) -> list[int]:
    """Return an id for each track: its own, or a free one where two have the same."""
    own = [track.id for track in tracks]
    free = max(own, default=0) + 1
    found: dict[int, None] = {}
    for number in own:
        if number in found or number < 0:
            number, free = free, free + 1
        found[number] = None
    return list(found)


def _done(one: TrackedObject, gap: Gap) -> bool:
    return all(frame in one.fills for frame in gap.frames)


def fills_of_gap(number: int, gap: Gap, filled: Filled) -> PutFills:
    """Return the edit that writes what was filled in a gap."""
    rows = zip(gap.frames, filled.boxes[gap.filled], filled.doubt[gap.filled], strict=True)
    fills = {frame: _fill(box, float(doubt)) for frame, box, doubt in rows}
    return PutFills(id=number, first=gap.frames[0], last=gap.frames[-1], spans=spans_of(fills))


def _fill(box: Sequence[float], doubt: float) -> Fill:
    return Fill(_rounded(box), None if np.isnan(doubt) else round(doubt, 4))


def _rounded(box: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, width, height = (round(float(side), DIGITS) for side in box)
    least = 10.0**-DIGITS
    return left, top, max(width, least), max(height, least)


def folder_name(name: str) -> str:
    """Return a video's name as the name of the folder of its annotation."""
    kept = "".join("_" if sign in "/\\:\0" else sign for sign in name)
    return f"_{kept}" if kept.startswith(".") or not kept else kept


def _counted(
    video: Video, folder: Path, keys: Sequence[int], objects: Sequence[TrackedObject], kept: int
) -> PropagatedVideo:
    fills = [fill for one in objects for fill in one.fills.values()]
    return PropagatedVideo(
        video.name,
        folder,
        keys[-1] - keys[0] + 1,
        len(keys),
        len(objects),
        sum(box is not None for one in objects for box in one.keys.values()),
        len(fills),
        sum(fill.doubt is not None and fill.doubt > DOUBTFUL for fill in fills),
        kept,
    )
