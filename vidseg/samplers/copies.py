"""What the samplers share that make changed copies of another sampler's frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from vidseg.errors import UsageError
from vidseg.samplers.base import SampleContext, Sampler
from vidseg.types import FrameRef, Variant, Video

Base = Sampler | int | str
"""A sampler, or the name of one: ``[successive:n=5]``, ``20``, ``1by20``."""


def built(base: Base) -> Sampler:
    """Return the sampler that ``base`` is or names.

    Raises:
        PluginError: there is none of that name.
    """
    from vidseg import plugins

    if not isinstance(base, int | str):
        return base
    made: Any = plugins.create("sampler", base, where="base")
    sampler: Sampler = made
    return sampler


def copied(
    base: Sampler,
    copies: int,
    videos: Sequence[Video],
    ctx: SampleContext,
    make: Callable[[Video, int, int], Variant],
) -> list[FrameRef]:
    """Return ``copies`` changed copies of each frame that ``base`` takes.

    Args:
        base: chooses the frames; one that it takes twice gets twice as many different copies.
        copies: of each frame.
        videos: the training videos.
        ctx: of the sampler.
        make: the variant for (video, frame, number of the copy).

    Raises:
        UsageError: ``base`` changes frames itself.
    """
    by_name = {video.name: video for video in videos}
    made: Counter[tuple[str, int]] = Counter()
    refs = []
    for ref in base.sample(videos, ctx):
        if ref.variant is not None:
            raise UsageError(
                f"copies of {type(ref.variant).__name__} frames cannot be changed again",
                where="base",
                hint="choose a base sampler that takes frames as they are",
            )
        video, place = by_name[ref.video], (ref.video, ref.index)
        for _ in range(copies):
            refs.append(ctx.ref(video, ref.index, make(video, ref.index, made[place])))
            made[place] += 1
    return refs
