"""What data sets in files share: videos made of frames and ground truth, and their list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from vidseg.datasets.base import ClassCount, check_source
from vidseg.errors import DataError
from vidseg.media.image_folder import name_of
from vidseg.types import Image, Labels, Memory, Question, Size, VideoInfo


class FrameFiles(Protocol):
    """The frames of one video, such as an ``ImageSequence`` or ``ClipFrames``."""

    @property
    def key(self) -> str:
        """Hash of the frames' content and of how they are read."""
        ...

    @property
    def hashes(self) -> tuple[str, ...]:
        """Hash of each frame's file; none where all frames share one file."""
        ...

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what takes a decoding to find."""
        ...

    def probe(self) -> VideoInfo:
        """Return true length and size; see :meth:`vidseg.types.Video.probe`."""
        ...

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames; see :meth:`vidseg.types.Video.frames`."""
        ...


class GroundTruth(ABC):
    """The labels of one video."""

    @abstractmethod
    def key(self, images: FrameFiles) -> str:
        """Return the hash of the labels, and of the frames that they refer to."""

    @abstractmethod
    def at(self, index: int, size: Size) -> Labels:
        """Return the labels of one frame, in pixels of a frame of ``size``."""

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have labels, ascending: by default all of them.

        Args:
            info: true length and size of the video.
        """
        return range(info.length)

    def notes(self, info: VideoInfo) -> Sequence[str]:
        """Return what the user should know of the labels, given the video's length and size."""
        return ()

    def faults(self, info: VideoInfo) -> Sequence[str]:
        """Return those of the notes that say that the labels are not what they seem."""
        return ()

    def look_at_all(self) -> None:  # noqa: B027 - most notes need no look at every label
        """Let notes and faults be about every label, whatever it costs."""

    def questions(self) -> Sequence[Question]:
        """Return what the user has to answer before the labels are trained on."""
        return ()

    def remember(self, memory: Memory) -> None:  # noqa: B027 - most labels cost no decoding
        """Keep in ``memory`` what takes a decoding to find."""

    def check(self, info: VideoInfo) -> None:  # noqa: B027 - most are checked when they are read
        """Refuse labels that do not fit the frames.

        Raises:
            DataError: they are longer than the video, or of another length or size.
        """


@dataclass(frozen=True, eq=False)
class FrameVideo:
    """One video of a data set in files; satisfies :class:`vidseg.types.Video`.

    Attributes:
        name: unique within the data set.
        group: its scene.
        images: the frames.
        truth: the labels.
        notes: what the user should know.
        mismatches: those of the notes that say that frames and annotation do not match.
    """

    name: str
    group: str
    images: FrameFiles = field(repr=False)
    truth: GroundTruth = field(repr=False)
    notes: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()

    @property
    def image_key(self) -> str:
        """Hash of the frames."""
        return self.images.key

    @property
    def frame_hashes(self) -> tuple[str, ...]:
        """Hash of each frame's file; none for a clip."""
        return self.images.hashes

    @property
    def frame_files(self) -> tuple[Path, ...]:
        """The file of each frame; none for a clip."""
        return getattr(self.images, "files", ())

    @cached_property
    def label_key(self) -> str:
        """Hash of the labels, and of the frames that they refer to."""
        return self.truth.key(self.images)

    def remember(self, memory: Memory) -> None:
        """Keep in ``memory`` what takes a decoding to find."""
        self.images.remember(memory)
        self.truth.remember(memory)

    def probe(self) -> VideoInfo:
        """Return true length and size; decodes a clip once, and compares the labels with it.

        Raises:
            DataError: the frames cannot be read, or the labels do not fit them.
        """
        return self._info

    @cached_property
    def _info(self) -> VideoInfo:
        info = self.images.probe()
        self.truth.check(info)
        return info

    @property
    def questions(self) -> tuple[Question, ...]:
        """What the user has to answer before the video is trained on."""
        return tuple(self.truth.questions())

    def labelled(self) -> Sequence[int]:
        """Return the frames that have ground truth, ascending."""
        return self._labelled

    @cached_property
    def _labelled(self) -> Sequence[int]:
        return self.truth.labelled(self.probe())

    @cached_property
    def _known(self) -> Collection[int]:
        frames = self._labelled
        return frames if isinstance(frames, range) else frozenset(frames)

    def label_notes(self) -> tuple[str, ...]:
        """Return what the user should know of the labels, once the true length is known."""
        return tuple(self.truth.notes(self.probe()))

    def label_faults(self) -> tuple[str, ...]:
        """Return those of the label notes that are faults."""
        return tuple(self.truth.faults(self.probe()))

    def look_at_all_labels(self) -> None:
        """Let label notes and faults be about every label, where a few are looked at."""
        self.truth.look_at_all()

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames at native size."""
        return self.images.frames(indices)

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Return the boxes or the mask of a frame.

        Raises:
            DataError: there is no such frame, it is not labelled, or its labels cannot be read.
            UsageError: ``source`` is not ``"truth"``.
        """
        check_source(source, self.name)
        info = self.probe()
        if not 0 <= index < info.length:
            raise DataError(f"has no frame {index}, only 0 to {info.length - 1}", where=self.name)
        if index not in self._known:
            raise DataError(f"frame {index} is not labelled", where=self.name)
        return self.truth.at(index, info.size)


class FileDataset(ABC):
    """A folder of videos; satisfies :class:`vidseg.datasets.base.Dataset`.

    Attributes:
        root: the folder, or one file.
    """

    contract: ClassVar[int] = 1
    root: Path

    @property
    def name(self) -> str:
        """Name of the folder, or of the one file without suffix."""
        return self.root.stem if self.root.is_file() else name_of(self.root)

    def videos(self) -> list[FrameVideo]:
        """Return the videos in natural order; reads annotation and lists files, but no pixel.

        Raises:
            DataError: frames or ground truth are missing, malformed, or contradict each other.
        """
        return self._videos

    def survey(self) -> list[FrameVideo | DataError]:
        """Return the videos, and the error in place of each that cannot be opened."""
        return [_attempt(opening) for opening in self.openings()]

    def notes(self) -> list[str]:
        """Return what the user should know of the videos."""
        return [f"{video.name}: {note}" for video in self._videos for note in _notes(video)]

    def classes(self) -> Sequence[ClassCount]:
        """Return the classes of the labels, and how often each occurs; none where unknown."""
        return ()

    @abstractmethod
    def openings(self) -> Sequence[Callable[[], FrameVideo]]:
        """Return what opens each video.

        Raises:
            DataError: the folder holds videos without ground truth, or the reverse.
        """

    @cached_property
    def _videos(self) -> list[FrameVideo]:
        return [opening() for opening in self.openings()]


def _notes(video: FrameVideo) -> tuple[str, ...]:
    """Return the notes of a video; of one that does not decode those that need no length."""
    try:
        return (*video.notes, *video.label_notes())
    except DataError:
        return video.notes


def _attempt(opening: Callable[[], FrameVideo]) -> FrameVideo | DataError:
    try:
        return opening()
    except DataError as error:
        return error
