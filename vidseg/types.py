"""The nouns that all rooms share: sizes, images, masks, labels, frames, videos.

Arrays, once and for all:

* image: ``uint8 (H, W, 3)``, RGB, 0..255; made by a variant it may be ``float32`` on that scale,
  neither rounded nor clipped;
* mask: ``int8 (h, w)`` in {-1, 0, +1}: background, ignored, foreground;
* scores: ``float32 (h, w)``, of a batch ``(n, h, w)``; above the threshold is foreground;
* features: one ``float16 (C, h, w)`` array per level, at the level's native size.

Everything that a plugin hands in is a structural type (a :class:`typing.Protocol`): a plugin needs
the attributes, not an import of vidseg.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError

CONTRACT = 1
"""The version of the plugin contracts; a plugin class states its own as ``contract = 1``."""

Image = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int8]
Scores = npt.NDArray[np.float32]
Level = npt.NDArray[np.float16]
Features = tuple[Level, ...]


class Size(NamedTuple):
    """Height and width in pixels; written ``WIDTHxHEIGHT`` in text, as video sizes are."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str, *, where: str = "size") -> Size:
        """Read ``"320x180"`` as 320 wide, 180 high.

        Raises:
            UsageError: not ``WIDTHxHEIGHT``, or a side outside 8..16384.
        """
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip().lower())
        if match is None:
            raise UsageError(
                f"{text!r} is not a size", where=where, hint="write WIDTHxHEIGHT, such as 320x180"
            )
        width, height = int(match[1]), int(match[2])
        if not (8 <= width <= 16384 and 8 <= height <= 16384):
            raise UsageError(
                f"{text!r} is out of range", where=where, hint="each side must be 8 to 16384 pixels"
            )
        return cls(height, width)


class VideoInfo(NamedTuple):
    """What a video truly is, as found, not as announced.

    Attributes:
        length: number of frames that exist and can be read.
        size: native size of its frames.
        fps: frames per second where known.
    """

    length: int
    size: Size
    fps: float | None = None


class Question(NamedTuple):
    """What a video cannot know about itself, and its user has to say before it is trained on.

    Attributes:
        what: what is seen, and what is not known.
        hint: how to answer: ``"say labelled=rows, or labelled=all"``.
    """

    what: str
    hint: str


@runtime_checkable
class Labels(Protocol):
    """The ground truth of one frame: boxes, or a native mask.

    Attributes:
        size: size (height, width) of the frame that the coordinates refer to.
        boxes: ``float64 (n, 4)``: left, top, width, height, in pixels of ``size``, or None when
            the truth is a mask. Boxes may reach over the border.
        origin: coordinate of the first pixel's left/top edge: 1 for MOT (1-based), 0 otherwise.
        ids: ``int64 (n,)`` track identities, aligned with ``boxes``, or None with a mask.
        ignored: ``bool (n,)``: pixels of these boxes count neither as foreground nor background.
        mask: ``int8 (H, W)`` in {-1, 0, +1} of ``size``, or None when the truth is boxes.
    """

    @property
    def size(self) -> Size: ...
    @property
    def boxes(self) -> npt.NDArray[np.float64] | None: ...
    @property
    def origin(self) -> float: ...
    @property
    def ids(self) -> npt.NDArray[np.int64] | None: ...
    @property
    def ignored(self) -> npt.NDArray[np.bool_] | None: ...
    @property
    def mask(self) -> Mask | None: ...


class Video(Protocol):
    """One annotated video. Opening it reads no pixel.

    Attributes:
        name: unique within its data set; used in tables, so keep it short.
        group: videos of one scene share a group; no split puts a group on both sides.
        image_key: content hash of the frames, never of paths or times: renaming a folder keeps
            its features.
        label_key: content hash of the labels; editing a label must not change ``image_key``.
    """

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def image_key(self) -> str: ...
    @property
    def label_key(self) -> str: ...

    def probe(self) -> VideoInfo:
        """Return the true length and size; may decode the video once."""
        ...

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield the frames of ``indices`` (ascending, 0-based) at native size.

        Raises:
            DataError: a frame is missing, truncated, or of another size than the first.
        """
        ...

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Return the labels of frame ``index`` (0-based)."""
        ...


def labelled_frames(video: Video) -> Sequence[int]:
    """Return the 0-based frames of a video that have ground truth, ascending."""
    labelled = getattr(video, "labelled", None)
    return labelled() if callable(labelled) else range(video.probe().length)


class FrameSource(Protocol):
    """Images and masks of one video at the sizes of the experiment, in any order."""

    def image(self, index: int) -> Image:
        """Return the image of frame ``index`` at ``image_size``."""
        ...

    def mask(self, index: int) -> Mask:
        """Return the mask of frame ``index`` at ``mask_size``."""
        ...


@runtime_checkable
class Variant(Protocol):
    """A reproducible change of a frame, made on the fly: noise, augmentation.

    Implementations are frozen and hashable; their ``repr`` is part of a cell's key.

    Attributes:
        fresh: True when every epoch sees another draw, False when the draw is fixed.
    """

    @property
    def fresh(self) -> bool: ...

    def render(
        self, source: FrameSource, index: int, epoch: int
    ) -> tuple[Image | FloatImage, Mask]:
        """Return the changed image and the mask that belongs to it.

        The image is ``uint8``, or ``float32`` on the same scale where converting it to 8 bit
        would undo the change.
        """
        ...


@dataclass(frozen=True, slots=True)
class FrameRef:
    """One training or test example: a frame of a video, as it is or changed.

    Attributes:
        video: name of the video.
        index: 0-based frame index.
        variant: None for the frame as it is.
    """

    video: str
    index: int
    variant: Variant | None = None


class Memory(Protocol):
    """Keeps facts about content from one process to the next, or forgets them."""

    def get(self, key: str) -> Any:
        """Return what was put under ``key``, or None."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Keep ``value``, made of what JSON can hold."""
        ...


State = dict[str, npt.NDArray[Any]]
"""A fitted model as named arrays, stored as safetensors. Text goes in as ``uint8`` UTF-8."""


@runtime_checkable
class Head(Protocol):
    """A fitted model on frozen features."""

    def scores(self, features: Features, size: Size) -> Scores:
        """Return ``float32 (h, w)`` scores of one frame at ``size``; positive is foreground."""
        ...

    def export(self) -> State:
        """Return the state from which the classifier's ``load`` makes an equal model."""
        ...


@runtime_checkable
class Network(Protocol):
    """A fitted model on images (its extractor was trained with it)."""

    def batch_scores(self, images: Sequence[Image], size: Size, device: str) -> Scores:
        """Return ``float32 (n, h, w)`` scores of ``n`` images at ``size``; positive is foreground.

        The scores of an image may not depend on the others of its batch.

        Args:
            images: ``uint8 (H, W, 3)`` each, all of one size; so many as a bound on memory allows
                for images and scores (a network splits them further where its activations ask it).
            size: of the scores.
            device: where to compute, ``cpu`` or ``cuda``; the network moves itself there.
        """
        ...

    def export(self) -> State:
        """Return the state from which the classifier's ``load`` makes an equal model."""
        ...


Model = Head | Network

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels; 0 is the left (top) edge of the first pixel."""


@runtime_checkable
class Tracker(Protocol):
    """Follows one object from frame to frame (entry-point group ``vidseg.trackers``).

    A plugin is a class with typed keyword parameters and ``contract = 1``; each object gets a
    tracker of its own. ``libraries`` may name the modules that compute, such as ``("cv2",)``: what
    is tracked with another version is tracked anew.
    """

    def start(self, image: Image, box: Box) -> None:
        """Take the object in ``box`` of ``image``, ``uint8 (H, W, 3)``, as what is followed."""
        ...

    def update(self, image: Image) -> tuple[Box, float]:
        """Return where the object is in the next frame, and how sure that is: more is surer.

        The confidence is on the tracker's own scale, such as a peak-to-sidelobe ratio: 0 when the
        object is lost, and ``sure``, an attribute of the class, when it looks as before; 1 without.
        """
        ...


class TrainingSet(Protocol):
    """The training frames of one cell, in the order of the sampler.

    Attributes:
        refs: the frames, each as often as it is seen in one epoch.
        groups: group of each frame's video, aligned with ``refs``.
        videos: number of distinct videos.
        image_size: size of what the extractor sees.
        mask_size: size of the masks; scores are compared with masks at this size.
    """

    @property
    def refs(self) -> Sequence[FrameRef]: ...
    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def videos(self) -> int: ...
    @property
    def image_size(self) -> Size: ...
    @property
    def mask_size(self) -> Size: ...

    def frame(self, ref: FrameRef) -> Image | FloatImage:
        """Return the image of ``ref``, ``uint8 (H, W, 3)`` at ``image_size``.

        With a variant it may be ``float32`` on the same scale, beyond 0..255 as well.
        """
        ...

    def mask(self, ref: FrameRef) -> Mask:
        """Return the mask of ``ref``, ``int8 (h, w)`` at ``mask_size``."""
        ...

    def features(self, ref: FrameRef) -> Features:
        """Return the frozen features of ``ref``: fp16-rounded, one array per chosen level."""
        ...

    def subset(self, groups: Sequence[str]) -> TrainingSet:
        """Return the frames whose video belongs to one of ``groups`` (inner folds)."""
        ...

    def with_epoch(self, epoch: int) -> TrainingSet:
        """Return the same frames with the random variants of ``epoch`` drawn anew."""
        ...

    def shard(self, rank: int, world: int) -> TrainingSet:
        """Return every ``world``-th frame from ``rank``: one process's part."""
        ...
