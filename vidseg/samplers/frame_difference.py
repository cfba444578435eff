"""``n`` frames of each video with equal amounts of change between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidseg.samplers.base import CountSampler, SampleContext
from vidseg.samplers.cache import Floats, measure_once
from vidseg.types import Image, Video

THUMBNAIL = (64, 48)
"""Width and height at which frames are compared: noise and compression average out."""


class FrameDifference(CountSampler):
    """Take the frame at half the change of each of ``n`` parts of each video that change equally.

    Change is the mean absolute difference between successive frames, shrunk to 64x48. Its running
    sum is cut into ``n`` equal parts, as Divakaran, Radhakrishnan and Peker (2002) cut the sum of
    motion activity: many frames where much happens, few where nothing does. A cut in the video
    counts as much change at once; parts that fall into it take the frames that follow it. A video
    without any change gives evenly spaced frames. Change is summed over all frames; where only some
    are labelled, the nearest labelled ones are taken.

    Args:
        n: how many frames of each video.
        short: what to do with a video of fewer frames: ``error``, or take ``all`` that exist.
    """

    name = "frame-difference"

    def choose(self, video: Video, ctx: SampleContext) -> list[int]:
        """Return the frames of one video, ascending."""
        count = self.count(video, ctx)
        first = [ctx.image(video, 0)]
        steps = measure_once("steps", video.image_key, first, lambda: changes(video, ctx))
        return halfway(steps, count, ctx.labelled(video))


def changes(video: Video, ctx: SampleContext) -> Floats:
    """Return the change from each frame to the next, ``float64 (length - 1,)``, in grey levels."""
    ctx.prepare(video)
    steps = np.zeros(ctx.length(video) - 1)
    before = _thumbnail(ctx.image(video, 0))
    for index in range(len(steps)):
        after = _thumbnail(ctx.image(video, index + 1))
        steps[index] = np.abs(after - before).mean()
        before = after
    return steps


def halfway(steps: Floats, count: int, frames: Sequence[int] | None = None) -> list[int]:
    """Return ``count`` distinct frames, ascending, each at half the change of one equal part.

    Args:
        steps: change between successive frames, not negative; one fewer than frames.
        count: at most the number of frames that may be chosen.
        frames: those that may be chosen, ascending; None: all of them.
    """
    chosen = range(len(steps) + 1) if frames is None else frames
    total = np.concatenate([[0.0], np.cumsum(steps if steps.any() else np.ones_like(steps))])
    total = total[np.asarray(chosen)]
    targets = total[0] + (np.arange(count) + 0.5) / count * (total[-1] - total[0])
    nearest = np.searchsorted((total[1:] + total[:-1]) / 2, targets)
    slack = nearest - np.arange(count)  # distinct and ascending: the slack never falls
    places = np.clip(np.maximum.accumulate(slack), 0, len(total) - count) + np.arange(count)
    return [chosen[int(place)] for place in places]


def _thumbnail(image: Image) -> Floats:
    import cv2

    small = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)
