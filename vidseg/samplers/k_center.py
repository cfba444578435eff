"""``n`` frames of each video that are far from each other in feature space."""

from __future__ import annotations

import numpy as np

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.samplers.cache import Floats, measure_once
from vidseg.types import Features, Video


class KCenter(CountSampler):
    """Take the frames that greedy k-center chooses on pooled features of the extractor.

    The first is the frame nearest the video's mean; each next one is the frame furthest from all
    that are chosen (Gonzalez 1985; as the core-set of Sener and Savarese 2018). A frame is
    described by the mean of each level over the image, each level scaled to length 1. The choice
    is nested: ``n=5`` gives the first five of the frames that ``n=20`` gives; ties go to the
    earlier frame. The features of all labelled frames are computed once.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "k-center"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        count = self.count(video, ctx)
        frames = ctx.labelled(video)
        key = [*ctx.features(video, frames[0]), np.asarray(frames)]
        points = measure_once("pooled", video.image_key, key, lambda: descriptors(video, ctx))
        return sorted(frames[place] for place in farthest_first(points, count))


def descriptors(video: Video, ctx: SampleContext) -> Floats:
    """Return what is compared, ``float64 (labelled frames, channels)``; one frame at a time.

    A context that keeps these vectors has ``pooled(video)``, which returns them.
    """
    if callable(kept := getattr(ctx, "pooled", None)):
        return np.asarray(kept(video), np.float64)
    ctx.prepare(video, features=True)
    return np.stack([pooled(ctx.features(video, index)) for index in ctx.labelled(video)])


def pooled(features: Features) -> Floats:
    """Return the mean of each channel, ``float64 (C,)``, each level divided by its L2 norm."""
    means = [level.mean(axis=(1, 2), dtype=np.float64) for level in features]
    return np.concatenate([mean / max(float(np.linalg.norm(mean)), 1e-12) for mean in means])


def farthest_first(points: Floats, count: int) -> list[int]:
    """Return ``count`` distinct rows of ``points``, ``(n, C)``, in the order they are chosen.

    The first is nearest the mean; each next one is furthest from its nearest chosen one.
    """
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(0), axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        last = chosen[-1]
        distance = np.minimum(distance, np.linalg.norm(points - points[last], axis=1))
        distance[chosen] = -1.0
        chosen.append(int(np.argmax(distance)))
    return chosen
