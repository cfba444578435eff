"""``n`` successive frames from the middle of each video."""

from __future__ import annotations

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.types import Video


class Middle(CountSampler):
    """Take the ``n`` successive labelled frames in the middle of each video.

    With an odd remainder the frame more is left over at the end: ``n=1`` of 400 is frame 199.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "middle"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        labelled, count = ctx.labelled(video), self.count(video, ctx)
        start = (len(labelled) - count) // 2
        return list(labelled[start : start + count])
