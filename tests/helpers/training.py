"""Training sets and extractors for tests of classifiers: small, seeded, generated.

Images show bright blobs (foreground) on a dark, textured ground. :class:`TinyHandle` is an
extractor of random convolutions, so features and images belong together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from vidseg.types import Features, FrameRef, Image, Mask, Size

IMAGE, MASK = Size(24, 32), Size(18, 26)


class TinyExtractor(nn.Module):
    """Random convolutions; each level is resized by area to its native size."""

    def __init__(self, channels: Sequence[int], sizes: Sequence[Size], seed: int) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.layers = nn.ModuleList(nn.Conv2d(3, c, 3, padding=1) for c in channels)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [torch.relu(layer(images)) for layer in self.layers]
        return [F.adaptive_avg_pool2d(m, tuple(s)) for m, s in zip(maps, self.sizes, strict=True)]


@dataclass(frozen=True)
class TinyHandle:
    """An extractor handle with any channels and any native sizes (of one image size)."""

    channels: tuple[int, ...] = (5, 3, 7)
    level_sizes: tuple[Size, ...] = (Size(24, 32), Size(11, 15), Size(5, 8))
    seed: int = 0
    contract = 1

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(f"tiny{i}" for i in range(len(self.channels)))

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(2**i for i in range(len(self.channels)))

    def sizes(self, size: Size) -> tuple[Size, ...]:
        return self.level_sizes

    def build(self) -> nn.Module:
        return TinyExtractor(self.channels, self.level_sizes, self.seed).eval()


@dataclass(frozen=True)
class TinyNoise:
    """Gaussian noise on the image; fresh every epoch when asked for."""

    seed: int = 0
    sigma: float = 8.0
    fresh: bool = True

    def render(self, source: object, index: int, epoch: int) -> tuple[Image, Mask]:
        rng = np.random.default_rng((self.seed, index, epoch if self.fresh else 0))
        image = source.image(index)  # type: ignore[attr-defined]
        noisy = np.rint(image + rng.normal(0, self.sigma, image.shape)).clip(0, 255)
        return noisy.astype(np.uint8), source.mask(index)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class TinyVideo:
    """Blobs that move a little from frame to frame; 10 % of the pixels are ignored."""

    name: str
    image_size: Size
    mask_size: Size
    ignored: float = 0.1

    def _blobs(self, index: int, size: Size) -> np.ndarray:
        rng = np.random.default_rng(list(self.name.encode()))
        y, x = ((np.arange(n) + 0.5) / n for n in size)
        inside = np.zeros(size, bool)
        for cy, cx, r in rng.uniform((0.2, 0.1, 0.12), (0.8, 0.7, 0.25), (3, 3)):
            inside |= (y[:, None] - cy) ** 2 + (x - cx - 0.01 * index) ** 2 < r**2
        return inside

    def image(self, index: int) -> Image:
        rng = np.random.default_rng([*self.name.encode(), index])
        ground = rng.integers(0, 140, (*self.image_size, 3))
        ground[self._blobs(index, self.image_size)] += 70
        return ground.astype(np.uint8)

    def mask(self, index: int) -> Mask:
        rng = np.random.default_rng([*self.name.encode(), index, 1])
        mask = np.where(self._blobs(index, self.mask_size), 1, -1)
        return np.where(rng.random(self.mask_size) < self.ignored, 0, mask).astype(np.int8)


@dataclass(frozen=True)
class TinyTraining:
    """A :class:`vidseg.types.TrainingSet` on generated videos.

    Args:
        handle: computes the features; ``levels`` of them are given out.
        refs: frames; by default 2 frames of each of 2 videos, ``a`` and ``b``.
        spoil: changes the features of a frame, to test what bad ones do.
        visits: every call of ``features``, in order; shared with what ``fresh`` returns.
        made: features by frame and epoch, computed once.
    """

    handle: TinyHandle = TinyHandle()
    refs: Sequence[FrameRef] = tuple(FrameRef(v, i) for v in "ab" for i in (0, 1))
    image_size: Size = IMAGE
    mask_size: Size = MASK
    levels: tuple[int, ...] | None = None
    epoch: int = 0
    ignored: float = 0.1
    spoil: Callable[[FrameRef, Features], Features] | None = None
    visits: list[FrameRef] = field(default_factory=list, compare=False)
    made: dict[object, Features] = field(default_factory=dict, compare=False)

    @property
    def groups(self) -> Sequence[str]:
        return [ref.video for ref in self.refs]

    @property
    def videos(self) -> int:
        return len({ref.video for ref in self.refs})

    @cached_property
    def module(self) -> nn.Module:
        return self.handle.build()

    def _render(self, ref: FrameRef) -> tuple[Image, Mask]:
        video = TinyVideo(ref.video, self.image_size, self.mask_size, self.ignored)
        if ref.variant is None:
            return video.image(ref.index), video.mask(ref.index)
        return ref.variant.render(video, ref.index, self.epoch)

    def frame(self, ref: FrameRef) -> Image:
        return self._render(ref)[0]

    def mask(self, ref: FrameRef) -> Mask:
        return self._render(ref)[1]

    def features(self, ref: FrameRef) -> Features:
        self.visits.append(ref)
        key = (ref, self.epoch if ref.variant is not None else 0)
        if key not in self.made:
            image = torch.from_numpy(self.frame(ref)).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                self.made[key] = tuple(level[0].half().numpy() for level in self.module(image))
        maps = self.made[key]
        chosen = maps if self.levels is None else tuple(maps[i] for i in self.levels)
        return self.spoil(ref, chosen) if self.spoil else chosen

    def subset(self, groups: Sequence[str]) -> TinyTraining:
        return replace(self, refs=tuple(ref for ref in self.refs if ref.video in groups))

    def with_epoch(self, epoch: int) -> TinyTraining:
        return replace(self, epoch=epoch)

    def shard(self, rank: int, world: int) -> TinyTraining:
        return replace(self, refs=tuple(self.refs[rank::world]))
