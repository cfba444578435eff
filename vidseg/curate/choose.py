"""From footage to the frames worth labelling, by the samplers of experiments."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vidseg import plugins
from vidseg.curate.looked import Looked, context
from vidseg.errors import DataError, PluginError, UsageError
from vidseg.plugins.signature import parameters
from vidseg.plugins.spec import Spec
from vidseg.samplers.k_center import KCenter, farthest_first
from vidseg.types import FrameRef

DEFAULT_N = 20
COUNTS = ("n", "most")
"""Parameters of samplers that say how many frames of a video they take."""


def with_count(sampler: Spec, n: int | None, *, where: str) -> Spec:
    """Return the resolved sampler that takes ``n`` frames of each video, or all of a shorter one.

    Args:
        sampler: as it was given.
        n: None leaves what the spec says, and 20 where it says nothing of ``n``.
        where: option that names the sampler, for errors.

    Raises:
        PluginError: what the sampler refuses.
        UsageError: it takes no number, or was given one already, or it needs labels.
    """
    found = plugins.load(plugins.find("sampler", sampler.name))
    if getattr(found, "oracle", False):
        raise UsageError(
            f"the sampler {sampler.name} chooses by labels, and there are none",
            where=where,
            hint="choose another, such as k-center",
        )
    bound = plugins.bind("sampler", sampler, where=where)
    params, names = dict(bound.params), [one.name for one in parameters(found)]
    count = next((name for name in COUNTS if name in names), None)
    if n is not None:
        if count is None or count in params:
            what = "takes no number of frames" if count is None else f"has {count} already"
            raise UsageError(f"the sampler {sampler} {what}", where=where, hint="leave out n")
        params[count] = n
    elif count == "n":
        params.setdefault("n", DEFAULT_N)
    if "short" in names:
        params.setdefault("short", "all")
    return plugins.resolve("sampler", Spec(bound.name, None, params), where=where)


def all_of_short_videos(sampler: Spec) -> Spec:
    """Return a resolved sampler that takes all frames of a video shorter than its setting."""
    params = {**sampler.params, "short": "all"} if "short" in sampler.params else sampler.params
    return Spec(sampler.name, sampler.positional, params)


def without_count(sampler: Spec, *, where: str) -> Spec:
    """Return a sampler that is given its number of frames later.

    Raises:
        PluginError: what the sampler refuses.
        UsageError: it takes no number, or was given one already, or it needs labels.
    """
    with_count(sampler, 1, where=where)
    return plugins.bind("sampler", sampler, where=where)


def choose(
    videos: Sequence[Looked], sampler: Spec, seed: int
) -> tuple[dict[str, list[int]], dict[str, DataError]]:
    """Return the frames of each video, ascending, and why others have none, both by name.

    Copies that a sampler makes of a frame are that frame once.
    """
    made, ctx = plugins.create("sampler", sampler), context(list(videos), seed)
    chosen: dict[str, list[int]] = {}
    faults: dict[str, DataError] = {}
    for looked in videos:
        try:
            refs = made.sample([looked.footage], ctx)
        except DataError as error:
            faults[looked.name] = error
            continue
        chosen[looked.name] = _distinct(refs, looked, sampler)
    return chosen, faults


def _distinct(refs: Sequence[FrameRef], looked: Looked, sampler: Spec) -> list[int]:
    """Return the frames that a sampler gave, ascending, each once.

    Raises:
        PluginError: one does not exist; names the sampler's package.
    """
    found = sorted({int(ref.index) for ref in refs})
    if found and not 0 <= found[0] <= found[-1] < looked.length:
        blame = plugins.find("sampler", sampler.name).blame
        raise PluginError(
            f"the {blame} takes frame {found[-1] if found[0] >= 0 else found[0]}, the video has "
            f"{looked.length}",
            where=f"video {looked.name}",
        )
    return found


def choose_total(
    videos: Sequence[Looked], sampler: Spec, seed: int, total: int
) -> tuple[dict[str, list[int]], dict[str, DataError]]:
    """Return ``total`` frames of all videos together, as :func:`choose` does.

    ``k-center`` takes the frames that are far apart whatever their video; two videos of one scene
    share their frames. Of other samplers each video has a part in proportion to its length.

    Args:
        videos: to choose from.
        sampler: without a number of frames.
        seed: of random samplers.
        total: frames of all videos together.

    Raises:
        UsageError: the sampler takes no number of frames.
    """
    if plugins.load(plugins.find("sampler", sampler.name)) is KCenter:
        return _far_apart(videos, total), {}
    chosen: dict[str, list[int]] = {}
    faults: dict[str, DataError] = {}
    parts = shares([looked.length for looked in videos], total)
    for looked, count in zip(videos, parts, strict=True):
        chosen[looked.name] = []
        if count:
            own = with_count(sampler, count, where="total")
            frames, fault = choose([looked], own, seed)
            chosen |= frames
            faults |= fault
    return {name: own for name, own in chosen.items() if name not in faults}, faults


def _far_apart(videos: Sequence[Looked], total: int) -> dict[str, list[int]]:
    points = np.concatenate([looked.pooled for looked in videos])
    starts = np.cumsum([0, *(looked.length for looked in videos)])
    rows = np.sort(farthest_first(points, min(total, len(points))))
    return {
        looked.name: [int(row - starts[i]) for row in rows if starts[i] <= row < starts[i + 1]]
        for i, looked in enumerate(videos)
    }


def shares(lengths: Sequence[int], total: int) -> list[int]:
    """Return how many frames of each video make ``total``: by length, largest remainders first.

    No video gives more than it has.
    """
    frames = sum(lengths)
    exact = [min(total, frames) * length / frames for length in lengths]
    parts = [math.floor(share) for share in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: min(total, frames) - sum(parts)]:
        parts[i] += 1
    return parts
