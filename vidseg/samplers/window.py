"""``n`` frames, ``every``-th one, from a random place: the windows of a gain curve."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidseg.errors import DataError
from vidseg.samplers.base import FrameSampler, SampleContext, Short, members, usual_spacing
from vidseg.types import Video


class Window(FrameSampler):
    """Take ``n`` frames, ``every`` apart, around a random frame of each video.

    The random frame depends on (seed, fold, video) only. The window grows from it towards the end
    of the video and, when that is reached, towards the beginning, so the frames of a smaller ``n``
    are among those of a larger one: repeats with other seeds are random nested starts.

    The random frame is a labelled one, and frames without labels are passed over. Where the labels
    do not have frames ``every`` apart there is no such window, whatever ``short`` is.

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
        self.spacing = every if n > 1 else None
        self.setting = f"window:n={n},every={every}"

    def offer(self, n: int, every: int) -> str:
        """Return the window of ``n`` frames ``every`` apart."""
        return f"window:n={n},every={every}"

    def _may_take(self, found: int) -> bool:
        return False

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending.

        Raises:
            DataError: the video has too few frames in the step of its random frame.
            UnlabelledError: so few of them are labelled, or in another step.
        """
        length, labelled = ctx.length(video), ctx.labelled(video)
        if not labelled:
            raise self.unlabelled(video, range(self.n), 0, ctx)
        start = labelled[int(ctx.rng(video).integers(len(labelled)))]
        order = [*range(start, length, self.every), *range(start - self.every, -1, -self.every)]
        there = members(labelled)
        frames = sorted([index for index in order if index in there][: self.n])
        wanted = sorted(order[: self.n])
        spaced = len(wanted) == 1 or usual_spacing(frames) == self.every
        if not spaced or (self.short == "error" and len(frames) < len(wanted)):
            raise self.unlabelled(video, wanted, len(set(wanted) & set(frames)), ctx)
        if self.short == "error" and len(order) < self.n:
            raise DataError(
                f"the sampler {self.setting} finds {len(order)} frames "
                f"{self.every} apart around frame {start}, the video has {length}",
                where=f"video {video.name}",
                hint="use fewer or closer frames, or short=all to take the frames that exist",
            )
        return frames
