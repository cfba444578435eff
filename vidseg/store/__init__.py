"""Frames, features and refined masks, computed once: on disk, named by content, safe to share.

Every entry is one file, written under a temporary name and then renamed, with a checksum that is
compared when a process first reads it. A damaged entry is removed and computed again. Racing
writers of one key write the same bytes, so several processes may share a store without locks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidseg.errors import StoreError
from vidseg.store import files
from vidseg.store.descriptors import Floats, StoredDescriptors
from vidseg.store.fact_cache import FactCache
from vidseg.store.features import StoredFeatures
from vidseg.store.frames import StoredFrames
from vidseg.store.masks import StoredMasks
from vidseg.store.quota import Quota
from vidseg.types import Features, Size, Video
from vidseg.utils.bytes import parse_bytes
from vidseg.utils.paths import user_path

if TYPE_CHECKING:
    from vidseg.extractors.frozen import FrozenExtractor

__all__ = [
    "Store",
    "StoreInfo",
    "StoredDescriptors",
    "StoredFeatures",
    "StoredFrames",
    "StoredMasks",
    "Usage",
]


class Usage(NamedTuple):
    """A number of entries, and their bytes."""

    entries: int
    nbytes: int


class StoreInfo(NamedTuple):
    """What a store holds.

    Attributes:
        root: its folder.
        limit: bytes that it may hold.
        frames, features, masks: entries of each kind.
        temporary: files that are being written, or were when their writer died.
    """

    root: Path
    limit: int
    frames: Usage
    features: Usage
    masks: Usage
    temporary: Usage

    @property
    def entries(self) -> int:
        """Number of entries."""
        return self.frames.entries + self.features.entries + self.masks.entries

    @property
    def nbytes(self) -> int:
        """Bytes on disk, temporary files included."""
        parts = (self.frames, self.features, self.masks, self.temporary)
        return sum(part.nbytes for part in parts)


class Store:
    """The store of frames and features. Opening it touches no disk.

    Args:
        root: its folder; None takes the environment's ``VIDSEG_STORE``, else the user's cache.
        limit: bytes that it may hold; None takes ``VIDSEG_STORE_LIMIT`` (such as ``20GB``), else
            half of the space that is free beside it.

    Attributes:
        root: its folder.
        notes: what the user should see once, such as a limit that was reached.
        fact_cache: what is known about content, such as a clip's true length.

    Raises:
        UsageError: ``VIDSEG_STORE_LIMIT`` is not a size.
    """

    def __init__(self, root: Path | None = None, *, limit: int | None = None) -> None:
        self.root = user_path(root).absolute() if root is not None else default_root()
        self.notes: list[str] = []
        if limit is None and (text := os.environ.get("VIDSEG_STORE_LIMIT", "").strip()):
            limit = parse_bytes(text, where="VIDSEG_STORE_LIMIT")
        self._limit = limit
        self._quota = Quota(self.root, limit, self.notes)
        self.fact_cache = FactCache(self.root)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the place and the limit; what was verified here is verified again there."""
        return partial(Store, limit=self._limit), (self.root,)

    def frames(self, video: Video, size: Size | None) -> StoredFrames:
        """Return the frames of ``video`` at ``size``, None for native."""
        return StoredFrames(video, size, self._quota)

    def features(
        self, video: Video, extractor: FrozenExtractor, frames: StoredFrames, *, keep: bool = True
    ) -> StoredFeatures:
        """Return the features of ``video``'s ``frames``.

        Args:
            video: the video that ``frames`` belong to.
            extractor: computes what is not kept.
            frames: the images, at the size that the extractor sees.
            keep: store what is computed.

        Raises:
            ValueError: ``frames`` belong to another video.
        """
        if frames.video.image_key != video.image_key:
            raise ValueError(f"the frames are those of {frames.video.name}, not of {video.name}")
        return StoredFeatures(frames, extractor, keep, self._quota)

    def descriptors(
        self, features: StoredFeatures, measure: Callable[[Features], Floats], name: str
    ) -> StoredDescriptors:
        """Return a vector for each frame, which ``measure`` makes of its features.

        Args:
            features: of the frames; they need not be kept.
            measure: makes ``float64 (C,)`` of one frame's features.
            name: of the measure, with its version.
        """
        return StoredDescriptors(features, measure, name, self._quota)

    def masks(self, key: str, size: Size) -> StoredMasks:
        """Return the masks that are kept under ``key`` at ``size``."""
        return StoredMasks(key, size, self._quota)

    def info(self) -> StoreInfo:
        """Return what the store holds; a folder that does not exist holds nothing.

        Raises:
            StoreError: the folder cannot be read, or is a file.
        """
        found = list(self._scan())
        frames, features, masks = (
            _usage(item for item in found if item.entry and item.kind == kind)
            for kind in files.KINDS
        )
        temporary = _usage(item for item in found if not item.entry)
        return StoreInfo(self.root, self._quota.limit, frames, features, masks, temporary)

    def prune(self, *, max_bytes: int | None = None, older_than: float | None = None) -> Usage:
        """Remove entries, and what killed writers left behind.

        Args:
            max_bytes: then remove the longest unused until no more than this is left.
            older_than: remove what was not used for this many seconds.

        Returns:
            The number of removed files, and their bytes.

        Raises:
            StoreError: the folder cannot be read, or is a file.
        """
        now = time.time()
        found = sorted(self._scan(), key=lambda item: item.used)
        unwanted = [item for item in found if item.stale]
        entries = [item for item in found if item.entry]
        excess = sum(item.nbytes for item in entries) - (max_bytes or 0)
        for item in entries:
            old = older_than is not None and now - item.used > older_than
            if old or (max_bytes is not None and excess > 0):
                unwanted.append(item)
                excess -= item.nbytes
        removed = _usage(item for item in unwanted if files.remove(item.path))
        if max_bytes == 0:
            self.fact_cache.clear()
        files.remove_empty_folders(self.root)
        return removed

    def _scan(self) -> Iterable[files.StoreFile]:
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(
                "the store is a file, not a folder", where=self.root, hint=files.ADVICE
            )
        return files.scan(self.root)


def default_root() -> Path:
    """Return ``VIDSEG_STORE``, or ``store`` in the user's cache folder of vidseg."""
    if text := os.environ.get("VIDSEG_STORE", "").strip():
        return user_path(text).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("vidseg") / "store"


def _usage(found: Iterable[files.StoreFile]) -> Usage:
    sizes = [item.nbytes for item in found]
    return Usage(len(sizes), sum(sizes))
