"""How much memory a network takes: from the sizes of its maps, without computing a value."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from vidseg.classifiers.networks.model import Segmenter
from vidseg.types import Size

FLOAT = 4
"""Bytes of a number."""


Module = TypeVar("Module", bound=nn.Module)


def shadow_of(net: Module) -> Module:
    """Return the module on torch's ``meta`` device: shapes without values, none of them copied."""
    known: dict[int, Any] = {
        id(tensor): nn.Parameter(tensor.detach().to("meta"), tensor.requires_grad)
        for tensor in net.parameters()
    }
    known |= {id(tensor): tensor.detach().to("meta") for tensor in net.buffers()}
    return copy.deepcopy(net, known)


@dataclass(frozen=True)
class Activations:
    """Bytes of maps for one image.

    Attributes:
        training: of all maps, which the backward pass reads.
        inference: of the largest ones that are held at a time, estimated.
    """

    training: int
    inference: int


def activations(net: Segmenter, size: Size, target: Size) -> Activations:
    """Return what one image of ``size`` takes.

    Args:
        net: the network.
        size: of the image.
        target: of the scores.

    Raises:
        UsageError: the trunk cannot take this size.
    """
    shadow = shadow_of(net)
    made: list[int] = []

    def note(module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            made.append(output.numel() * FLOAT)

    def note_levels(module: nn.Module, given: Any, output: list[torch.Tensor]) -> None:
        levels.extend(level.numel() * FLOAT for level in output)

    levels: list[int] = []
    shadow.trunk.register_forward_hook(note_levels)
    for module in shadow.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    with torch.no_grad():
        shadow(torch.zeros(1, 3, *size, device="meta"), target)
    kept, image = 2 * sum(levels), 3 * size.height * size.width * FLOAT  # raw and scaled
    return Activations(sum(made) + kept + image, 3 * max(made, default=0) + kept + image)
