"""Runs an extractor without training it: the same image gives the same bits."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from vidseg.errors import DataError, PluginError, UsageError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Features, FloatImage, Image, Level, Size

if TYPE_CHECKING:
    import torch
    from torch import nn

_OVERFLOW = 65520.0
"""The smallest magnitude that rounds to infinity in float16."""


class FrozenExtractor:
    """Computes features one image at a time, at a fixed number of threads.

    Features ARE their float16-rounded values. Convolution kernels sum in another order at another
    batch size or number of threads (SqueezeNet's deepest level moves by 3e-4), so both are fixed
    here and part of :attr:`key`, with everything else that the last bits depend on.

    Args:
        handle: the extractor plugin.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``...
        threads: threads of torch on the CPU during a forward; None takes what torch has now.
        levels: indices of the levels to return, in that order; None returns all.

    Attributes:
        forwards: how many images went through the module.

    Raises:
        UsageError: ``levels`` names a level that does not exist, or none, or ``threads`` < 1.
    """

    def __init__(
        self,
        handle: ExtractorHandle,
        *,
        device: str = "cpu",
        threads: int | None = None,
        levels: Sequence[int] | None = None,
    ) -> None:
        import torch

        self.handle = handle
        self.device = torch.device(device)
        self.threads = torch.get_num_threads() if threads is None else threads
        self.levels = _checked_levels(handle, levels)
        self.forwards = 0
        self._sizes: dict[Size, tuple[Size, ...]] = {}
        if self.threads < 1:
            raise UsageError(f"{threads} threads cannot compute", where="threads")

    def __getstate__(self) -> dict[str, Any]:
        """Pickle no module: the handle builds it where it is needed."""
        return {name: value for name, value in vars(self).items() if name != "_module"}

    @cached_property
    def key(self) -> str:
        """Hash of architecture, weights, levels and all settings that the bits depend on."""
        packages = ("torch", *getattr(self.handle, "packages", ()))
        facts = {
            "fingerprint": self.handle.fingerprint,
            "levels": self.levels,
            "batch": 1,
            "layout": "channels_last",
            "versions": {name: metadata.version(name) for name in packages},
            **_compute_facts(self.device, self.threads),
        }
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the chosen levels, fine to coarse."""
        return tuple(self.handle.levels[level] for level in self.levels)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the chosen levels."""
        return tuple(self.handle.channels[level] for level in self.levels)

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """Return the native size of each chosen level for images of ``size``.

        Raises:
            UsageError: the extractor cannot take this size.
        """
        # asked with every image; a handle may walk through its whole network to answer
        if size not in self._sizes:
            sizes = self.handle.sizes(size)
            self._sizes[size] = tuple(sizes[level] for level in self.levels)
        return self._sizes[size]

    def extract(self, image: Image | FloatImage) -> Features:
        """Return the features of ``uint8 (H, W, 3)``: ``float16 (C, h, w)`` for each level.

        An image that a variant made may be ``float32`` on the same scale, 0..255.

        Raises:
            DataError: a value is NaN or too large for float16; names the level.
            PluginError: the module returns another shape than its handle announces.
            UsageError: the extractor cannot take images of this size.
        """
        import torch

        size = Size(*image.shape[:2])
        shapes = [(1, c, *s) for c, s in zip(self.channels, self.sizes(size), strict=True)]
        pixels = torch.from_numpy(np.array(image)).to(self.device)  # NHWC is channels_last
        batch = pixels[None].permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        with _fixed_settings(self.threads), torch.inference_mode():
            outputs = self._module(batch)
            self.forwards += 1
            chosen = [outputs[level] for level in self.levels]
            return tuple(map(_to_half, chosen, self.names, shapes))

    @cached_property
    def _module(self) -> nn.Module:
        import torch

        module = self.handle.build().eval().requires_grad_(False).to(self.device)
        return module.to(memory_format=torch.channels_last)


def _checked_levels(handle: ExtractorHandle, levels: Sequence[int] | None) -> tuple[int, ...]:
    count = len(handle.levels)
    chosen = tuple(range(count)) if levels is None else tuple(int(level) for level in levels)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(count)):
        raise UsageError(
            f"levels {list(chosen)} cannot be chosen from {count} levels",
            where="levels",
            hint=f"give distinct indices from 0 to {count - 1} ({', '.join(handle.levels)})",
        )
    return chosen


def _compute_facts(device: torch.device, threads: int) -> dict[str, str | int]:
    """Return what decides in which order a device sums."""
    import torch

    if device.type == "cuda":
        return {"device": torch.cuda.get_device_name(device)}
    facts: dict[str, str | int] = {"device": device.type, "threads": threads}
    if device.type == "cpu":
        facts["isa"] = torch.backends.cpu.get_cpu_capability()
    return facts


@contextlib.contextmanager
def _fixed_settings(threads: int) -> Iterator[None]:
    """Compute in full float32, with deterministic kernels, on ``threads`` threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)


def _to_half(output: torch.Tensor, name: str, shape: tuple[int, ...]) -> Level:
    import torch

    if tuple(output.shape) != shape:
        raise PluginError(
            f"the module returns {tuple(output.shape)}, its handle announces {shape}",
            where=f"extractor level {name}",
            hint="report this to the author of the extractor plugin",
        )
    low, high = (bound.item() for bound in torch.aminmax(output))
    if not -_OVERFLOW < low <= high < _OVERFLOW:
        raise DataError(
            f"features reach from {low:.4g} to {high:.4g}, float16 holds +-65504",
            where=f"extractor level {name}",
            hint="use other weights or leave this level out",
        )
    half: Level = output[0].to(torch.float16).contiguous().cpu().numpy()
    return half
