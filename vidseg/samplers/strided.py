"""Every ``every``-th frame: the paper's key-frame settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.samplers.base import FrameSampler, SampleContext, Short
from vidseg.types import Video


class Strided(FrameSampler):
    """Take frames ``start``, ``start + every``, ``start + 2 * every``, ... of each video.

    Args:
        every: distance between two frames.
        n: how many frames of each video; null takes them to the video's end.
        start: 0-based index of the first one.
        short: what to do with a video that ends earlier: ``error``, or take ``all`` that exist.
    """

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 20,
        n: Annotated[int, Field(ge=1)] | None = None,
        start: Annotated[int, Field(ge=0)] = 0,
        short: Short = "error",
    ) -> None:
        self.every, self.n, self.start = every, n, start
        self.short = short
        self.setting = f"strided:every={every},n={n or 'null'},start={start}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        end = max(ctx.length(video), self.start + 1)
        stop = end if self.n is None else self.start + self.n * self.every
        return self.existing(video, range(self.start, stop, self.every), ctx)
