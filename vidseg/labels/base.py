"""What a source of training labels is (entry-point group ``vidseg.labels``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from vidseg.types import Labels, Video


class VideoLabels(Protocol):
    """The training labels of one video.

    They may have ``labelled() -> Sequence[int] | None``: the frames that can be trained on,
    ascending, be they more or fewer than those with ground truth. Without it, or where it returns
    None, they are those with ground truth. Tests are on frames with ground truth all the same.

    Labels that are made of the frames may have

    * ``prepare(indices, task, stop)``: makes those of ``indices`` (ascending) before they are asked
      for one by one, advances ``task`` by their number, and calls ``stop`` often;
    * ``remember(memory: Memory)``: where to keep what takes long to make.

    They may have ``effort(indices) -> Effort`` (:mod:`vidseg.labels.effort`): what a human does for
    them; without it, every box of ``indices`` is drawn by hand.

    Attributes:
        key: hash of what the labels say, never of paths or times: it is part of a cell's key.
    """

    @property
    def key(self) -> str: ...

    def labels(self, index: int) -> Labels:
        """Return the labels of frame ``index`` (0-based), in pixels of the video's own frames."""
        ...


class LabelSource(Protocol):
    """Gives a video the labels that it is trained on; tests are on the truth all the same.

    A plugin is a class whose ``__init__`` takes typed keyword parameters. What it gives may be
    read from files, or be made of the video's frames and some of its true labels, as a tracker
    does. One that fits a model has ``within(pipeline) -> LabelSource`` as well, which is given
    what is trained (:class:`vidseg.experiment.pseudo.Pipeline`).
    """

    contract: ClassVar[int]

    def of(self, video: Video) -> VideoLabels:
        """Return the labels of a video; an object that can be pickled.

        Raises:
            VidsegError: there are none for it, or they do not belong to its frames.
        """
        ...


@dataclass(frozen=True)
class KeyedLabels:
    """Labels that a function gives; satisfies :class:`VideoLabels`.

    Attributes:
        key: see :class:`VideoLabels`.
        read: returns the labels of a frame; a function that can be pickled, so no lambda: training
            sets are sent to other processes.
        frames: those that have labels, ascending; None: those that have ground truth.
    """

    key: str
    read: Callable[[int], Labels]
    frames: Sequence[int] | None = None

    def labelled(self) -> Sequence[int] | None:
        """Return the frames that have labels; None: those that have ground truth."""
        return self.frames

    def labels(self, index: int) -> Labels:
        """Return the labels of frame ``index``."""
        return self.read(index)
