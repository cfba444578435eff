"""Training masks made of the true boxes of a video, on their frame or carried to later ones."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg_sam.session import Box, Session, load
from vidseg_sam.tracker import DEFAULT
from vidseg_sam.weights import content_key, locate

RULE = "sam 1"


@dataclass(frozen=True)
class MaskOf:
    """The labels of one frame: a mask, ``int8 (H, W)`` in {-1, 0, +1}, and no boxes."""

    size: Any
    mask: npt.NDArray[np.int8]
    boxes: None = None
    origin: float = 0.0
    ids: None = None
    ignored: None = None


class Sam:
    """Train on masks that a promptable model makes of true boxes.

    Args:
        every: 1: the boxes of each frame are its prompts. More: the boxes of the labelled frames
            that are so far apart are prompts, and the masks are carried forward from them.
        weights: folder of a model (SAM 2, EdgeTAM, SAM 3), or its name in the model hub.
        device: where it computes.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 1,
        weights: str = DEFAULT,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        self._every, self._folder, self._device = every, locate(weights), device

    def of(self, video: Any) -> SamLabels:
        """Return the labels of a video; nothing is computed before it is needed."""
        return SamLabels(video, self._every, self._folder, self._device)


class SamLabels:
    """The masks of one video; made frame by frame, kept as bits."""

    def __init__(self, video: Any, every: int, folder: Path, device: str) -> None:
        self._video, self._every, self._folder, self._device = video, every, folder, device
        self._masks: dict[int, npt.NDArray[np.uint8]] = {}

    @cached_property
    def key(self) -> str:
        """Hash of labels, frames, weights, versions and the rule."""
        versions = [importlib.import_module(name).__version__ for name in ("torch", "transformers")]
        parts = [RULE, self._video.label_key, self._video.image_key, str(self._every)]
        parts += [content_key(self._folder), self._device, *versions]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def _labelled(self) -> list[int]:
        own = getattr(self._video, "labelled", None)
        return list(own() if callable(own) else range(self._video.probe().length))

    @cached_property
    def _keys(self) -> list[int]:
        chosen: list[int] = []
        for frame in self._labelled:
            if not chosen or frame >= chosen[-1] + self._every:
                chosen.append(frame)
        return chosen

    def labelled(self) -> Sequence[int]:
        """Return the frames that have masks."""
        if self._every == 1 or not self._labelled:
            return self._labelled
        return range(self._labelled[0], self._labelled[-1] + 1)

    def labels(self, index: int) -> MaskOf:
        """Return the mask of a frame; it is made from its key frame on, if it is not there yet."""
        if index not in self._masks:
            for _ in self._follow(self._key_of(index), index):
                pass
        size = self._video.probe().size
        count = size.height * size.width
        inside = np.unpackbits(self._masks[index], count=count).reshape(size.height, size.width)
        mask = np.where(inside == 1, 1, -1).astype(np.int8)
        if index in self._keys:
            for left, top, width, height in self._boxes(index)[1]:
                part = mask[_span(top, height), _span(left, width)]
                part[part < 0] = 0
        return MaskOf(size, mask)

    def prepare(self, indices: Sequence[int], task: Any, stop: Callable[[], None]) -> None:
        """Make the masks of ``indices``, ascending.

        Args:
            indices: frames that are wanted; those between them and their key frames are made too.
            task: advanced by one for each of them.
            stop: raises when the user asked to stop.
        """
        last: dict[int, int] = {}
        for index in indices:
            if index not in self._masks:
                last[self._key_of(index)] = index
        wanted, done = set(indices) - self._masks.keys(), 0
        for start, end in last.items():
            for frame in self._follow(start, end):
                stop()
                done += frame in wanted
                task.advance(frame in wanted)
        task.advance(len(indices) - done)

    def _key_of(self, index: int) -> int:
        return max(frame for frame in self._keys if frame <= index)

    def _follow(self, start: int, end: int) -> Iterator[int]:
        """Make the masks from a key frame to ``end``; yield each frame when it is made."""
        boxes, _ = self._boxes(start)
        session = Session(load(self._folder, self._device)) if boxes else None
        frames = range(start, end + 1)
        for frame, image in zip(frames, self._video.frames(list(frames)), strict=True):
            inside = np.zeros(image.shape[:2], bool)
            if session is not None:
                given = dict(enumerate(boxes)) if frame == start else None
                for mask, _ in session.step(image, given).values():
                    inside |= mask
            self._masks[frame] = np.packbits(inside)
            yield frame

    def _boxes(self, index: int) -> tuple[list[Box], list[Box]]:
        """Return the boxes of a frame, and those that are ignored, from the first pixel's edge.

        Raises:
            ValueError: the labels have no boxes.
        """
        labels = self._video.labels(index)
        if labels.boxes is None:
            raise ValueError(
                f"video {self._video.name}, frame {index}: the labels are masks without boxes, so "
                "there is nothing to prompt with"
            )
        found: tuple[list[Box], list[Box]] = ([], [])
        ignored = [False] * len(labels.boxes) if labels.ignored is None else labels.ignored
        for (left, top, width, height), void in zip(labels.boxes, ignored, strict=True):
            if width > 0 and height > 0:
                place = float(left) - labels.origin, float(top) - labels.origin
                found[bool(void)].append((*place, float(width), float(height)))
        return found


def _span(start: float, length: float) -> slice:
    return slice(max(0, round(start)), max(0, round(start + length)))
