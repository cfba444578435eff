"""``n`` successive frames from ``start``: the paper's dense settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.samplers.base import FrameSampler, SampleContext, Short, first_from
from vidseg.types import Video


class Successive(FrameSampler):
    """Take ``n`` successive frames of each video, from frame ``start`` on.

    Frames of the video are counted, labelled or not: where only some are labelled, ``n`` successive
    ones cannot be had, and ``short=all`` takes those of them that are.

    Args:
        n: how many frames of each video.
        start: 0-based index of the first one; the first labelled one from there on.
        short: what to do with a video that ends earlier: ``error``, or take ``all`` that exist.
    """

    def __init__(
        self,
        n: Annotated[int, Field(ge=1)] = 20,
        start: Annotated[int, Field(ge=0)] = 0,
        short: Short = "error",
    ) -> None:
        self.n, self.start = n, start
        self.short = short
        self.spacing = 1 if n > 1 else None
        self.setting = f"successive:n={n},start={start}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        begin = first_from(ctx.labelled(video), self.start)
        return self.existing(video, range(begin, begin + self.n), ctx)
