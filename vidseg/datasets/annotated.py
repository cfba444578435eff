"""Folders that `vidseg annotate` or `vidseg propagate` made: the frames that are finished.

Ground truth are the frames that are marked as finished; each box is a human's or propagated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidseg import plugins
from vidseg.datasets.annotation import Annotation, TrackedObject
from vidseg.datasets.annotation_file import (
    SNAPSHOT,
    is_annotation,
    read_annotation,
)
from vidseg.datasets.annotation_records import VideoRecord
from vidseg.datasets.base import BoxLabels, no_boxes
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.clip import ClipFrames
from vidseg.media.image_folder import (
    ImageSequence,
    content_key,
    list_images,
    locate,
    name_of,
    natural_key,
)
from vidseg.types import Image, Memory, Size, Video, VideoInfo

_READER = "annotated 1"


class Annotated(FileDataset):
    """Annotation folders: one, or a folder of them.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        labelled: finished takes the frames that are marked as finished, all every frame.
        classes: names of objects that are foreground; without it all.
        ignore_classes: names of objects that count neither as foreground nor as background.
        video: the annotated clip or folder of frames, where it is no longer in the place that
            the annotation names; one annotation only.
        include: names of the annotation folders to use, or patterns such as cam2-*; without it all.
        exclude: names or patterns of folders to leave out.
    """

    def __init__(
        self,
        path: str,
        labelled: Literal["finished", "all"] = "finished",
        classes: tuple[str, ...] = (),
        ignore_classes: tuple[str, ...] = (),
        video: str | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"annotated:{path}"
        self.root = locate(path, what=what)
        self._folders = Selection(include, exclude, what).of(_find(self.root), name_of)
        self._rule = Rule(labelled == "all", frozenset(classes), frozenset(ignore_classes))
        self._video = None
        if video is not None:
            self._video = locate(video, what=f"{what},video={video}", or_file=True)
            if len(self._folders) > 1:
                raise DataError(
                    f"one video cannot be that of {len(self._folders)} annotations", where=what
                )

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each annotation: reads it, and no pixel."""
        return [partial(_open, folder, self._rule, self._video) for folder in self._folders]


@dataclass(frozen=True)
class Rule:
    """What of an annotation is ground truth, and what it means.

    Attributes:
        every: every frame is labelled, not only the finished ones.
        classes: names of objects that are foreground; all where empty.
        ignored: names of objects that count as nothing.
    """

    every: bool = False
    classes: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def use(self, one: TrackedObject) -> Literal["foreground", "ignored"] | None:
        """Return what an object is; None where it is background."""
        if one.ignored or one.name in self.ignored:
            return "ignored"
        return "foreground" if not self.classes or one.name in self.classes else None


@dataclass(frozen=True, eq=False)
class AnnotatedTruth(GroundTruth):
    """The boxes of one annotation.

    Attributes:
        annotation: as it was read.
        rule: what of it is ground truth.
        where: the file, for errors.
    """

    annotation: Annotation = field(repr=False)
    rule: Rule
    where: Path

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the boxes of all labelled frames.

        Raises:
            DataError: the frames are not those that were annotated.
        """
        video = self.annotation.video
        if images.key != video.fingerprint:
            raise DataError(
                f"the frames of {video.name} are not those that were annotated",
                where=self.where,
                hint="restore the video, or give it as video=PATH",
            )
        frames = self.labelled(VideoInfo(video.length, self.annotation.size))
        rows = [row for frame in frames for row in self._rows(frame)]
        return content_key(_READER, images.key, list(frames), rows)

    def check(self, info: VideoInfo) -> None:
        """Refuse another video.

        Raises:
            DataError: its length or size is another one.
        """
        video = self.annotation.video
        for what, there, here in (
            ("frames", info.length, video.length),
            ("size", str(info.size), str(self.annotation.size)),
        ):
            if there != here:
                raise DataError(
                    f"the annotated video's {what}: {here}, now {there}",
                    where=self.where,
                    hint="restore the video, or give it as video=PATH",
                )

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the finished frames."""
        return range(info.length) if self.rule.every else sorted(self.annotation.finished)

    def at(self, index: int, size: Size) -> BoxLabels:
        """Return the boxes of a frame; ignored regions have ids below 0."""
        rows = list(self._rows(index))
        return BoxLabels(
            size,
            np.array([box for _, box, _ in rows], np.float64) if rows else no_boxes(),
            0.0,
            np.array([number for number, _, _ in rows], np.int64),
            np.array([ignored for _, _, ignored in rows], bool),
        )

    def human(self, index: int) -> npt.NDArray[np.bool_]:
        """Return ``bool (n,)``: whether a human drew each box of :meth:`at`."""
        drawn = [
            box.origin == "human"
            for one, box in self.annotation.at(index)
            if self.rule.use(one) is not None
        ]
        return np.array(drawn + [True] * len(self.annotation.regions_at(index)), bool)

    def notes(self, info: VideoInfo) -> list[str]:
        """Return how many frames are not finished, and what is not filled in."""
        return [*self._unfinished(info), *self._unfilled()]

    def _unfinished(self, info: VideoInfo) -> Iterator[str]:
        left = info.length - len(self.labelled(info))
        if left:
            yield f"{left} of {info.length} frames are not finished: not labelled"

    def _unfilled(self) -> Iterator[str]:
        frames, names = 0, []
        for one in self.annotation.objects.values():
            open_ = [f for f in _between(one) if self.rule.every or f in self.annotation.finished]
            if open_ and self.rule.use(one) is not None:
                frames += len(open_)
                names.append(one.id)
        if names:
            shown = ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
            yield (
                f"{frames} frames between two boxes of an object are not filled in "
                f"(objects {shown}): propagate them"
            )

    def _rows(self, index: int) -> Iterator[tuple[int, tuple[float, ...], bool]]:
        """Yield id, box and whether it is ignored."""
        for one, placed in self.annotation.at(index):
            use = self.rule.use(one)
            if use is not None:
                yield one.id, placed.box, use == "ignored"
        for region in self.annotation.regions_at(index):
            yield -1 - region.id, region.box, True


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """The frames of a video of any data set; satisfies :class:`FrameFiles`."""

    video: Video

    @property
    def key(self) -> str:
        """Hash of the frames."""
        return self.video.image_key

    @property
    def hashes(self) -> tuple[str, ...]:
        """Hash of each frame's file, where there are files."""
        return tuple(getattr(self.video, "frame_hashes", ()))

    @cached_property
    def _info(self) -> VideoInfo:
        return self.video.probe()

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what takes a decoding to find."""
        if callable(remember := getattr(self.video, "remember", None)):
            remember(memory)

    def probe(self) -> VideoInfo:
        """Return true length and size."""
        return self._info

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames."""
        return self.video.frames(indices)


def frames_of_record(record: VideoRecord, folder: Path, given: Path | None = None) -> FrameFiles:
    """Return the frames of an annotated video.

    Args:
        record: says where they were.
        folder: of the annotation; relative paths begin there.
        given: where they are now, if that is known.

    Raises:
        DataError: they are not there.
    """
    if given is None and record.dataset is not None:
        return VideoFrames(_find_video(record, folder))
    place = given or folder / str(record.path)
    if place.is_dir():
        return ImageSequence(list_images(place), record.fps)
    if place.is_file():
        return ClipFrames(place)
    raise DataError(
        f"the annotated video {record.name} is not there",
        where=place,
        hint="put it back, or give it as video=PATH",
    )


def _find_video(record: VideoRecord, folder: Path) -> Video:
    where = str(folder / SNAPSHOT)
    for video in plugins.create("dataset", str(record.dataset), where=where).videos():
        if video.name == record.name:
            found: Video = video
            return found
    raise DataError(f"{record.dataset} has no video {record.name}", where=where)


def _find(root: Path) -> list[Path]:
    if is_annotation(root):
        return [root]
    found = [child for child in root.iterdir() if child.is_dir() and is_annotation(child)]
    if not found:
        raise DataError(
            "holds no annotation",
            where=root,
            hint="`vidseg annotate` and `vidseg propagate` make annotation folders",
        )
    return sorted(found, key=lambda child: natural_key(child.name))


def _open(folder: Path, rule: Rule, given: Path | None) -> FrameVideo:
    annotation = read_annotation(folder)
    video = annotation.video
    if not rule.every and not annotation.finished:
        raise DataError(
            "no frame is marked as finished",
            where=folder / SNAPSHOT,
            hint="mark those on which everything is drawn, or say labelled=all",
        )
    images = frames_of_record(video, folder, given)
    truth = AnnotatedTruth(annotation, rule, folder / SNAPSHOT)
    return FrameVideo(video.name, video.group, images, truth)


def _between(one: TrackedObject) -> Iterator[int]:
    """Yield the frames between two boxes of an object that have none."""
    frames = sorted(one.keys)
    for first, last in pairwise(frames):
        if one.keys[first] is not None and one.keys[last] is not None:
            yield from (frame for frame in range(first + 1, last) if frame not in one.fills)
