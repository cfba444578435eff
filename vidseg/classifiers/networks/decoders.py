"""Decoders: from the levels of a pyramid to one map. Levels are scaled to a mean square of 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from vidseg.classifiers.networks.model import Decoder, initialise

FCN_STRIDE = 8
"""The finest skip of the fully convolutional network, as of FCN-8s."""
WIDEST = 512
"""Most channels of a decoder's step, as of the original U-Net on VGG16."""


class FcnDecoder(Decoder):
    """FCN-8s (Long, Shelhamer and Darrell 2015): the deepest scores, refined by those of skips.

    A 3x3 convolution and a 1x1 score on the deepest level; the scores are enlarged to the next
    finer level and its own, which start at zero, are added, down to stride 8.

    Args:
        channels, strides: of the trunk's levels.
        levels: indices of the levels to use.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], levels: Sequence[int]
    ) -> None:
        super().__init__()
        kept = [level for level in levels[:-1] if strides[level] >= FCN_STRIDE]
        self.levels = (*kept, levels[-1])
        deep = channels[levels[-1]]
        self.deep = nn.Conv2d(deep, min(deep, WIDEST), 3, padding=1)
        self.last = nn.Conv2d(min(deep, WIDEST), 1, 1)
        self.skips = nn.ModuleList(nn.Conv2d(channels[level], 1, 1) for level in kept)
        initialise(self)
        for layer in (self.last, *self.skips):
            nn.init.zeros_(layer.weight)

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return ``(N, 1, h, w)`` at the finest level in use."""
        found: torch.Tensor = self.last(F.relu(self.deep(levels[self.levels[-1]])))
        for level, skip in zip(self.levels[-2::-1], reversed(self.skips), strict=True):
            own = skip(levels[level])
            found = enlarged(found, own) + own
        return found


class UNetDecoder(Decoder):
    """U-Net (Ronneberger, Fischer and Brox 2015): enlarge, concatenate the skip, two convolutions.

    3x3 convolutions with ReLU, no normalisation. On VGG16 the widths are 512, 256, 128 and 64, and
    the bottleneck is conv5_3. The deep one has a level more: the deepest level becomes a skip, and
    its pooling with two convolutions of 512 the bottleneck.

    Args:
        channels: of the trunk's levels.
        levels: indices of the levels to use, fine to coarse.
        widths: of the steps, coarse to fine, or the most that one may have; a step has the
            channels of its skip otherwise.
        deep: add a level.
    """

    def __init__(
        self,
        channels: Sequence[int],
        levels: Sequence[int],
        widths: int | Sequence[int] = WIDEST,
        *,
        deep: bool = False,
    ) -> None:
        super().__init__()
        self.levels, self.deeper = tuple(levels), 2 if deep else 1
        last, skips = channels[levels[-1]], [channels[level] for level in levels[-2::-1]]
        if deep:
            skips = [last, *skips]
        given = [min(c, widths) for c in skips] if isinstance(widths, int) else list(widths)
        if len(given) != len(skips):
            raise ValueError(f"{len(skips)} widths are needed, one a step, not {len(given)}")
        bottom = min(last, widths if isinstance(widths, int) else max(widths))
        self.bottleneck = Twice(last, bottom) if deep else None
        steps, below = [], bottom if deep else last
        for skip, width in zip(skips, given, strict=True):
            steps.append(Twice(below + skip, width))
            below = width
        self.steps = nn.ModuleList(steps)
        self.last = nn.Conv2d(below, 1, 1)
        initialise(self)
        nn.init.zeros_(self.last.weight)

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return ``(N, 1, h, w)`` at the finest level in use."""
        skips = [levels[level] for level in self.levels]
        if self.bottleneck is None:
            found = skips.pop()
        else:
            found = self.bottleneck(F.max_pool2d(skips[-1], 2, ceil_mode=True))
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            found = step(torch.cat([enlarged(found, skip), skip], dim=1))
        return self.last(found)  # type: ignore[no-any-return]


class Twice(nn.Sequential):
    """Two 3x3 convolutions, each with ReLU."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(given, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
        )


def enlarged(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return ``maps`` bilinearly at the size of ``like``: twice, or what rounding made of it."""
    size = tuple(like.shape[-2:])
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
