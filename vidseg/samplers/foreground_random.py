"""``n`` random frames of each video, those with more foreground more often: needs the labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.samplers.cache import Floats, measure_once
from vidseg.tasks.registry import find_task
from vidseg.types import Size, Video

WIDTH = 320
"""Width at which the foreground is counted, in pixels."""


class ForegroundRandom(CountSampler):
    """Draw ``n`` frames of each video, in proportion to their foreground, without repetition.

    An oracle: it looks at the labels of all frames, which nobody has who asks which frames to
    label. It says what knowing the foreground would be worth beside ``random``; reports compare
    it and never advise it. Frames without foreground come last, at random. The draw depends on
    (seed, fold, video) only, and is nested in ``n``.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "foreground-random"
    oracle: ClassVar[bool] = True

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        count, labelled = self.count(video, ctx), list(ctx.labelled(video))
        key = [np.asarray(labelled)]
        shares = measure_once("foreground", video.label_key, key, lambda: areas(video, labelled))
        order = drawn(shares, ctx.rng(video))
        return sorted(labelled[int(place)] for place in order[:count])


def areas(video: Video, labelled: list[int]) -> Floats:
    """Return the share of foreground of each labelled frame, ``float64 (n,)``, 0..1."""
    native = video.probe().size
    size = Size(max(1, round(native.height * WIDTH / native.width)), WIDTH)
    task = find_task()
    where = f"video {video.name}"
    return np.array(
        [
            float((task.target(video.labels(i), size, where=f"{where} frame {i}") > 0).mean())
            for i in labelled
        ]
    )


def drawn(weights: Floats, rng: np.random.Generator) -> Floats:
    """Return places in the order of a draw without repetition, in proportion to ``weights``.

    Efraimidis and Spirakis 2006: descending ``log(u) / w`` with uniform u. Weights of 0 follow.
    """
    chance = np.log(rng.random(len(weights)))
    positive = weights > 0
    keys = np.where(positive, chance / np.where(positive, weights, 1.0), chance)
    return np.asarray(np.lexsort((-keys, ~positive)))
