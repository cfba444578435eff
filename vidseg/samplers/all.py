"""All frames of every video."""

from __future__ import annotations

from vidseg.samplers.base import FrameSampler, SampleContext
from vidseg.types import Video


class All(FrameSampler):
    """Take every frame of each video, however many there are."""

    def choose(self, video: Video, ctx: SampleContext) -> range:
        """Return all frames of one video."""
        return range(ctx.length(video))
