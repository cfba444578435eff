"""``n`` successive frames from ``start``: the paper's dense settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.samplers.base import FrameSampler, SampleContext, Short
from vidseg.types import Video


class Successive(FrameSampler):
    """Take ``n`` successive frames of each video, from frame ``start`` on.

    Args:
        n: how many frames of each video.
        start: 0-based index of the first one.
        short: what to do with a video that ends earlier: ``error``, or take ``all`` that exist.
    """

    def __init__(
        self,
        n: Annotated[int, Field(ge=1)] = 20,
        start: Annotated[int, Field(ge=0)] = 0,
        short: Short = "error",
    ) -> None:
        self.wanted = range(start, start + n)
        self.short = short
        self.setting = f"successive:n={n},start={start}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        return self.existing(video, self.wanted, ctx)
