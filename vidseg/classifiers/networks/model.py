"""The trained module: a trunk that makes a pyramid, and what turns its levels into one score map.

Levels leave a trunk with standard deviations from 1 (random weights) over 3 to 9 (ImageNet) to
hundreds (weights that were trained on 0..255), so each is divided by its root mean square on
training images. The factors are buffers of the module: they travel with the model.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidseg.classifiers.pyramid import Pyramid, Resize
from vidseg.errors import DataError
from vidseg.types import Size

NORM = 10.0
"""Norm of a pixel's features in the units of a linear head's weights."""


class Trunk(nn.Module):
    """An extractor's module as a part of a trained network.

    Args:
        module: returns the levels of ``float32 (N, 3, H, W)`` images in 0..1.
        channels: of each level.
        strides: nominal stride of each level.
        frozen_statistics: batch normalisation keeps the statistics it came with, also in training
            mode. Training them costs far more than it gains where batches are a few frames of a
            few videos.
    """

    def __init__(
        self,
        module: nn.Module,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        frozen_statistics: bool = True,
    ) -> None:
        super().__init__()
        self.module = module
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.frozen_statistics = frozen_statistics

    def train(self, mode: bool = True) -> Trunk:
        """Set the mode; statistics of batch normalisation stay frozen."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.train(False)
        return self

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the levels, fine to coarse."""
        return list(self.module(images))


class LinearHead(nn.Module):
    """One 1x1 convolution per level whose score is resized: a linear classifier on hypercolumns.

    Weights are kept in units in which a pixel's features have a norm of about :data:`NORM`, however
    many channels there are, so that one learning rate serves every extractor, and decoders too.

    Args:
        channels: of each level in use.
        levels: their indices.
    """

    def __init__(self, channels: Sequence[int], levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.unit = NORM / math.sqrt(sum(channels[level] for level in levels))
        self.weights = nn.ParameterList(
            nn.Parameter(torch.zeros(channels[level])) for level in levels
        )
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, levels: Sequence[torch.Tensor], target: Size) -> torch.Tensor:
        """Return ``float32 (N, H, W)`` scores at ``target`` of scaled levels."""
        maps = [
            torch.einsum("nchw,c->nhw", levels[level].float(), weight * self.unit)
            for level, weight in zip(self.levels, self.weights, strict=True)
        ]
        sizes = tuple(Size(*one.shape[-2:]) for one in maps)
        total: torch.Tensor = Pyramid(sizes, target).forward(maps)
        return total + self.bias


class Decoder(nn.Module):
    """What turns scaled levels into one low-resolution map; see ``decoders.py``.

    Attributes:
        levels: indices of the levels it reads, fine to coarse.
        last: its last layer, a 1x1 convolution to one channel.
        deeper: by how much its coarsest map is coarser than its coarsest level.
    """

    deeper: int = 1

    levels: tuple[int, ...]
    last: nn.Conv2d

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return ``(N, 1, h, w)``."""
        raise NotImplementedError


class Segmenter(nn.Module):
    """A trunk with a linear head, a decoder, or both, whose scores are added.

    Args:
        trunk: makes the levels.
        linear: or None.
        decoder: or None.
    """

    scale: torch.Tensor

    def __init__(self, trunk: Trunk, linear: LinearHead | None, decoder: Decoder | None) -> None:
        super().__init__()
        if linear is None and decoder is None:
            raise ValueError("a network has a linear head, a decoder, or both")
        self.trunk, self.linear, self.decoder = trunk, linear, decoder
        self.register_buffer("scale", torch.ones(len(trunk.channels)))

    def forward(self, images: torch.Tensor, target: Size) -> torch.Tensor:
        """Return ``float32 (N, H, W)`` scores at ``target``; positive is foreground.

        Args:
            images: ``float32 (N, 3, H, W)`` in 0..1.
            target: size of the scores.
        """
        levels = [level * s for level, s in zip(self.trunk(images), self.scale, strict=True)]
        found = [] if self.decoder is None else [self._decoded(levels, target)]
        if self.linear is not None:
            with _single(images):
                found.append(self.linear(levels, target))
        return found[0] if len(found) == 1 else found[0] + found[1]

    def _decoded(self, levels: Sequence[torch.Tensor], target: Size) -> torch.Tensor:
        assert self.decoder is not None
        low = self.decoder(levels)[:, 0]
        with _single(low):
            scores: torch.Tensor = Resize(Size(*low.shape[-2:]), target).forward(low.float())
        return scores

    @property
    def stride(self) -> int:
        """The stride of the coarsest map; padded images and tiles are multiples of it."""
        strides, found = self.trunk.strides, [1]
        if self.linear is not None:
            found += [strides[level] for level in self.linear.levels]
        if self.decoder is not None:
            found += [strides[level] * self.decoder.deeper for level in self.decoder.levels]
        return max(found)

    def start_at(self, odds: float) -> None:
        """Let the untrained network score every pixel ``odds``, the log-odds of foreground."""
        bias = self.linear.bias if self.linear is not None else self._last_bias()
        with torch.no_grad():
            bias.fill_(odds)

    def _last_bias(self) -> torch.Tensor:
        assert self.decoder is not None
        assert self.decoder.last.bias is not None
        return self.decoder.last.bias


def _single(tensor: torch.Tensor) -> contextlib.AbstractContextManager[object]:
    """Compute in float32, whatever precision the rest has: scores are few, and decide."""
    kind = tensor.device.type
    return contextlib.nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False)


def initialise(module: nn.Module) -> None:
    """Draw the convolutions of a decoder (He et al. 2015, for ReLU), biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def load_tensors(net: Segmenter, tensors: Mapping[str, torch.Tensor], where: object) -> None:
    """Load all tensors of a network.

    Raises:
        DataError: they are of another one; names the first difference.
    """
    try:
        net.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split()).partition(": ")[2][:200]
        raise DataError(
            f"the weights are of another network: {reason}",
            where=where,
            hint="use the classifier and the extractor that it was trained with",
        ) from error
