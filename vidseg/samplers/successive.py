"""``n`` successive frames from ``start``: the paper's dense settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.samplers.base import SampleContext, Short, existing
from vidseg.types import FrameRef, Video


class Successive:
    """Take ``n`` successive frames of each video, from frame ``start`` on.

    Args:
        n: how many frames of each video.
        start: 0-based index of the first one.
        short: what to do with a video that ends earlier: ``error``, or take ``all`` that exist.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        n: Annotated[int, Field(ge=1)] = 20,
        start: Annotated[int, Field(ge=0)] = 0,
        short: Short = "error",
    ) -> None:
        self.wanted = range(start, start + n)
        self.short: Short = short
        self.setting = f"successive:n={n},start={start}"

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video."""
        return [
            ctx.ref(video, index)
            for video in videos
            for index in existing(
                video, self.wanted, ctx.length(video), short=self.short, setting=self.setting
            )
        ]
