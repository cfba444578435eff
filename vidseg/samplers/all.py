"""All frames of every video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vidseg.samplers.base import SampleContext
from vidseg.types import FrameRef, Video


class All:
    """Take every frame of each video, however many there are."""

    contract: ClassVar[int] = 1

    def __init__(self) -> None:
        """Take no parameter."""

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video."""
        return [ctx.ref(video, index) for video in videos for index in range(ctx.length(video))]
