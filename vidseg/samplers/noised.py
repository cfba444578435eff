"""Noisy copies of another sampler's frames: no new content, as many images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.errors import DataError
from vidseg.samplers.base import SampleContext
from vidseg.samplers.copies import Base, built, copied
from vidseg.samplers.noise import Noise, Per
from vidseg.types import FrameRef, Video


class Noised:
    """Take noisy copies of each frame of another sampler (section III.E of the paper).

    The noise is Gaussian. Its variance is the one measured over the window of successive frames
    that begins with the frame; at the video's end it is the last window that exists, so that all
    variances are measured over equally many frames. A video shorter than the window is one window.

    Args:
        base: the sampler whose frames are copied: a name, or a spec in brackets.
        copies: how many of each frame; the frame itself is not among them.
        window: over how many successive frames the variance is measured.
        per: one variance for the ``image`` (the paper's words taken literally), for each colour
            ``channel``, or for each ``pixel`` and colour.
        round: convert to 8 bit as the paper does; otherwise values are not even clipped.
        fresh: every epoch draws new noise; otherwise the copies are the same in all epochs.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        base: Base = 1,
        copies: Annotated[int, Field(ge=1)] = 20,
        window: Annotated[int, Field(ge=2)] = 20,
        per: Per = "image",
        round: bool = True,  # noqa: A002
        fresh: bool = True,
    ) -> None:
        self.base, self.copies, self.window = built(base), copies, window
        self.per: Per = per
        self.round, self.fresh = round, fresh

    @property
    def spacing(self) -> int | None:
        """Distance of two frames that the base sampler asks for."""
        return getattr(self.base, "spacing", None)

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the copies, frame by frame, in the order of the base sampler.

        Raises:
            DataError: what the base sampler refuses; or a video has one frame, which varies over
                nothing.
            UsageError: the base sampler changes frames itself.
        """

        def make(video: Video, index: int, copy: int) -> Noise:
            start, frames = self._window(video, index, ctx.length(video))
            return Noise(
                video.name, start, frames, self.per, self.round, self.fresh, ctx.seed, copy
            )

        return copied(self.base, self.copies, videos, ctx, make)

    def _window(self, video: Video, index: int, length: int) -> tuple[int, int]:
        if length < 2:
            raise DataError(
                "noise cannot be measured over a one-frame window, the video has 1 frame",
                where=f"video {video.name} frame {index}",
                hint="leave the video out, or use the sampler augmented",
            )
        frames = min(self.window, length)
        return min(index, length - frames), frames
