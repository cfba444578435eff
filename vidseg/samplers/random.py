"""``n`` random frames of each video."""

from __future__ import annotations

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.types import Video


class Random(CountSampler):
    """Take ``n`` random labelled frames of each video, without repetition.

    The draw depends on (seed, video) only, and is nested: ``n=5`` draws the first five of the
    frames that ``n=20`` draws.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "random"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        labelled, count = ctx.labelled(video), self.count(video, ctx)
        order = ctx.rng(video).permutation(len(labelled))
        return sorted(labelled[int(place)] for place in order[:count])
