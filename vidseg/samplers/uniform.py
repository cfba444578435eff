"""``n`` frames spread evenly over each video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.samplers.base import SampleContext, Short, existing
from vidseg.types import FrameRef, Video


class Uniform:
    """Take the middle frame of each of ``n`` equal parts of each video.

    Part k of a video of L frames gives frame ``floor((2 k + 1) L / (2 n))``, as temporal segment
    networks sample a video (Wang et al. 2016). No frame is then further than half a part from a
    chosen one; spreading from the first to the last frame leaves gaps that are larger.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    contract: ClassVar[int] = 1

    def __init__(self, n: Annotated[int, Field(ge=1)] = 20, short: Short = "error") -> None:
        self.n = n
        self.short: Short = short

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video."""
        return [ctx.ref(video, index) for video in videos for index in self._frames(video, ctx)]

    def _frames(self, video: Video, ctx: SampleContext) -> list[int]:
        length, setting = ctx.length(video), f"uniform:n={self.n}"
        count = len(existing(video, range(self.n), length, short=self.short, setting=setting))
        return [(2 * part + 1) * length // (2 * count) for part in range(count)]
