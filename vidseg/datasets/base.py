"""What a data set plugin is, and the label types that the built-in ones share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError
from vidseg.types import Mask, Size, Video
from vidseg.types import labelled_frames as labelled_frames


class Dataset(Protocol):
    """A named collection of annotated videos (entry-point group ``vidseg.datasets``).

    A plugin is a class whose ``__init__`` takes typed keyword parameters (the first may be given
    without its name). Constructing it may list files; it reads no pixel.

    A data set may also have

    * ``notes() -> Sequence[str]``: facts that the user should see once, such as a wrong
      ``seqLength``;
    * ``survey() -> Sequence[Video | VidsegError]``: the videos, and the error in place of each
      that cannot be opened, so that ``vidseg datasets check`` finds all faults at once;
    * ``classes() -> Sequence[ClassCount]``: the classes of its labels, and how often each occurs;
      ``vidseg datasets show`` and ``check`` list them.

    Its videos may have

    * ``labelled() -> Sequence[int]``: the frames with ground truth, ascending; without it every
      frame has it. Training and scoring ask for the labels of these frames only;
    * ``questions``, pairs of what cannot be known of its labels and how to say it (see
      :class:`vidseg.types.Question`): training refuses the video until they are answered;
    * ``label_notes() -> Sequence[str]``: notes that need the true length, and ``label_faults()``,
      those of them that are faults; ``look_at_all_labels()`` lets both be about every label;
    * ``frame_hashes``, one content hash for each frame's file: the content check finds shared
      frames by them without decoding;
    * ``notes``, and ``mismatches``, those of them that say that frames and annotation disagree
      about their number;
    * ``remember(memory: Memory)``: where to keep what takes a decoding to find and depends on the
      content only, such as a clip's length.
    """

    contract: ClassVar[int]

    @property
    def name(self) -> str:
        """Short name for tables and runs."""
        ...

    def videos(self) -> Sequence[Video]:
        """Return the videos, in a stable order, names unique.

        Raises:
            DataError: the folder is missing or empty, or holds no ground truth.
        """
        ...


class ClassCount(NamedTuple):
    """How often a class occurs in a data set.

    Attributes:
        name: as in the file, or its number where the file names none.
        number: as in the file; None where classes have names only.
        boxes: boxes, polygons or masks, each frame of a track counted.
        frames: frames that show it.
        use: ``"foreground"``, ``"ignored"`` or ``"background"``.
    """

    name: str
    number: int | None
    boxes: int
    frames: int
    use: str


def add_classes(counts: Iterable[Sequence[ClassCount]]) -> list[ClassCount]:
    """Return the classes of several videos or data sets; what has one name and use is one class."""
    found: dict[tuple[str, str], ClassCount] = {}
    for one in (one for own in counts for one in own):
        other = found.get((one.name, one.use), ClassCount(one.name, one.number, 0, 0, one.use))
        found[one.name, one.use] = ClassCount(
            one.name,
            one.number if one.number == other.number else None,
            one.boxes + other.boxes,
            one.frames + other.frames,
            one.use,
        )
    return list(found.values())


def no_boxes() -> npt.NDArray[np.float64]:
    """Return the boxes of a frame that shows nothing: ``float64 (0, 4)``."""
    return np.zeros((0, 4), np.float64)


@dataclass(frozen=True, slots=True)
class BoxLabels:
    """Boxes of one frame; see :class:`vidseg.types.Labels` for the fields."""

    size: Size
    boxes: npt.NDArray[np.float64] = field(default_factory=no_boxes)
    origin: float = 0.0
    ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    mask: None = None


class VideoBoxes(NamedTuple):
    """The boxes that matter of one video, sorted by frame.

    Attributes:
        frames: ``int64 (n,)`` 0-based frame.
        ids: ``int64 (n,)`` track.
        boxes: ``float64 (n, 4)`` left, top, width, height.
        ignored: ``bool (n,)``.
    """

    frames: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    ignored: npt.NDArray[np.bool_]

    def at(self, index: int, size: Size, origin: float) -> BoxLabels:
        """Return the boxes of frame ``index``; ``origin`` is the first pixel's coordinate."""
        start, stop = np.searchsorted(self.frames, (index, index + 1))
        rows = slice(int(start), int(stop))
        return BoxLabels(size, self.boxes[rows], origin, self.ids[rows], self.ignored[rows])


@dataclass(frozen=True, slots=True)
class MaskLabels:
    """A dense mask of one frame, and its boxes where known (``synthetic`` has both).

    The mask is the truth; boxes beside it serve annotation tools and statistics only.
    """

    size: Size
    mask: Mask
    boxes: npt.NDArray[np.float64] | None = None
    origin: float = 0.0
    ids: npt.NDArray[np.int64] | None = None
    ignored: npt.NDArray[np.bool_] | None = None


def check_source(source: str, video: str) -> None:
    """Refuse a label source that a video with nothing but its truth does not have.

    Raises:
        UsageError: ``source`` is not ``"truth"``.
    """
    if source != "truth":
        raise UsageError(
            f"has no labels {source!r}", where=video, hint="the only label source here is 'truth'"
        )
