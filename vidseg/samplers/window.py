"""``n`` frames, ``every``-th one, from a random place: the windows of a gain curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.errors import DataError
from vidseg.samplers.base import SampleContext, Short
from vidseg.types import FrameRef, Video


class Window:
    """Take ``n`` frames, ``every`` apart, around a random frame of each video.

    The random frame depends on (seed, fold, video) only. The window grows from it towards the end
    of the video and, when that is reached, towards the beginning, so the frames of a smaller ``n``
    are among those of a larger one: repeats with other seeds are random nested starts.

    Args:
        n: how many frames of each video.
        every: distance between two frames.
        short: what to do with a video that has not so many: ``error``, or take ``all`` that exist.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        n: Annotated[int, Field(ge=1)] = 20,
        every: Annotated[int, Field(ge=1)] = 1,
        short: Short = "error",
    ) -> None:
        self.n, self.every = n, every
        self.short: Short = short

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video, in the order of time.

        Raises:
            DataError: a video has too few frames in the step of its random frame.
        """
        return [ctx.ref(video, index) for video in videos for index in self._window(video, ctx)]

    def _window(self, video: Video, ctx: SampleContext) -> list[int]:
        length = ctx.length(video)
        start = int(ctx.rng(video).integers(length))
        order = [*range(start, length, self.every), *range(start - self.every, -1, -self.every)]
        if self.short == "error" and len(order) < self.n:
            raise DataError(
                f"the sampler window:n={self.n},every={self.every} finds {len(order)} frames "
                f"{self.every} apart around frame {start}, the video has {length}",
                where=f"video {video.name}",
                hint="use fewer or closer frames, or short=all to take the frames that exist",
            )
        return sorted(order[: self.n])
