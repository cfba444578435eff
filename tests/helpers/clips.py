"""Videos in memory and a sample context on them, for tests of samplers and variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from vidseg import plugins
from vidseg.types import Features, FrameRef, Image, Mask, Size, Variant


@dataclass(eq=False)
class Clip:
    """A video of given frames; also the :class:`vidseg.types.FrameSource` of itself.

    Args:
        name: of the video.
        images: ``uint8 (n, H, W, 3)``.
        mask_size: of its masks: left half foreground, one ignored row at the top.
        kept: its labelled frames; None: all.
    """

    name: str
    images: np.ndarray
    mask_size: Size | None = None
    kept: tuple[int, ...] | None = None
    reads: Counter[int] = field(default_factory=Counter)

    @property
    def image_key(self) -> str:
        return f"{self.name} {hash(self.images.tobytes())}"

    @property
    def group(self) -> str:
        return self.name

    def image(self, index: int) -> Image:
        self.reads[index] += 1
        return self.images[index]

    def mask(self, index: int) -> Mask:
        height, width = self.mask_size or self.images.shape[1:3]
        mask = np.full((height, width), -1, np.int8)
        mask[:, : width // 2] = 1
        mask[0] = 0
        return mask


@dataclass
class ClipContext:
    """A :class:`vidseg.samplers.base.SampleContext` on clips.

    Features are two levels: the image, and the image's lower half (as if of another stride).
    """

    seed: int = 0
    features_read: Counter[tuple[str, int]] = field(default_factory=Counter)
    prepared: list[tuple[str, bool]] = field(default_factory=list)

    def rng(self, video: Clip) -> np.random.Generator:
        return np.random.default_rng([self.seed, *video.name.encode()])

    def length(self, video: Clip) -> int:
        return len(video.images)

    def labelled(self, video: Clip) -> Sequence[int]:
        return range(self.length(video)) if video.kept is None else video.kept

    def prepare(self, video: Clip, *, features: bool = False) -> None:
        self.prepared.append((video.name, features))

    def image(self, video: Clip, index: int) -> Image:
        return video.image(index)

    def features(self, video: Clip, index: int) -> Features:
        self.features_read[video.name, index] += 1
        planes = (video.images[index] / 255).transpose(2, 0, 1).astype(np.float16)
        return planes, planes[:, planes.shape[1] // 2 :]

    def ref(self, video: Clip, index: int, variant: Variant | None = None) -> FrameRef:
        return FrameRef(video.name, index, variant)


def random_clip(
    name: str = "a",
    length: int = 30,
    size: tuple[int, int] = (24, 32),
    *,
    around: float = 128.0,
    spread: float = 12.0,
    seed: int = 0,
) -> Clip:
    """Return a clip whose pixels vary in time about a still picture, never at 0 or 255."""
    rng = np.random.default_rng(seed)
    still = rng.uniform(around - 30, around + 30, (1, *size, 3))
    moving = rng.normal(0, spread, (length, *size, 3)) * rng.uniform(0.2, 1.8, (1, *size, 3))
    return Clip(name, np.rint(still + moving).clip(1, 254).astype(np.uint8))


def grey_clip(levels: Sequence[int], name: str = "g", size: tuple[int, int] = (8, 8)) -> Clip:
    """Return a clip of plain grey frames."""
    frames = [np.full((*size, 3), level, np.uint8) for level in levels]
    return Clip(name, np.stack(frames))


@cache
def sampler(spec: str) -> Any:
    """Return the sampler of a spec; they hold no state, so one of each is enough."""
    return plugins.create("sampler", spec)
