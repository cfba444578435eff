"""What a video looks like: exact hashes and local features of a few frames, found once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vidseg.datasets.descriptors import Descriptors, describe, is_flat, pack, unpack
from vidseg.types import Image, Memory, Video

Decode = Callable[[Video, Sequence[int]], Iterable[Image]]

VERSION = 2
"""Part of the memory's keys: raised when other hashes or features are found."""
_HEAD = (0, 1, 2, 4, 8, 16, 32, 64)
_SHARES = (0.1, 0.5, 0.9)


class Features(NamedTuple):
    """Local features of up to three frames: their indices, and what was found in each."""

    indices: list[int]
    pictures: list[Descriptors]


class Looks:
    """Finds hashes and features of videos; each video is decoded once, or never.

    Args:
        decode: returns the frames of a video by ascending index.
        memory: keeps what is found under a video's ``image_key``.
        exact: whether the frames of the exact hashes are decoded as well, in the same pass.
    """

    def __init__(self, decode: Decode, memory: Memory | None, *, exact: bool = True) -> None:
        self._decode = decode
        self._head = _HEAD if exact else ()
        self._memory = memory
        self._features: dict[str, Features] = {}

    def hashes(self, video: Video) -> list[str]:
        """Return exact hashes of the frames 0, 1, 2, 4, ... 64 and those at 10, 50 and 90 %.

        Frames without content (black, fades) are left out.
        """
        held = self._kept("hashes", video)
        return self._find(video) if held is None else list(held)

    def features(self, video: Video) -> Features:
        """Return the local features of the frames at 10, 50 and 90 % of a video."""
        if video.name not in self._features:
            held = self._kept("features", video)
            if held is None:
                self._find(video)
            else:
                self._features[video.name] = Features(held[0], [unpack(each) for each in held[1]])
        return self._features[video.name]

    def _kept(self, kind: str, video: Video) -> Any:
        return None if self._memory is None else self._memory.get(_name(kind, video))

    def _find(self, video: Video) -> list[str]:
        length = video.probe().length
        described = {round(share * (length - 1)) for share in _SHARES} if length else set()
        wanted = sorted(described | {index for index in self._head if index < length})
        hashes, found = [], Features([], [])
        for index, image in zip(wanted, self._decode(video, wanted), strict=True):
            if is_flat(image):
                continue
            content = repr(image.shape).encode() + image.tobytes()
            hashes.append(hashlib.sha256(content).hexdigest())
            if index in described:
                found.indices.append(index)
                found.pictures.append(describe(image))
        self._features[video.name] = found
        if self._memory is not None:
            packed = [found.indices, [pack(each) for each in found.pictures]]
            self._memory.put(_name("features", video), packed)
            if self._head:
                self._memory.put(_name("hashes", video), hashes)
        return hashes


def _name(kind: str, video: Video) -> str:
    return f"{kind} {VERSION} {video.image_key}"
