"""The one standardisation that all linear classifiers share: ``z = (x - mu) / sigma`` by channel.

Mean and standard deviation run over ALL pixels of the training frames' resized features: labels
play no role, and ignored pixels are included, so that every classifier and every label source sees
the same transform. They are computed from native features
(:meth:`vidseg.classifiers.pyramid.Resize.moments`) and folded into the head afterwards, so no
resized feature is ever made for them.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache, cached

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import check_finite
from vidseg.classifiers.pyramid import Float32, Floats, Pyramid, shared
from vidseg.types import Features, Size, TrainingSet

FLOOR = 0.1
"""Smallest sigma of a channel, as a share of the median sigma of its level."""

DEAD = 1e-6
"""A channel whose sigma is below this share of its mean is constant (float16 resolves 5e-4)."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and standard deviation of hypercolumns, before any floor.

    Attributes:
        mean, sigma: ``float64 (C,)``, the levels' channels concatenated.
        channels: number of channels of each level.
    """

    mean: Floats
    sigma: Floats
    channels: tuple[int, ...]

    @classmethod
    def measure(cls, train: TrainingSet, ctx: FitContext, names: Sequence[str]) -> Moments:
        """Measure over all pixels of ``train``'s frames, each as often as it appears.

        Frames are summed in float64 and, through ``ctx.reduce``, over processes: with several,
        give each its shard. On a CPU a frame's moments are kept in the process, by content.

        Args:
            train: the training frames.
            ctx: for progress, stopping and ``reduce``.
            names: names of the levels of ``train.features``, for messages.

        Raises:
            DataError: features are not finite; names the frame and the level.
        """
        repeats = Counter(train.refs)
        moments, channels = [], tuple[int, ...]()
        with ctx.progress.task("standardisation", len(repeats)) as task:
            for ref in repeats:
                ctx.stop()
                features = train.features(ref)
                channels = tuple(len(level) for level in features)
                moments.append(_of_frame(features, train.mask_size, ctx.device))
                if not np.isfinite(moments[-1]).all():
                    check_finite(features, ref, names)
                task.advance()
        return cls(*_combine(np.array(moments), np.array(list(repeats.values())), ctx), channels)


@dataclass(frozen=True, eq=False)
class Standardisation:
    """A fitted transform ``z = (x - mean) * scale`` of hypercolumns.

    Attributes:
        mean: ``float64 (C,)``, the levels' channels concatenated.
        scale: ``float64 (C,)``: 1 / sigma, and 0 for dead (constant) channels.
        channels: number of channels of each level.
    """

    mean: Floats
    scale: Floats
    channels: tuple[int, ...]

    @classmethod
    def identity(cls, channels: Sequence[int]) -> Standardisation:
        """Return the transform that changes nothing."""
        return cls(np.zeros(sum(channels)), np.ones(sum(channels)), tuple(channels))

    @classmethod
    def of(cls, moments: Moments, floor: float = FLOOR) -> Standardisation:
        """Return the transform of measured moments.

        Args:
            moments: of all pixels of the training frames.
            floor: smallest sigma, as a share of the median sigma of the level's live channels.
                A channel that hardly ever fires in a one-frame arm would explode otherwise.
        """
        scale = inverse_sigma(moments.mean, moments.sigma, moments.channels, floor)
        return cls(moments.mean, scale, moments.channels)

    @classmethod
    def compute(
        cls, train: TrainingSet, ctx: FitContext, names: Sequence[str], floor: float = FLOOR
    ) -> Standardisation:
        """Return the transform of ``train``: :meth:`Moments.measure`, then :meth:`of`."""
        return cls.of(Moments.measure(train, ctx, names), floor)

    def energy(self, moments: Moments) -> float:
        """Return the mean of ``||z||^2`` over the pixels that ``moments`` were measured on."""
        square = (moments.mean - self.mean) ** 2 + moments.sigma**2
        return float(square @ self.scale**2)

    def apply(self, points: Float32) -> Float32:
        """Standardise hypercolumns ``float32 (n, C)`` in place and return them."""
        points -= self.mean.astype(np.float32)
        points *= self.scale.astype(np.float32)
        return points

    def levels(self, features: Features) -> tuple[Float32, ...]:
        """Return standardised native features, ``float32 (C_l, h_l, w_l)`` each.

        Resizing keeps constants, so ``R((f - mu) / sigma) = (R f - mu) / sigma``: hypercolumns of
        these need no :meth:`apply`, at a fraction of its cost. In memory they lie channels
        last, as hypercolumns want them.
        """
        import torch

        found = []
        parts = zip(features, self._split(self.mean), self._split(self.scale), strict=True)
        for level, mean, scale in parts:
            pixels = (
                shared(level)
                .flatten(1)
                .T.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
            )
            pixels.sub_(torch.from_numpy(mean)).mul_(torch.from_numpy(scale))
            found.append(pixels.numpy().T.reshape(level.shape))
        return tuple(found)

    def fold(self, weights: Floats, bias: float) -> tuple[tuple[Float32, ...], float]:
        """Return weights of each level and bias on RAW features.

        ``w . (x - mu) / sigma + b = (w / sigma) . x + (b - sum w mu / sigma)``.

        Args:
            weights: ``float64 (C,)`` on standardised features.
            bias: the bias on standardised features.
        """
        native = weights * self.scale
        return self._split(native), float(bias - native @ self.mean)

    def head(
        self, weights: Floats, bias: float, levels: Sequence[int], fingerprint: str
    ) -> LinearHead:
        """Return the head of standardised ``weights`` and ``bias``, ready for a warm start."""
        native, offset = self.fold(weights, bias)
        warm = {"weight": weights, "bias": np.array([bias]), "mean": self.mean, "scale": self.scale}
        return LinearHead(native, offset, tuple(levels), fingerprint, warm)

    def restate(self, warm: Mapping[str, Floats]) -> tuple[Floats, float] | None:
        """Return another fit's weights and bias for THIS transform, or None if there are none.

        Args:
            warm: :attr:`LinearHead.warm` of a head on the same levels.
                Channels that are dead here get weight 0.
        """
        if "weight" not in warm or warm["weight"].shape != self.mean.shape:
            return None
        native = warm["weight"] * warm["scale"]
        offset = float(warm["bias"][0] - native @ warm["mean"])
        live = self.scale > 0
        weights = np.divide(native, self.scale, out=np.zeros_like(native), where=live)
        return weights, float(offset + native @ self.mean)

    def _split(self, values: Floats) -> tuple[Float32, ...]:
        edges = np.cumsum(self.channels)[:-1]
        return tuple(part.astype(np.float32) for part in np.split(values, edges))


def inverse_sigma(mean: Floats, sigma: Floats, channels: Sequence[int], floor: float) -> Floats:
    """Return ``1 / max(sigma, floor * median)`` by channel, 0 for dead ones.

    The median is that of the level's live channels: levels differ in scale by orders.

    Args:
        mean, sigma: ``float64 (C,)``.
        channels: number of channels of each level.
        floor: share of the median, 0 or more.
    """
    live = sigma > DEAD * np.abs(mean)
    scale = np.zeros_like(sigma)
    start = 0
    for count in channels:
        part = slice(start, start + count)
        alive = sigma[part][live[part]]
        if alive.size:
            scale[part][live[part]] = 1 / np.maximum(alive, floor * np.median(alive))
        start += count
    return scale


def _combine(
    moments: Floats, repeats: npt.NDArray[np.int64], ctx: FitContext
) -> tuple[Floats, Floats]:
    """Return mean and sigma over frames (and processes) of equally many pixels.

    Args:
        moments: ``float64 (frames, 2, C)``: mean and variance of each frame.
        repeats: how often each frame counts.
        ctx: whose ``reduce`` sums over processes.
    """
    total = float(ctx.reduce(np.array([float(repeats.sum())]))[0])
    mean = ctx.reduce(repeats @ moments[:, 0]) / total
    # about the common mean: E[x^2] - mean^2 would lose the digits
    within = moments[:, 1] + (moments[:, 0] - mean) ** 2
    return mean, np.sqrt(ctx.reduce(repeats @ within) / total)


def _content(features: Features, target: Size) -> bytes:
    """Hash features and size: a frame's name says neither data set nor extractor.

    Hashing costs a quarter of computing the moments.
    """
    digest = hashlib.blake2b(repr((target, [level.shape for level in features])).encode())
    for level in features:
        digest.update(np.ascontiguousarray(level).view(np.uint8).data)
    return digest.digest()


def _of_frame(features: Features, target: Size, device: str) -> Floats:
    """Return a frame's moments; on a GPU they take less time than the hash of its features."""
    if device == "cpu":
        return frame_moments(features, target)
    return np.stack(Pyramid.of(features, target).moments(features, device))


CACHED_FRAMES = 4096


@cached(LRUCache(CACHED_FRAMES), key=_content, lock=threading.Lock())
def frame_moments(features: Features, target: Size) -> Floats:
    """Return :meth:`Pyramid.moments` of one frame, ``float64 (2, C)``; cached by content."""
    return np.stack(Pyramid.of(features, target).moments(features))
