"""What is shown and kept of a network while it is trained: two frames, and its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.start import spread
from vidseg.types import FrameRef, Image, Size, TrainingSet

CANDIDATES = 16
"""Frames of which the one with most foreground is shown."""

Shown = tuple[FrameRef, Image, Size]
"""A frame, its image, and the size of its mask."""


@dataclass(frozen=True)
class Snapshots:
    """Shows a network on two frames after some epochs, and keeps its weights after some.

    Attributes:
        frames: one that is trained on, and one that is held out or of another video.
        fitted: the network, as it is at the time.
        ctx: of the fit.
        shown: epochs after which frames are shown: the first, a quarter, half, the last.
        kept: epochs after which weights are kept.
    """

    frames: Sequence[Shown]
    fitted: FittedNetwork
    ctx: FitContext
    shown: frozenset[int]
    kept: frozenset[int]

    @classmethod
    def of(
        cls,
        train: TrainingSet,
        held: TrainingSet | None,
        fitted: FittedNetwork,
        ctx: FitContext,
        epochs: int,
        checkpoints: int,
    ) -> Snapshots:
        """Choose frames and epochs.

        Args:
            train: what is trained on.
            held: what is held out, or None.
            fitted: the network.
            ctx: of the fit.
            epochs: of the training.
            checkpoints: after how many of them weights are kept.
        """
        frames = [_clearest(train, train.refs)]
        others = [ref for ref in train.refs if ref.video != frames[0][0].video]
        if held is not None:
            frames.append(_clearest(held, held.refs))
        elif others:
            frames.append(_clearest(train, others))
        shown = {1, -(-epochs // 4), -(-epochs // 2), epochs}
        kept = {-(-epochs * part // (checkpoints + 1)) for part in range(1, checkpoints + 1)}
        return cls(frames, fitted, ctx, frozenset(shown), frozenset(kept))

    def take(self, epoch: int, average: Mapping[str, torch.Tensor], *, finished: bool) -> None:
        """Show and keep what is due; the network is in evaluation mode then.

        Args:
            epoch: how many are finished.
            average: the averaged weights, which are kept in place of the network's; or none.
            finished: this was the last one.
        """
        if finished or epoch in self.shown:
            for ref, image, size in self.frames:
                scores = self.fitted.batch_scores([image], size, self.ctx.device)[0]
                self.ctx.show(ref, scores, epoch)
        if epoch in self.kept and not finished:
            state = self.fitted.export()
            state |= {name: value.cpu().numpy().copy() for name, value in average.items()}
            self.ctx.keep(epoch, state)


def _clearest(train: TrainingSet, refs: Sequence[FrameRef]) -> Shown:
    """Return the frame with most foreground of some of ``refs``, without noise on it."""
    plain = spread(list(dict.fromkeys(FrameRef(ref.video, ref.index) for ref in refs)), CANDIDATES)
    masks = [train.mask(ref) for ref in plain]
    place = int(np.argmax([np.count_nonzero(mask > 0) for mask in masks]))
    image = np.array(train.frame(plain[place]), np.uint8)
    return plain[place], image, Size(*masks[place].shape)
