"""``n`` frames spread evenly over each video."""

from __future__ import annotations

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.types import Video


class Uniform(CountSampler):
    """Take the middle frame of each of ``n`` equal parts of each video.

    Part k of a video of L frames gives frame ``floor((2 k + 1) L / (2 n))``, as temporal segment
    networks sample a video (Wang et al. 2016). No frame is then further than half a part from a
    chosen one; spreading from the first to the last frame leaves gaps that are larger. Where only
    some frames are labelled, L counts these.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "uniform"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        labelled, count = ctx.labelled(video), self.count(video, ctx)
        return [labelled[(2 * k + 1) * len(labelled) // (2 * count)] for k in range(count)]
