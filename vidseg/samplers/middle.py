"""``n`` successive frames from the middle of each video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.samplers.base import SampleContext, Short, existing
from vidseg.types import FrameRef, Video


class Middle:
    """Take the ``n`` successive frames in the middle of each video.

    With an odd remainder the frame more is left over at the end: ``n=1`` of 400 is frame 199.

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

    def _frames(self, video: Video, ctx: SampleContext) -> range:
        length, setting = ctx.length(video), f"middle:n={self.n}"
        count = len(existing(video, range(self.n), length, short=self.short, setting=setting))
        start = (length - count) // 2
        return range(start, start + count)
