"""What the extractors that wrap a library's network share."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from vidseg.errors import UsageError
from vidseg.types import Size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_MULTIPLES = (1, 2, 4, 8, 14, 16, 28, 32, 56, 64, 112, 224, 448)
_SMALLEST = (8, 16, 32, 64, 128, 256)


class Normalised(nn.Module):
    """Normalises ``float32 (N, 3, H, W)`` in 0..1 and returns the levels of ``net`` as a list.

    Args:
        net: returns a sequence or a mapping of levels.
        mean, std: of each colour, in 0..1.
        layout: of the levels of ``net``; they leave as ``NCHW``.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        layout: Literal["NCHW", "NHWC"] = "NCHW",
    ) -> None:
        super().__init__()
        self.net, self.layout = net, layout
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the levels, fine to coarse, ``float32 (N, C, h, w)`` each."""
        levels = self.net((images - self.mean) / self.std)
        outputs = list(levels.values() if isinstance(levels, Mapping) else levels)
        return [x.permute(0, 3, 1, 2) for x in outputs] if self.layout == "NHWC" else outputs


def without_inplace(net: nn.Module) -> nn.Module:
    """Stop the modules of ``net`` from overwriting their input: it may be a level."""
    for module in net.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return net


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Return ``make()`` with random weights of ``seed``; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def level_shapes(skeleton: nn.Module, size: Size) -> list[tuple[int, int, int]]:
    """Return (C, h, w) of each level for images of ``size``, without computing a value.

    Args:
        skeleton: the module on torch's ``meta`` device.
        size: of the image.

    Raises:
        ValueError: the module cannot take this size.
    """
    try:
        with torch.no_grad():
            outputs = skeleton(torch.zeros(1, 3, *size, device="meta"))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ValueError(str(error)) from error
    shapes = [tuple(output.shape[1:]) for output in outputs]
    if any(len(shape) != 3 or 0 in shape for shape in shapes):
        raise ValueError(f"the levels would be {shapes}")
    return [(c, h, w) for c, h, w in shapes]


def native_sizes(skeleton: nn.Module, size: Size, model: str) -> tuple[Size, ...]:
    """Return the size of each level for images of ``size``.

    Raises:
        UsageError: the model cannot take this size; names one that works.
    """
    try:
        return tuple(Size(h, w) for _, h, w in level_shapes(skeleton, size))
    except ValueError as error:
        working = _nearest_working(skeleton, size)
        reason = re.split(r"[.!;] ", " ".join(str(error).split()))[0].rstrip(".!;")[:120]
        raise UsageError(
            f"{model} cannot take images of {size}: {reason}",
            where="image_size",
            hint=f"{working} works" if working else "choose another size or another model",
        ) from error


def _nearest_working(skeleton: nn.Module, size: Size) -> Size | None:
    rounded = [Size(*(max(1, round(side / m)) * m for side in size)) for m in _MULTIPLES]
    enlarged = [Size(max(size.height, s), max(size.width, s)) for s in _SMALLEST]
    squares = [Size(side, side) for side in (224, 256, 384, 448, 518)]
    for candidate in sorted(
        {*rounded, *enlarged, *squares},
        key=lambda c: abs(c.height - size.height) + abs(c.width - size.width),
    ):
        try:
            level_shapes(skeleton, candidate)
        except ValueError:
            continue
        return candidate
    return None


def digest(facts: Mapping[str, object]) -> str:
    """Return a hash of ``facts``, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
