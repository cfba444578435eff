"""All labelled frames of every video."""

from __future__ import annotations

from vidseg.samplers.base import FrameSampler, SampleContext
from vidseg.types import Video


class All(FrameSampler):
    """Take every labelled frame of each video, however many there are."""

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return all labelled frames of one video."""
        return list(ctx.labelled(video))
