"""So many frames a second of each video, up to a number: what people do without an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from vidseg.errors import DataError
from vidseg.samplers.base import FrameSampler, SampleContext
from vidseg.types import Video


class PerSecond(FrameSampler):
    """Take the frame at every ``1 / rate`` seconds, from the first on, at most ``most`` a video.

    Frame k is ``round(k fps / rate)``. Of a video that has more of them than ``most``, the middle
    ones of ``most`` equal parts are taken, as ``uniform`` does with frames. Where only some frames
    have labels, the labelled frame nearest in time is taken, each once.

    Args:
        rate: frames a second.
        most: at most so many frames of each video.
        fps: frames a second of a video that does not state them; without it such a video is
            refused.
    """

    def __init__(
        self,
        rate: Annotated[float, Field(gt=0)] = 1.0,
        most: Annotated[int, Field(ge=1)] = 100,
        fps: Annotated[float, Field(gt=0)] | None = None,
    ) -> None:
        self.rate, self.most, self.fps = rate, most, fps
        self.setting = f"per-second:rate={rate:g},most={most}"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending.

        Raises:
            DataError: it is not known how many frames a second the video has.
        """
        fps = video.probe().fps or self.fps
        if not fps:
            raise DataError(
                f"the sampler {self.setting} needs the frames per second, which are not known",
                where=f"video {video.name}",
                hint="give them (per-second:fps=25), or take a sampler that counts frames, such as "
                "uniform:n=20",
            )
        frames = nearest(at_rate(ctx.length(video), fps / self.rate), ctx.labelled(video))
        count = min(self.most, len(frames))
        return [frames[(2 * part + 1) * len(frames) // (2 * count)] for part in range(count)]


def at_rate(length: int, step: float) -> list[int]:
    """Return the distinct frames ``round(k step)`` of a video of ``length``; ``step`` > 0."""
    times = np.arange(int((length - 1) / step) + 2) * step
    wanted = np.unique(np.floor(times + 0.5).astype(int))
    return [int(index) for index in wanted if index < length]


def nearest(wanted: Sequence[int], there: Sequence[int]) -> list[int]:
    """Return for each of ``wanted`` the nearest of ``there`` (ascending), each once."""
    if len(there) == 0:
        return []
    known = np.asarray(there)
    after = np.clip(np.searchsorted(known, wanted), 1, max(len(known) - 1, 1))
    before, after = known[after - 1], known[np.minimum(after, len(known) - 1)]
    closer = np.abs(before - wanted) <= np.abs(after - wanted)
    return [int(index) for index in np.unique(np.where(closer, before, after))]
