"""The extractor as a trunk: which of its levels a network reads, and what of it is trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vidseg.classifiers.linear.levels import (
    PAPER_LEVELS,
    VGG16_CHANNELS,
    VGG16_STRIDES,
    choose_levels,
)
from vidseg.classifiers.networks.memory import shadow_of
from vidseg.classifiers.networks.model import Trunk
from vidseg.errors import UsageError
from vidseg.extractors.base import ExtractorHandle

CHOICE = (
    "choose --extractor timm (VGG16), timm:model=tf_efficientnet_lite0 or torchvision:squeezenet1_1"
)
_VGG16 = VGG16_CHANNELS, VGG16_STRIDES


@dataclass(frozen=True)
class Source:
    """Where a network's levels come from.

    Attributes:
        handle: builds the trunk; of VGG16 with all six levels.
        own: index of each of the given extractor's levels among the trunk's.
        decoder: levels that a decoder reads: all, of VGG16 conv1_2 to conv5_3.
        linear: levels that a linear head reads: those of linear classifiers.
    """

    handle: ExtractorHandle
    own: tuple[int, ...]
    decoder: tuple[int, ...]
    linear: tuple[int, ...]

    @classmethod
    def of(cls, handle: ExtractorHandle) -> Source:
        """Return the levels of an extractor; VGG16's conv5_3 is added where it was left out."""
        every = tuple(range(len(handle.levels)))
        shape = tuple(handle.channels), tuple(handle.strides)
        widen = getattr(handle, "with_levels", None)
        paper = tuple(tuple(part[i] for i in PAPER_LEVELS) for part in _VGG16)
        if shape == paper and widen is not None:
            return cls(widen(tuple(range(6))), PAPER_LEVELS, every, PAPER_LEVELS)
        decoder = every[:5] if shape == _VGG16 else every
        return cls(handle, every, decoder, choose_levels(handle))

    def trunk(self, *, weights: bool, frozen_statistics: bool) -> Trunk:
        """Build the trunk.

        Args:
            weights: load those of the extractor; without them the values are of no use.
            frozen_statistics: see :class:`Trunk`.

        Raises:
            DataError: the weights are missing, damaged or of another architecture.
        """
        blank = getattr(self.handle, "blank", self.handle.build)
        module = self.handle.build() if weights else blank()
        return Trunk(
            module,
            self.handle.channels,
            self.handle.strides,
            frozen_statistics=frozen_statistics,
        )


def check_trainable(handle: ExtractorHandle, name: str) -> None:
    """Refuse an extractor without anything to train.

    Args:
        handle: the extractor.
        name: of the classifier, for the message.

    Raises:
        UsageError: it has no parameters, or no levels.
    """
    if not len(handle.levels):
        raise UsageError("the extractor has no levels", where=name, hint=CHOICE)
    skeleton: Any = getattr(handle, "skeleton", None)
    module = handle.build() if skeleton is None else skeleton
    if next(iter(module.parameters()), None) is None:
        raise UsageError(
            f"the extractor {type(handle).__name__.lower()} has nothing to train",
            where=f"classifier {name}",
            hint=CHOICE,
        )


def freeze(trunk: Trunk, what: str) -> int:
    """Exclude parameters of a trunk from training; return how many numbers are left in it.

    Args:
        trunk: the trunk.
        what: ``none``, ``backbone``, or ``first:k``: all that the k finest levels are made of.

    Raises:
        UsageError: ``what`` is none of these, or k is more than there are levels.
    """
    frozen: set[str] = set()
    if what == "backbone":
        frozen = {name for name, _ in trunk.named_parameters()}
    elif what != "none":
        frozen = _behind(trunk, _first(what, len(trunk.channels)))
    for name, parameter in trunk.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return sum(p.numel() for p in trunk.parameters() if p.requires_grad)


def _first(what: str, levels: int) -> int:
    found = re.fullmatch(r"first:([1-9]\d*)", what)
    if found is None or int(found[1]) > levels:
        raise UsageError(
            f"freeze={what} is refused",
            where="freeze",
            hint=f"it is none, backbone, or first:k with k from 1 to {levels}",
        )
    return int(found[1])


def _behind(trunk: Trunk, levels: int) -> set[str]:
    """Return the names of the parameters that the first levels depend on."""
    shadow = shadow_of(trunk).requires_grad_(True)
    names = dict(shadow.named_parameters())
    side = 8 * max(trunk.strides)
    outputs = shadow(torch.zeros(1, 3, side, side, device="meta"))
    total = torch.stack([level.sum() for level in outputs[:levels]]).sum()
    found = torch.autograd.grad(total, list(names.values()), allow_unused=True)
    return {name for name, one in zip(names, found, strict=True) if one is not None}


def groups(net: nn.Module, trunk: Trunk, decay: float) -> Sequence[dict[str, Any]]:
    """Return the trained parameters in groups: trunk or not, with weight decay or not.

    Biases and the factors of normalisations have no weight decay.
    """
    own = {id(parameter) for parameter in trunk.parameters()}
    made: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 or name.startswith("linear.weights")
            made.setdefault((id(parameter) in own, decays), []).append(parameter)
    return [
        {"params": found, "weight_decay": decay if decays else 0.0, "trunk": in_trunk}
        for (in_trunk, decays), found in made.items()
    ]
