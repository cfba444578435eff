"""One scene under several names: found by content, so that no split puts it on both sides.

Real collections do this: MOT16-09 and ADL-Rundle-6 are the same frames, and MOT17 holds every
sequence three times. Videos that share a frame are merged into one group; videos that only look
alike are listed, because a person has to decide.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.types import Image, Memory, Video

Decode = Callable[[Video, Sequence[int]], Iterable[Image]]

NEAR_BITS = 8
"""Frames look alike when at most this many of 64 bits differ. Copies that were scaled or compressed
again differ in 0 to 4; different scenes, generated or real, never came below 13 in our trials."""

_VERSION = 1
"""Part of the memory's keys: change it when :func:`_hash_frames` finds something else."""
_HEAD = (0, 1, 2, 4, 8, 16, 32, 64)
_SPREAD = 4
_FLAT = 12


@dataclass(frozen=True)
class SceneReport:
    """What the content check found.

    Attributes:
        groups: final group by video name; videos that share a frame have one group.
        warnings: one line for each video that was merged into another one's group.
        notes: one line for each two groups that look alike and were left apart.
    """

    groups: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def check_scenes(
    videos: Sequence[Video], decode: Decode | None = None, memory: Memory | None = None
) -> SceneReport:
    """Find videos that show one scene under several names.

    Videos share a scene when they have one ``group``, equal ``image_key``, one frame file in
    common (where a video has ``frame_hashes``), or one decoded frame in common among the frames
    0, 1, 2, 4, ... 64 and four evenly spaced ones. Frames without content (black, fade-ins) are
    left out. All of it is transitive; the first video's group names the rest.

    Args:
        videos: all videos of the experiment, whatever data set they come from.
        decode: returns the frames of a video by ascending index, such as the frame store does;
            ``video.frames`` by default. At most 12 frames of a video are asked for, and 3 more of
            one that shares a file with another.
        memory: keeps what a video's frames look like, so that none is decoded the next time.

    Raises:
        DataError: two videos have one name, or a frame cannot be read.
    """
    names = [video.name for video in videos]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"two videos are called {twice[0]!r}", hint="rename one of the folders")
    read = decode or (lambda video, indices: video.frames(indices))
    hashes = [_cached_hashes(video, read, memory) for video in videos]
    sets = _Sets([video.group for video in videos])
    warnings = []
    for first, second, proof in _shared(videos, hashes, read):
        if sets.join(first, second):
            warnings.append(
                f"{names[second]} shows the same pictures as {names[first]} ({proof}): "
                f"both are in group {sets.name(first)}"
            )
    notes = _alike(names, hashes, sets)
    groups = {name: sets.name(i) for i, name in enumerate(names)}
    return SceneReport(groups, tuple(warnings), tuple(notes))


class _FrameHashes(NamedTuple):
    """A few frames of one video: indices, exact hashes and 64-bit perceptual hashes."""

    indices: list[int]
    exact: list[str]
    bits: npt.NDArray[np.uint64]


class _Sets:
    """Disjoint sets of videos; a set is named by the group of its first video."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups
        first: dict[str, int] = {}
        self._root = [first.setdefault(group, video) for video, group in enumerate(groups)]

    def find(self, video: int) -> int:
        while self._root[video] != video:
            video = self._root[video]
        return video

    def join(self, one: int, other: int) -> bool:
        """Merge the sets of two videos; return False where they are one already."""
        low, high = sorted((self.find(one), self.find(other)))
        self._root[high] = low
        return low != high

    def name(self, video: int) -> str:
        return self._groups[self.find(video)]


def _cached_hashes(video: Video, read: Decode, memory: Memory | None) -> _FrameHashes:
    """Return the hashes of a video, from ``memory`` where it has them."""
    if memory is None:
        return _hash_frames(video, read)
    name = f"look {_VERSION} {video.image_key}"
    held = memory.get(name)
    if held is None:
        own = _hash_frames(video, read)
        memory.put(name, [own.indices, own.exact, own.bits.tolist()])
        return own
    indices, exact, bits = held
    return _FrameHashes(indices, exact, np.array(bits, np.uint64))


def _hash_frames(video: Video, read: Decode) -> _FrameHashes:
    length = video.probe().length
    spread = np.linspace(0, length - 1, _SPREAD + 2)[1:-1].astype(int).tolist()
    wanted = sorted({index for index in (*_HEAD, *spread) if index < length})
    indices, exact, bits = [], [], []
    for index, image in zip(wanted, read(video, wanted), strict=True):
        thumb = _thumbnail(image)
        if np.ptp(thumb) > _FLAT:
            indices.append(index)
            exact.append(hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest())
            bits.append(_dhash(thumb))
    return _FrameHashes(indices, exact, np.array(bits, np.uint64))


def _thumbnail(image: Image) -> npt.NDArray[np.int64]:
    """Return the grey picture averaged to 8 rows of 9: ``int64 (8, 9)``."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA), np.int64)


def _dhash(thumb: npt.NDArray[np.int64]) -> int:
    """Return the difference hash (N. Krawetz, 2013): is a cell brighter than its left neighbour."""
    brighter = (thumb[:, 1:] > thumb[:, :-1]).ravel()
    return int.from_bytes(np.packbits(brighter).tobytes(), "big")


def _shared(
    videos: Sequence[Video], hashes: Sequence[_FrameHashes], read: Decode
) -> Iterator[tuple[int, int, str]]:
    """Yield pairs of videos with content in common, and what it is."""
    files: list[Sequence[str]] = [getattr(video, "frame_hashes", ()) for video in videos]
    for first, second in _common([[video.image_key] for video in videos]):
        if hashes[first].exact:
            yield first, second, "all frames are identical"
    for (first, second), common in _common(files).items():
        if _has_content(videos[first], files[first], common, read):
            yield first, second, f"identical frame files: {len(common)} of {len(files[second])}"
    for (first, second), common in _common([own.exact for own in hashes]).items():
        compared = len(hashes[second].exact)
        yield first, second, f"identical frames: {len(common)} of {compared} compared"


def _common(hashes: Sequence[Sequence[str]]) -> dict[tuple[int, int], set[str]]:
    """Return, for each video that holds a hash after another did: (the first one, it)."""
    owner: dict[str, int] = {}
    pairs: dict[tuple[int, int], set[str]] = defaultdict(set)
    for video, own in enumerate(hashes):
        for each in own:
            first = owner.setdefault(each, video)
            if first != video:
                pairs[first, video].add(each)
    return pairs


def _has_content(video: Video, files: Sequence[str], common: set[str], read: Decode) -> bool:
    """Tell whether one of up to three shared frames is more than a flat picture."""
    where = [index for index, file in enumerate(files) if file in common]
    chosen = sorted({where[0], where[len(where) // 2], where[-1]})
    return any(np.ptp(_thumbnail(image)) > _FLAT for image in read(video, chosen))


def _alike(names: Sequence[str], hashes: Sequence[_FrameHashes], sets: _Sets) -> list[str]:
    """Return one note for the nearest two frames of every two groups that look alike."""
    bits = np.array([each for own in hashes for each in own.bits], np.uint64)
    video = np.repeat(np.arange(len(hashes)), [len(own.bits) for own in hashes])
    group = np.array([sets.find(i) for i in range(len(hashes))])[video]
    index = [i for own in hashes for i in own.indices]
    nearest: dict[tuple[int, int], tuple[int, int, int]] = {}
    for row in range(len(bits)):
        differ = np.bitwise_count(bits[row] ^ bits[row + 1 :])
        for column in np.flatnonzero((differ <= NEAR_BITS) & (group[row + 1 :] != group[row])):
            other = row + 1 + int(column)
            pair = (min(group[row], group[other]), max(group[row], group[other]))
            found = (int(differ[column]), row, other)
            nearest[pair] = min(nearest.get(pair, found), found)
    return [
        f"{names[video[a]]} (frame {index[a]}) and {names[video[b]]} (frame {index[b]}) look alike "
        f"({bits_apart} of 64 bits differ): left in two groups, check that they are not one scene"
        for bits_apart, a, b in nearest.values()
    ]
