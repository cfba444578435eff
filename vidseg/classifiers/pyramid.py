"""The resize operators between pyramid levels and masks, and their exact adjoints.

Resizing is linear and separable: ``resize(x) = A_h x A_w^T``. Hence a linear classifier on resized,
concatenated features (hypercolumns) is one 1x1 convolution per level at native size whose *score*
is resized, ``s = sum_l R_l (w_l . f_l) + b``, and its gradient is ``f_l^T (R_l^T dL/ds)``; no
hypercolumn is ever made. Both, and the moments of resized features, are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from vidseg.types import Features, Size

if TYPE_CHECKING:
    import torch

    ArrayT = TypeVar("ArrayT", npt.NDArray[Any], torch.Tensor)
else:
    ArrayT = TypeVar("ArrayT")

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@lru_cache(maxsize=128)
def axis_matrix(source: int, target: int) -> Floats:
    """Return the bilinear resize of one axis as a matrix, ``float64 (target, source)``, read-only.

    A triangle filter around pixel centres (``align_corners=False``) whose half-width is one source
    pixel when growing and ``source / target`` when shrinking (antialias), rows normalised to sum
    to 1. The same as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False,
    antialias=True)``, which differs from ``antialias=False`` on shrinking axes only.
    """
    step = source / target
    centres = (np.arange(target) + 0.5)[:, None] * step
    weights = 1 - np.abs(np.arange(source) + 0.5 - centres) / max(step, 1.0)
    weights[weights < 1e-12] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=128)
def _tensor(source: int, target: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    import torch

    with torch.inference_mode(False):  # kept, and wanted where gradients are taken as well
        # a copy: torch warns about read-only memory
        return torch.from_numpy(axis_matrix(source, target).copy()).to(device=device, dtype=dtype)


@lru_cache(maxsize=128)
def _gram(source: int, target: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    import torch

    matrix = axis_matrix(source, target)
    with torch.inference_mode(False):
        return torch.from_numpy(matrix.T @ matrix).to(device=device, dtype=dtype)


class _Writable:
    """Presents a read-only array as writable: torch warns about read-only memory otherwise."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array  # keeps the memory alive
        self.__array_interface__ = array.__array_interface__ | {"data": (array.ctypes.data, False)}


def shared(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor on the memory of ``array``, dtype as it is. Never write to it.

    Read-only memory, such as a memory map, is neither copied nor warned about. Convert float16 by
    torch: numpy takes 20 times as long, and all values but signalling NaN are equal bit by bit.
    """
    import torch

    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Writable(array)))


def as_tensor(maps: ArrayT, device: str | torch.device = "cpu") -> torch.Tensor:
    """Return a tensor for products: numpy float64 as it is, other numpy dtypes as float32.

    All products run in torch, also those of numpy arrays: its thread pool is the extractor's. A
    second one (numpy's BLAS) beside it stalls both, by a factor of 70 on two cores.

    Args:
        maps: an array, or a tensor, which is returned as it is.
        device: where to put an array.
    """
    import torch

    if not isinstance(maps, np.ndarray):
        return maps
    if maps.dtype == np.float16:
        return shared(maps).to(device).float()
    plain = maps.astype(np.float64 if maps.dtype == np.float64 else np.float32, copy=False)
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy()).to(device)


def _like(result: torch.Tensor, maps: ArrayT) -> ArrayT:
    """Return ``result`` as the kind of array that ``maps`` is."""
    if isinstance(maps, np.ndarray):
        return result.numpy()
    return result


def _sandwich(rows: torch.Tensor, maps: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return ``rows @ maps @ columns`` over leading axes, the cheaper product first."""
    tall, high = rows.shape
    wide, broad = columns.shape
    if tall * wide * (high + broad) <= high * broad * (wide + tall):
        return (rows @ maps) @ columns
    return rows @ (maps @ columns)


@dataclass(frozen=True, slots=True)
class Resize:
    """Bilinear resize from ``source`` to ``target``, antialiased on the axes that shrink.

    Maps may be numpy arrays or torch tensors of any leading shape; float64 stays float64, all
    other numpy dtypes are computed in float32, tensors in their own dtype and on their device.
    Where both sizes are equal, the result is the input itself.
    """

    source: Size
    target: Size

    def matrices(
        self, device: str | torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``A_h (H, h)`` and ``A_w (W, w)`` as tensors on ``device``; cached."""
        return (
            _tensor(self.source.height, self.target.height, str(device), dtype),
            _tensor(self.source.width, self.target.width, str(device), dtype),
        )

    def forward(self, maps: ArrayT) -> ArrayT:
        """Return ``A_h x A_w^T``: ``(..., h, w)`` to ``(..., H, W)``."""
        x = _ending(maps, self.source)
        if self.source == self.target:
            return _like(x, maps)
        rows, columns = self.matrices(x.device, x.dtype)
        return _like(_sandwich(rows, x, columns.T), maps)

    def adjoint(self, maps: ArrayT) -> ArrayT:
        """Return ``A_h^T g A_w``: ``(..., H, W)`` to ``(..., h, w)``."""
        g = _ending(maps, self.target)
        if self.source == self.target:
            return _like(g, maps)
        rows, columns = self.matrices(g.device, g.dtype)
        return _like(_sandwich(rows.T, g, columns), maps)

    def weight_sums(self) -> Floats:
        """Return ``R^T 1``, ``float64 (h, w)``: how much each source pixel weighs in the target."""
        rows = axis_matrix(self.source.height, self.target.height).sum(axis=0)
        return np.outer(rows, axis_matrix(self.source.width, self.target.width).sum(axis=0))

    def gram(self, maps: ArrayT) -> ArrayT:
        """Return ``R^T R x = G_h x G_w`` with the banded ``G = A^T A``: ``(..., h, w)``."""
        x = _ending(maps, self.source)
        grams = [
            _gram(source, target, str(x.device), x.dtype)
            for source, target in zip(self.source, self.target, strict=True)
        ]
        return _like(_sandwich(grams[0], x, grams[1]), maps)

    def moments(self, level: npt.NDArray[Any], device: str = "cpu") -> tuple[Floats, Floats]:
        """Return mean and variance over the target's pixels of the resized channels.

        Exact without resizing: the mean weighs by ``R^T 1``, and the second moment is
        ``sum(f * R^T R f)``, for ``R(f^2)`` is not ``(R f)^2``. It is taken about the mean, so
        that channels with a large mean lose no digits.

        Args:
            level: ``(C, h, w)`` features.
            device: where it is computed.

        Returns:
            ``float64 (C,)`` each; the variance divides by the number of pixels, H * W.
        """
        pixels = self.target.height * self.target.width
        x = as_tensor(level, device)
        sums = as_tensor(self.weight_sums(), device).ravel()
        mean = x.flatten(1).double() @ sums / pixels
        centre = mean.to(x.dtype)
        shifted = x - centre[:, None, None]
        second = (shifted * self.gram(shifted)).flatten(1).sum(dim=1, dtype=sums.dtype) / pixels
        variance = second - (mean - centre) ** 2
        return mean.cpu().numpy(), variance.clamp_(min=0).cpu().numpy()


def _ending(maps: ArrayT, size: Size) -> torch.Tensor:
    """Return ``maps`` as a tensor, which must end in ``size``."""
    if tuple(maps.shape[-2:]) != tuple(size):
        raise ValueError(f"maps end in {tuple(maps.shape[-2:])}, not in {tuple(size)}")
    return as_tensor(maps)


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The operator from one map per level to one map at the target: ``s = sum_l R_l s_l``.

    Attributes:
        levels: native size of each level.
        target: size of the mask.
    """

    levels: tuple[Size, ...]
    target: Size

    @classmethod
    def of(cls, features: Features, target: Size) -> Pyramid:
        """Return the pyramid that ``features``, ``(C, h, w)`` each, live on."""
        return cls(tuple(Size(*level.shape[-2:]) for level in features), target)

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """The resize of each level."""
        return tuple(Resize(level, self.target) for level in self.levels)

    @property
    def pixels(self) -> int:
        """Number of pixels of the target."""
        return self.target.height * self.target.width

    def forward(self, maps: Sequence[ArrayT]) -> ArrayT:
        """Return the sum of the resized maps: ``(..., h_l, w_l)`` each to ``(..., H, W)``."""
        parts = [resize.forward(level) for resize, level in zip(self.resizes, maps, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def adjoint(self, gradient: ArrayT) -> list[ArrayT]:
        """Return ``R_l^T g`` for each level: ``(..., H, W)`` to ``(..., h_l, w_l)`` each."""
        return [resize.adjoint(gradient) for resize in self.resizes]

    def weight_sums(self) -> list[Floats]:
        """Return ``R_l^T 1``, ``float64 (h_l, w_l)`` each."""
        return [resize.weight_sums() for resize in self.resizes]

    def moments(self, features: Features, device: str = "cpu") -> tuple[Floats, Floats]:
        """Return mean and variance of every hypercolumn channel over the target's pixels.

        Args:
            features: of one frame.
            device: where they are computed.

        Returns:
            ``float64 (C,)`` each, the levels' channels concatenated; see :meth:`Resize.moments`.
        """
        levels = zip(self.resizes, features, strict=True)
        parts = [resize.moments(level, device) for resize, level in levels]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
