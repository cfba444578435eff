"""Scores of a trained network at full size: whole images, or overlapping tiles of large ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vidseg.classifiers.networks.data import padded_to, rounded_up
from vidseg.classifiers.networks.memory import activations
from vidseg.classifiers.networks.model import Segmenter
from vidseg.classifiers.pyramid import Resize, shared
from vidseg.errors import ResourceError
from vidseg.types import Image, Scores, Size, State

CPU_BYTES = 2 * 2**30
"""What the maps of one image may take on a CPU; larger images are scored in tiles."""
GPU_SHARE = 0.7
"""The same on a GPU, as a share of its free memory."""
MARGIN = 128
"""Pixels by which tiles overlap on each side: what lies further away counts next to nothing."""
META = "network"


@dataclass(eq=False)
class FittedNetwork:
    """A trained network; a :class:`vidseg.types.Network`.

    Attributes:
        net: the module.
        facts: what rebuilds it beside its tensors: ``linear`` (levels of a linear head, or none),
            ``padded`` (images are padded to a multiple of the stride).
    """

    net: Segmenter = field(repr=False)
    facts: dict[str, Any]
    _bytes: dict[Size, int] = field(default_factory=dict, repr=False)

    def batch_scores(self, images: Sequence[Image], size: Size, device: str) -> Scores:
        """Return ``float32 (n, h, w)`` scores at ``size``.

        On a CPU one image goes through the network at a time, on a GPU as many as its memory
        holds. Images that do not fit whole are scored in tiles that overlap.

        Raises:
            ResourceError: not even a tile fits the GPU's memory.
        """
        self.net.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        scores = np.empty((len(images), *size), np.float32)
        shape = Size(*images[0].shape[:2])
        seen = rounded_up(shape, self.net.stride) if self.facts["padded"] else shape
        limit = _limit(device)
        fitting = limit // self._needed(seen)
        count = min(fitting, 1 if device == "cpu" else len(images))
        with torch.no_grad(), _full_precision():
            for start in range(0, len(images), max(count, 1)):
                part = images[start : start + max(count, 1)]
                found = self._whole(part, seen, size, device) if count else None
                if found is None:
                    found = np.concatenate(
                        [self._tiled(image, size, device, limit) for image in part]
                    )
                scores[start : start + len(part)] = found
        return scores

    def export(self) -> State:
        """Return the arrays from which the classifier's ``load`` makes an equal network."""
        tensors = self.net.state_dict().items()
        state: State = {name: value.detach().cpu().numpy().copy() for name, value in tensors}
        return state | {META: np.frombuffer(json.dumps(self.facts).encode(), np.uint8).copy()}

    def _whole(self, images: Sequence[Image], seen: Size, size: Size, device: str) -> Scores | None:
        """Return the scores of whole images, None where the GPU's memory ends."""
        try:
            pixels = as_input(np.stack([padded_to(image, seen) for image in images]), device)
            shape = Size(*images[0].shape[:2])
            if not self.facts["padded"]:
                return np.asarray(self.net(pixels, size).cpu())
            found = self.net(pixels, seen)[:, : shape.height, : shape.width]
            return np.asarray(Resize(shape, size).forward(found.contiguous()).cpu())
        except torch.OutOfMemoryError:
            if len(images) == 1:
                return None
        # one by one: each image as it would be alone
        parts = [self._whole([image], seen, size, device) for image in images]
        whole = [one for one in parts if one is not None]
        return np.concatenate(whole) if len(whole) == len(images) else None

    def _tiled(self, image: Image, size: Size, device: str, limit: int) -> Scores:
        """Return the scores of one image, ``float32 (1, h, w)``, in tiles of its padded form.

        Raises:
            ResourceError: not even a tile fits the GPU's memory.
        """
        shape = Size(*image.shape[:2])
        seen = rounded_up(shape, self.net.stride)
        pixels = padded_to(image, seen)
        tile = self._tile(seen, limit)
        scores = torch.empty(1, *seen)
        for rows, inner_rows in _spans(seen.height, tile.height, self.margin):
            for columns, inner_columns in _spans(seen.width, tile.width, self.margin):
                part = as_input(pixels[rows, columns][None], device)
                try:
                    found = self.net(part, Size(*part.shape[-2:])).cpu()
                except torch.OutOfMemoryError as error:
                    raise ResourceError(
                        f"a tile of {tile} pixels does not fit the GPU's memory",
                        where="inference",
                        hint="choose a smaller network, or --device cpu",
                    ) from error
                kept = (
                    slice(inner_rows.start - rows.start, inner_rows.stop - rows.start),
                    slice(inner_columns.start - columns.start, inner_columns.stop - columns.start),
                )
                scores[:, inner_rows, inner_columns] = found[:, kept[0], kept[1]]
        kept_part = scores[:, : shape.height, : shape.width].contiguous()
        return np.asarray(Resize(shape, size).forward(kept_part))

    @property
    def margin(self) -> int:
        """The overlap of tiles, a multiple of the stride."""
        return -(-MARGIN // self.net.stride) * self.net.stride

    def _needed(self, size: Size) -> int:
        """Return the bytes that the maps of an image of ``size`` take."""
        if size not in self._bytes:
            self._bytes[size] = activations(self.net, size, size).inference
        return self._bytes[size]

    def _tile(self, seen: Size, limit: int) -> Size:
        """Return the largest tile whose maps fit; at least three margins a side."""
        least = 3 * self.margin
        tile = seen
        while max(tile) > least and self._needed(tile) > limit:
            longer = max(tile)
            half = max(least, -(-longer // 2 // self.net.stride) * self.net.stride)
            tile = Size(*(half if side == longer else side for side in tile))
        return tile


def _spans(length: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Yield what each tile reads of an axis, and the part of it whose scores are kept."""
    if tile >= length:
        yield slice(0, length), slice(0, length)
        return
    start = kept = 0
    while kept < length:
        stop = min(start + tile, length)
        inner = length if stop == length else stop - margin
        yield slice(start, stop), slice(kept, inner)
        kept, start = inner, max(0, inner - margin)


def as_input(images: np.ndarray[Any, Any], device: str | torch.device) -> torch.Tensor:
    """Return ``float32 (N, 3, H, W)`` in 0..1 of ``(N, H, W, 3)`` on the scale 0..255."""
    pixels = shared(np.ascontiguousarray(images)).to(device, non_blocking=True)
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div(255.0)


def _limit(device: str) -> int:
    if device == "cpu":
        return CPU_BYTES
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(GPU_SHARE * (free + held))


def _full_precision() -> Any:
    """Compute in full float32 with deterministic kernels, as frozen features are."""
    return torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False)
