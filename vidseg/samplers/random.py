"""``n`` random frames of each video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.samplers.base import SampleContext, Short, existing
from vidseg.types import FrameRef, Video


class Random:
    """Take ``n`` random frames of each video, without repetition.

    The draw depends on (seed, video) only, and is nested: ``n=5`` draws the first five of the
    frames that ``n=20`` draws.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    contract: ClassVar[int] = 1

    def __init__(self, n: Annotated[int, Field(ge=1)] = 20, short: Short = "error") -> None:
        self.n = n
        self.short: Short = short

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video, in the order of time."""
        return [ctx.ref(video, index) for video in videos for index in self._draw(video, ctx)]

    def _draw(self, video: Video, ctx: SampleContext) -> list[int]:
        length = ctx.length(video)
        setting = f"random:n={self.n}"
        count = len(existing(video, range(self.n), length, short=self.short, setting=setting))
        return sorted(int(index) for index in ctx.rng(video).permutation(length)[:count])
