"""``n`` frames, ``every``-th one, from a random place: the windows of a gain curve."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.errors import DataError
from vidseg.samplers.base import FrameSampler, SampleContext, Short
from vidseg.types import Video


class Window(FrameSampler):
    """Take ``n`` frames, ``every`` apart, around a random frame of each video.

    The random frame depends on (seed, fold, video) only. The window grows from it towards the end
    of the video and, when that is reached, towards the beginning, so the frames of a smaller ``n``
    are among those of a larger one: repeats with other seeds are random nested starts.

    Args:
        n: how many frames of each video.
        every: distance between two frames.
        short: what to do with a video that has not so many: ``error``, or take ``all`` that exist.
    """

    def __init__(
        self,
        n: Annotated[int, Field(ge=1)] = 20,
        every: Annotated[int, Field(ge=1)] = 1,
        short: Short = "error",
    ) -> None:
        self.n, self.every = n, every
        self.short = short
        self.setting = f"window:n={n},every={every}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending.

        Raises:
            DataError: the video has too few frames in the step of its random frame.
        """
        length = ctx.length(video)
        start = int(ctx.rng(video).integers(length))
        order = [*range(start, length, self.every), *range(start - self.every, -1, -self.every)]
        if self.short == "error" and len(order) < self.n:
            raise DataError(
                f"the sampler {self.setting} finds {len(order)} frames "
                f"{self.every} apart around frame {start}, the video has {length}",
                where=f"video {video.name}",
                hint="use fewer or closer frames, or short=all to take the frames that exist",
            )
        return sorted(order[: self.n])
