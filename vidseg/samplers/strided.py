"""Every ``every``-th frame: the paper's key-frame settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.samplers.base import FrameSampler, SampleContext, Short, first_from
from vidseg.types import Video


class Strided(FrameSampler):
    """Take frames ``start``, ``start + every``, ``start + 2 * every``, ... of each video.

    Frames of the video are counted, labelled or not: of labels at every 10th frame, a stride of 20
    takes every other one.

    Args:
        every: distance between two frames.
        n: how many frames of each video; null takes them to the video's end.
        start: 0-based index of the first one; the first labelled one from there on.
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
        self.spacing = every if n != 1 else None
        self.setting = f"strided:every={every},n={n or 'null'},start={start}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        begin = first_from(ctx.labelled(video), self.start)
        end = max(ctx.length(video), begin + 1)
        stop = end if self.n is None else begin + self.n * self.every
        return self.existing(video, range(begin, stop, self.every), ctx)
