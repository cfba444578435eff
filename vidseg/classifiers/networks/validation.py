"""IoU on a training group that is held out: a curve, and what ``keep=best`` chooses by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.start import spread
from vidseg.errors import DataError
from vidseg.types import FrameRef, Image, Mask, Size, TrainingSet
from vidseg.utils.random import generator

FRAMES = 20
"""Held-out frames that are scored, spread over all."""


def held_out(train: TrainingSet, seed: int, name: str) -> tuple[TrainingSet, TrainingSet]:
    """Return the frames to learn from, and those of a group that is held out, drawn by the seed.

    Raises:
        DataError: there is one group only.
    """
    groups = sorted(set(train.groups))
    if len(groups) < 2:
        raise DataError(
            f"keep=best and validate hold a training group out, and there is one ({groups[0]})",
            where=name,
            hint="leave them out, or train on videos of two groups or more",
        )
    chosen = groups[int(generator(seed, "validation").integers(len(groups)))]
    others = [group for group in groups if group != chosen]
    return train.subset(others), train.subset([chosen])


@dataclass(frozen=True)
class Validation:
    """Held-out frames, in memory, and the network that is scored on them.

    Attributes:
        frames: (video, image, mask) each, without noise or augmentation.
        fitted: the network, as it is at the time.
        device: where it computes.
    """

    frames: Sequence[tuple[str, Image, Mask]]
    fitted: FittedNetwork
    device: str

    @classmethod
    def of(cls, held: TrainingSet, fitted: FittedNetwork, device: str) -> Validation:
        """Take some frames of those that are held out."""
        plain = list(dict.fromkeys(FrameRef(ref.video, ref.index) for ref in held.refs))
        frames = [
            (ref.video, np.array(held.frame(ref), np.uint8), np.array(held.mask(ref)))
            for ref in spread(plain, FRAMES)
        ]
        return cls(frames, fitted, device)

    def __call__(self) -> float:
        """Return the mean over videos of the IoU over their frames."""
        counts: dict[str, list[int]] = {}
        for video, image, mask in self.frames:
            shown = self.fitted.batch_scores([image], Size(*mask.shape), self.device)[0] > 0
            hits, either = counts.setdefault(video, [0, 0])
            counts[video] = [
                hits + int((shown & (mask > 0)).sum()),
                either + int(((shown & (mask != 0)) | (mask > 0)).sum()),
            ]
        return float(
            np.mean([hits / either if either else 0.0 for hits, either in counts.values()])
        )
