"""What a writer of a format is, and the count of what a format cannot hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidseg.types import Labels, VideoInfo
from vidseg.utils.text import plural


class Losses:
    """Counts what is lost, by what is said of it."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, noun: str, what: str, count: int = 1) -> None:
        """Count something that is not kept.

        Args:
            noun: what is counted, in the singular, such as ``"box"``.
            what: what becomes of it, in words that fit behind any number.
            count: how many more; 0 is nothing.
        """
        if count:
            key = noun, what
            self._counts[key] = self._counts.get(key, 0) + count

    def lines(self) -> list[str]:
        """Return what is lost, each with its count: ``"12 boxes: left out"``."""
        return [
            f"{count} {plural(noun, count)}: {what}" for (noun, what), count in self._counts.items()
        ]


@dataclass(frozen=True)
class WrittenVideo:
    """A video whose pictures are written and whose labels are to come.

    Attributes:
        name: of its folder, safe in a path.
        info: true length and size.
        labelled: the frames with ground truth, ascending.
        pictures: one path for each frame, below the output folder.
    """

    name: str
    info: VideoInfo
    labelled: Sequence[int]
    pictures: Sequence[Path] = field(repr=False)

    @property
    def unlabelled(self) -> int:
        """Number of frames without ground truth."""
        return self.info.length - len(self.labelled)

    @property
    def suffix(self) -> str:
        """Suffix of the pictures, ``""`` where they have several."""
        found = {picture.suffix for picture in self.pictures}
        return found.pop() if len(found) == 1 else ""


class Writer(ABC):
    """Writes labels in one format, video by video, into a folder that is new.

    Args:
        root: the folder.
        losses: where to count what the format cannot hold.
        label: name of the class of what is foreground, in formats with names.

    Attributes:
        dataset: name of the data set plugin that reads the format.
        options: of it that reading needs, such as ``",void=128"``.
        left: number of labels that were written; a conversion that leaves none is refused.
    """

    dataset: ClassVar[str]
    options: str = ""

    def __init__(self, root: Path, losses: Losses, label: str) -> None:
        self.root, self.losses, self.label = root, losses, label
        self.left = 0

    def folder_name(self, name: str) -> str:
        """Return the name of a video as the format has it, before it is made safe."""
        return name

    def read_name(self, folder: str) -> str:
        """Return the name that a video has when it is read back from its folder."""
        return folder

    @abstractmethod
    def picture(self, video: str, index: int) -> Path:
        """Return where the picture of a frame goes below the root, without suffix."""

    @abstractmethod
    def start(self, video: WrittenVideo) -> None:
        """Begin a video; its pictures are there."""

    @abstractmethod
    def frame(self, index: int, labels: Labels) -> None:
        """Write the labels of one labelled frame of the video; called in ascending order."""

    @abstractmethod
    def end(self) -> None:
        """Finish the video."""

    def finish(self) -> None:  # noqa: B027 - most formats have nothing for all videos
        """Write what belongs to all videos."""


def text_of(value: float) -> str:
    """Return the shortest decimal text that is read back as the same number."""
    return np.format_float_positional(value, trim="-")
