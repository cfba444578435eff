"""Where a training starts: scales of the levels, the share of foreground, a fitted linear model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.head import LinearHead as FittedHead
from vidseg.classifiers.linear.levels import frame_name
from vidseg.classifiers.networks.inference import as_input
from vidseg.classifiers.networks.model import LinearHead, Segmenter
from vidseg.classifiers.pyramid import shared
from vidseg.errors import DataError
from vidseg.types import FrameRef, Mask, Size, TrainingSet

FRAMES = 16
"""Training frames on which scales are measured, spread over all."""
LABELS = 256
"""Training masks of which the share of foreground is taken."""


def spread(refs: Sequence[FrameRef], count: int) -> list[FrameRef]:
    """Return at most ``count`` frames, evenly spread."""
    places = np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int)
    return [refs[place] for place in dict.fromkeys(places.tolist())]


def measure_scales(net: Segmenter, train: TrainingSet, ctx: FitContext) -> None:
    """Set the factors that give each level a root mean square of 1 on training images.

    Raises:
        DataError: a level is not finite; names it and the frame.
    """
    device = torch.device(ctx.device)
    net.trunk.to(device).eval()
    squares = np.zeros(len(net.trunk.channels))
    refs = spread(train.refs, FRAMES)
    with torch.no_grad():
        for ref in refs:
            ctx.stop()
            levels = net.trunk(as_input(np.asarray(train.frame(ref))[None], device))
            found = [float(level.float().square().mean()) for level in levels]
            if not np.isfinite(found).all():
                raise DataError(
                    f"the extractor's level {int(np.argmin(np.isfinite(found)))} is not finite",
                    where=frame_name(ref),
                    hint="use other weights",
                )
            squares += found
    roots = np.sqrt(squares / len(refs))
    scales = np.divide(1.0, roots, out=np.ones_like(roots), where=roots > 1e-12)
    # processes on different machines differ in the last bits: the first one's count
    shared = ctx.reduce(scales if ctx.rank == 0 else np.zeros_like(scales))
    with torch.no_grad():
        net.scale.copy_(torch.from_numpy(shared))


def foreground_share(train: TrainingSet) -> float:
    """Return the share of foreground among the labelled pixels of training masks.

    Raises:
        DataError: no pixel is labelled.
    """
    counts = np.zeros(2)
    for ref in spread(train.refs, LABELS):
        mask = train.mask(ref)
        counts += np.count_nonzero(mask < 0), np.count_nonzero(mask > 0)
    if not counts.sum():
        raise DataError("no pixel of the training frames is labelled")
    return float(counts[1] / counts.sum())


def log_odds(share: float, positive_weight: float) -> float:
    """Return the log-odds of foreground where it weighs ``positive_weight``; at most 6."""
    bounded = min(max(share, 1e-9), 1 - 1e-9)
    return float(np.clip(np.log(positive_weight * bounded / (1 - bounded)), -6, 6))


@dataclass(frozen=True)
class LinearStart:
    """A fitted linear model as the start of a network.

    Attributes:
        head: the model, on raw features.
        own: index among the trunk's levels of each of the extractor's.
    """

    head: FittedHead
    own: Sequence[int]

    @property
    def levels(self) -> tuple[int, ...]:
        """The trunk's levels that it reads."""
        return tuple(self.own[level] for level in self.head.levels)

    def put_into(self, net: Segmenter, train: TrainingSet, ctx: FitContext, weight: float) -> float:
        """Give the network's linear head the model, scores made into log-odds by one factor.

        The decoder's last layer is zero, so that the network scores as the model does.

        Args:
            net: its scales are measured.
            train: of the fit.
            ctx: of the fit.
            weight: class weight of foreground.

        Returns:
            The factor.
        """
        assert net.linear is not None
        scales = [float(net.scale[level]) for level in self.levels]
        with torch.no_grad():
            self._fill(net.linear, scales, 1.0)
            factor = self._factor(net, train, ctx, weight)
            self._fill(net.linear, scales, factor)
        return factor

    def _fill(self, linear: LinearHead, scales: Sequence[float], factor: float) -> None:
        for own, given, scale in zip(linear.weights, self.head.weights, scales, strict=True):
            own.copy_(torch.from_numpy(given) * factor / (scale * linear.unit))
        linear.bias.fill_(self.head.bias * factor)

    def _factor(self, net: Segmenter, train: TrainingSet, ctx: FitContext, weight: float) -> float:
        net.to(ctx.device).eval()
        frames = []
        for ref in spread(train.refs, FRAMES):
            ctx.stop()
            mask = train.mask(ref)
            image = as_input(np.asarray(train.frame(ref))[None], ctx.device)
            frames.append((net(image, Size(*mask.shape))[0].cpu(), mask))
        factor = np.array([fitted_factor(frames, weight)])
        return float(ctx.reduce(factor if ctx.rank == 0 else np.zeros(1))[0])


def fitted_factor(frames: Sequence[tuple[torch.Tensor, Mask]], weight: float) -> float:
    """Return the factor of scores whose cross entropy is least, of 41 from 0.01 to 100."""
    scores = torch.cat([one[shared(mask) != 0].double() for one, mask in frames])
    labels = torch.cat([torch.from_numpy(mask[mask != 0]).double() for _, mask in frames])
    weights = torch.where(labels > 0, weight, 1.0)
    grid = torch.logspace(-2, 2, 41, dtype=torch.float64)
    losses = [float((weights * F.softplus(-labels * scores * a)).sum()) for a in grid]
    return float(grid[int(np.argmin(losses))])


def check_start(init: Any, fingerprint: str, levels: Sequence[int], name: str) -> FittedHead:
    """Return the linear model to start from.

    Raises:
        DataError: it is none, or of another extractor or other levels.
    """
    if not isinstance(init, FittedHead) or init.fingerprint != fingerprint:
        raise DataError(
            "the model to start from is neither linear on this extractor nor a network like it",
            where=name,
            hint="start from pixel_svm with the same extractor and levels, or from this network",
        )
    if init.levels != tuple(levels):
        raise DataError(
            f"the model to start from has levels {init.levels}, not {tuple(levels)}",
            where=name,
            hint="start from a linear classifier with the same levels",
        )
    return init
