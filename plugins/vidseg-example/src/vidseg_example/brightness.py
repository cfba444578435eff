"""The frames of a video that differ most in brightness: day, dusk, lamps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field


class Brightness:
    """Take ``n`` frames of each video whose mean brightness is spread as widely as can be.

    The darkest frame first, then always the frame whose brightness is farthest from those that
    were taken (the greedy k-center of Gonzalez 1985, in one dimension). It looks at every
    ``step``-th frame, at the experiment's image size. A video of fewer frames gives them all.

    Args:
        n: how many frames of each video.
        step: every how many frames it looks at one.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self, n: Annotated[int, Field(ge=1)] = 20, step: Annotated[int, Field(ge=1)] = 1
    ) -> None:
        self.n, self.step = n, step

    def sample(self, videos: Sequence[Any], ctx: Any) -> list[Any]:
        """Return the frames, video by video, in the order of time.

        Args:
            videos: the training videos.
            ctx: tells the ``labelled`` frames of a video, gives an ``image``, and makes a ``ref``.
        """
        return [ctx.ref(video, index) for video in videos for index in self._chosen(video, ctx)]

    def _chosen(self, video: Any, ctx: Any) -> list[int]:
        indices = ctx.labelled(video)[:: self.step]
        brightness = np.array([ctx.image(video, index).mean() for index in indices])
        return sorted(indices[place] for place in spread(brightness, self.n))


def spread(values: npt.NDArray[np.float64], n: int) -> list[int]:
    """Return the places of up to ``n`` values, the lowest first, each far from those before it."""
    if not len(values):
        return []
    taken = [int(np.argmin(values))]
    distance = np.abs(values - values[taken[0]])
    while len(taken) < min(n, len(values)):
        distance[taken] = -1
        taken.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.abs(values - values[taken[-1]]))
    return taken
