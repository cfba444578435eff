"""Which videos of many show one place: pairs compared by local features, each pair once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vidseg.datasets.looks import VERSION, Looks
from vidseg.datasets.near_duplicates import Likeness, compare_all
from vidseg.datasets.shortlist import Shortlist
from vidseg.types import Memory, Video
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop

COMPARE_ALL = 150
"""Up to so many videos every pair is compared; of more, those that a shortlist names."""
Pair = tuple[int, int]


class Alike(NamedTuple):
    """Two videos that look alike: their numbers, how much, and the frames that do most."""

    one: int
    other: int
    likeness: Likeness
    frames: Pair


def find_alike(
    videos: Sequence[Video],
    apart: Callable[[int, int], bool],
    looks: Looks,
    memory: Memory | None,
    progress: Progress,
) -> list[Alike]:
    """Return the pairs of videos that look alike, by ascending numbers.

    Args:
        videos: all videos.
        apart: whether two videos, by number, are not known to be one scene yet.
        looks: finds the features of a video.
        memory: keeps what a pair gave, so that no pair is compared twice.
        progress: where to tell how far it is.
    """
    wanted = [pair for pair in _candidates(videos, looks, memory, progress) if apart(*pair)]
    by_owner: dict[int, list[Pair]] = defaultdict(list)
    for pair in wanted:
        by_owner[min(pair, key=lambda video: videos[video].image_key)].append(pair)
    found = []
    with progress.task("comparing videos that may show one scene", len(wanted)) as bar:
        for owner, pairs in by_owner.items():
            found += _compare(videos, owner, pairs, looks, memory)
            bar.advance(len(pairs))
    return sorted(found)


def _candidates(
    videos: Sequence[Video], looks: Looks, memory: Memory | None, progress: Progress
) -> Iterable[Pair]:
    count = len(videos)
    if count <= COMPARE_ALL:
        return ((one, other) for other in range(count) for one in range(other))
    order = sorted(range(count), key=lambda video: videos[video].image_key)
    keys = "\n".join(videos[video].image_key for video in order)
    name = f"shortlist {VERSION} {hashlib.sha256(keys.encode()).hexdigest()}"
    held = memory.get(name) if memory else None
    if held is None:
        with progress.task("choosing which videos to compare", count) as bar:
            shortlist = Shortlist([looks.features(videos[video]).pictures for video in order])
            held = [list(pair) for pair in shortlist.pairs(bar.advance)]
        if memory is not None:
            memory.put(name, held)
    return sorted(
        (min(pair), max(pair)) for one, other in held if (pair := (order[one], order[other]))
    )


def _compare(
    videos: Sequence[Video], owner: int, pairs: list[Pair], looks: Looks, memory: Memory | None
) -> list[Alike]:
    """Compare a video with others; what is found is kept with the one of the lower key."""
    name = f"alike {VERSION} {videos[owner].image_key}"
    held: dict[str, Any] = (memory.get(name) if memory else None) or {}
    known, found = len(held), []
    for pair in pairs:
        check_stop()
        other = pair[pair[0] == owner]
        key = videos[other].image_key[:32]
        if key not in held:
            held[key] = _likeness(videos[owner], videos[other], looks)
        inliers, cells, is_mirrored, own_frame, frame = held[key] or (0, 0, False, 0, 0)
        likeness = Likeness(inliers, cells, is_mirrored)
        if likeness.listed:
            frames = (own_frame, frame) if pair[0] == owner else (frame, own_frame)
            found.append(Alike(*pair, likeness, frames))
    if memory is not None and len(held) > known:
        memory.put(name, held)
    return found


def _likeness(one: Video, other: Video, looks: Looks) -> list[Any] | None:
    own, its = looks.features(one), looks.features(other)
    likeness, i, j = compare_all(own.pictures, its.pictures)
    return [*likeness, own.indices[i], its.indices[j]] if likeness.listed else None
