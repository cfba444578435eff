"""The resize operators between pyramid levels and masks, their exact adjoints, the linear head.

Resizing is linear and separable: ``resize(x) = A_h x A_w^T``. Hence a linear classifier on resized,
concatenated features (hypercolumns) is one 1x1 convolution per level at native size whose *score*
is resized, ``s = sum_l R_l (w_l . f_l) + b``, and its gradient is ``f_l^T (R_l^T dL/ds)``; no
hypercolumn is ever made. Both, and the moments of resized features, are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.column_kernel import writer
from vidseg.errors import DataError
from vidseg.types import Features, Scores, Size, State

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

    # a copy: torch warns about read-only memory
    return torch.from_numpy(axis_matrix(source, target).copy()).to(device=device, dtype=dtype)


@lru_cache(maxsize=128)
def _gram(source: int, target: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    import torch

    matrix = axis_matrix(source, target)
    return torch.from_numpy(matrix.T @ matrix).to(device=device, dtype=dtype)


@lru_cache(maxsize=128)
def _taps(source: int, target: int) -> tuple[npt.NDArray[np.int64], Float32]:
    """Return ``axis_matrix`` by its band: source indices and weights, ``(target, k)`` each."""
    matrix = axis_matrix(source, target)
    width = int((matrix > 0).sum(axis=1).max())
    start = np.minimum((matrix > 0).argmax(axis=1), source - width)
    indices = start[:, None] + np.arange(width)
    return indices, np.take_along_axis(matrix, indices, axis=1).astype(np.float32)


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

    def moments(self, level: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Return mean and variance over the target's pixels of the resized channels.

        Exact without resizing: the mean weighs by ``R^T 1``, and the second moment is
        ``sum(f * R^T R f)``, for ``R(f^2)`` is not ``(R f)^2``. It is taken about the mean, so
        that channels with a large mean lose no digits.

        Args:
            level: ``(C, h, w)`` features.

        Returns:
            ``float64 (C,)`` each; the variance divides by the number of pixels, H * W.
        """
        pixels = self.target.height * self.target.width
        x = as_tensor(level)
        sums = as_tensor(self.weight_sums()).ravel()
        mean = x.flatten(1).double() @ sums / pixels
        centre = mean.to(x.dtype)
        shifted = x - centre[:, None, None]
        second = (shifted * self.gram(shifted)).flatten(1).sum(dim=1, dtype=sums.dtype) / pixels
        variance = second - (mean - centre) ** 2
        return mean.numpy(), variance.clamp_(min=0).numpy()


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

    def moments(self, features: Features) -> tuple[Floats, Floats]:
        """Return mean and variance of every hypercolumn channel over the target's pixels.

        Returns:
            ``float64 (C,)`` each, the levels' channels concatenated; see :meth:`Resize.moments`.
        """
        parts = [r.moments(level) for r, level in zip(self.resizes, features, strict=True)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def hypercolumns(
    features: Sequence[npt.NDArray[Any]],
    target: Size,
    pixels: npt.NDArray[np.int64] | None = None,
    out: Float32 | None = None,
) -> Float32:
    """Return resized, concatenated features, one row a pixel (Hariharan et al. 2015).

    Args:
        features: ``(C_l, h_l, w_l)`` each.
        target: size that they are resized to.
        pixels: ``int64 (n,)`` flat indices into the target; None for all, row by row.
        out: where to write, or None for a new array.

    Returns:
        ``float32 (n, sum of C_l)``.

    Raises:
        ValueError: ``out`` has another shape, or a pixel is outside of the target.
    """
    count = target.height * target.width
    if pixels is None:
        pixels = np.arange(count)
    shape = (len(pixels), sum(len(level) for level in features))
    out = np.empty(shape, np.float32) if out is None else out
    # the kernel checks nothing
    if out.shape != shape or (len(pixels) and not 0 <= pixels.min() <= pixels.max() < count):
        raise ValueError(f"{out.shape} is not {shape}, or a pixel is not among {count}")
    start = 0
    for level in features:
        height, width = level.shape[-2:]
        columns = shared(level).flatten(1).T.contiguous().float().numpy()
        sides = _taps(height, target.height), _taps(width, target.width)
        writer()(columns, (width, target.width), pixels, *sides, out, start)
        start += len(level)
    return out


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A fitted linear classifier on a pyramid; a :class:`vidseg.types.Head`.

    Attributes:
        weights: ``float32 (C_l,)`` for each level, on RAW features: the standardisation is folded
            in (``w / sigma``), dead channels have weight 0.
        bias: with the standardisation folded in (``b - sum w mu / sigma``).
        levels: the extractor's levels that it was trained on.
        fingerprint: the extractor that it was trained on.
        warm: what a later fit may start from: ``weight`` (standardised), ``bias``, ``mean`` and
            ``scale``, ``float64 (C,)`` or ``(1,)``; empty when the fit keeps nothing.
    """

    weights: tuple[Float32, ...]
    bias: float
    levels: tuple[int, ...]
    fingerprint: str
    warm: Mapping[str, Floats]

    def scores(self, features: Features, size: Size) -> Scores:
        """Return ``float32 (h, w)`` scores at ``size``.

        Args:
            features: ``(C_l, h_l, w_l)`` of the levels in ``self.levels``, in that order.
            size: size of the scores.

        Raises:
            DataError: the features are not of the levels that the head was trained on.
        """
        return cast("Scores", score_heads([self], features, size)[0])

    def export(self) -> State:
        """Return the head as the arrays from which :meth:`load` makes an equal one."""
        state: State = {f"weight.{i}": weight for i, weight in enumerate(self.weights)}
        state["bias"] = np.array([self.bias], np.float64)
        state["levels"] = np.array(self.levels, np.int64)
        state["extractor"] = np.frombuffer(self.fingerprint.encode(), np.uint8).copy()
        return state | {f"warm.{name}": np.asarray(value) for name, value in self.warm.items()}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]], fingerprint: str) -> LinearHead:
        """Rebuild the head that :meth:`export` wrote.

        Raises:
            DataError: the state is not a linear head's, an array has another dtype or shape, or
                it belongs to another extractor.
        """
        try:
            trained_on = bytes(state["extractor"]).decode()
            levels = tuple(int(level) for level in state["levels"])
            weights = tuple(_vector(state, f"weight.{i}", "f4") for i in range(len(levels)))
            bias = float(_vector(state, "bias", "f8")[0])
        except KeyError as error:
            raise DataError(f"the model holds no array {error}, so it is no linear head") from None
        if trained_on != fingerprint:
            raise DataError(
                f"the model was trained on extractor {trained_on}, not on {fingerprint}",
                hint="name the extractor, weights and levels that it was trained with",
            )
        warm = {k.removeprefix("warm."): v for k, v in state.items() if k.startswith("warm.")}
        return cls(weights, bias, levels, fingerprint, warm)


def _vector(state: Mapping[str, npt.NDArray[Any]], name: str, dtype: str) -> npt.NDArray[Any]:
    array = state[name]
    if array.dtype != dtype or array.ndim != 1 or not len(array):
        raise DataError(
            f"the array {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} (n,)"
        )
    return array


def score_heads(heads: Sequence[LinearHead], features: Features, size: Size) -> Float32:
    """Return the scores of many heads on one frame, ``float32 (K, h, w)``.

    One product per head and level; the K score maps are resized, never the features. Each head's
    scores are bit by bit those that it has alone.

    Args:
        heads: K heads that use the same levels.
        features: ``(C_l, h_l, w_l)`` of those levels, in the heads' order.
        size: size of the scores.

    Raises:
        DataError: the features' channels are not those of the heads.
    """
    given = tuple(len(level) for level in features)
    for head in heads:
        if tuple(len(weight) for weight in head.weights) != given:
            raise DataError(
                f"the head was trained on levels of {[len(w) for w in head.weights]} channels, "
                f"the features have {list(given)}",
                hint="use the extractor and the levels that it was trained with",
            )
    # head by head: a product of several rows sums in another order than one of a single row, and a
    # model's scores must not depend on which others are scored with it
    levels, pyramid = [as_tensor(level).float() for level in features], Pyramid.of(features, size)
    scores = np.empty((len(heads), *size), np.float32)
    for row, head in zip(scores, heads, strict=True):
        maps = [
            (as_tensor(weight)[None] @ level.flatten(1)).reshape(1, *level.shape[-2:])
            for weight, level in zip(head.weights, levels, strict=True)
        ]
        row[...] = pyramid.forward(maps).numpy()[0] + np.float32(head.bias)
    return cast("Float32", scores)
