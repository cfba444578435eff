"""The first ``n`` frames of each video."""

from __future__ import annotations

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.types import Video


class First(CountSampler):
    """Take the first ``n`` labelled frames of each video, however far apart they are.

    Where all frames are labelled it is ``successive``, which counts frames of the video.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "first"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        return list(ctx.labelled(video)[: self.count(video, ctx)])
