"""Every ``every``-th frame: the paper's key-frame settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.samplers.base import SampleContext, Short, existing
from vidseg.types import FrameRef, Video


class Strided:
    """Take frames ``start``, ``start + every``, ``start + 2 * every``, ... of each video.

    Args:
        every: distance between two frames.
        n: how many frames of each video; null takes them to the video's end.
        start: 0-based index of the first one.
        short: what to do with a video that ends earlier: ``error``, or take ``all`` that exist.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 20,
        n: Annotated[int, Field(ge=1)] | None = None,
        start: Annotated[int, Field(ge=0)] = 0,
        short: Short = "error",
    ) -> None:
        self.every, self.n, self.start = every, n, start
        self.short: Short = short
        self.setting = f"strided:every={every},n={n or 'null'},start={start}"

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video."""
        return [
            ctx.ref(video, index)
            for video in videos
            for index in existing(
                video,
                self._wanted(ctx.length(video)),
                ctx.length(video),
                short=self.short,
                setting=self.setting,
            )
        ]

    def _wanted(self, length: int) -> range:
        stop = max(length, self.start + 1) if self.n is None else self.start + self.n * self.every
        return range(self.start, stop, self.every)
