"""How much the store may hold, and what leaves first when it is full."""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from vidseg.store import files
from vidseg.utils.bytes import format_bytes

_RETRY_SECONDS = 30.0


class Quota:
    """Keeps the store under its limit by removing the entries that were unused the longest.

    Entries that this process has used stay: it would need them again.

    Args:
        root: folder of the store.
        limit: bytes, or None for half of what is free beside the store.
        notes: gets one line when an entry could not be kept.

    Attributes:
        root: folder of the store.
    """

    def __init__(self, root: Path, limit: int | None, notes: list[str]) -> None:
        self.root, self._limit, self._notes = root, limit, notes
        self._used: set[str] = set()
        self._idle: deque[files.StoreFile] = deque()
        self._total = self._since_scan = 0
        self._scanned = False
        self._retry_at = 0.0

    @property
    def limit(self) -> int:
        """Bytes that the store may hold. Half of the free disk, unless it was stated."""
        if self._limit is None:
            held = self._total if self._scanned else sum(f.nbytes for f in files.scan(self.root))
            self._limit = (free_space(self.root) + held) // 2
        return self._limit

    def use(self, path: Path) -> None:
        """Mark the entry as used, in this process and, by the file's time, for others."""
        text = str(path)
        if text in self._used:
            return
        self._used.add(text)
        try:
            os.utime(path)
        except OSError:
            return  # a store that can only be read has no order to keep

    def reserve(self, nbytes: int) -> bool:
        """Free ``nbytes`` below the limit; return False, and note it once, when that fails."""
        if not self._scanned or self._since_scan > self.limit // 100:
            self._scan()
        if self._total + nbytes <= self.limit or self._evict(nbytes):
            return True
        if time.monotonic() < self._retry_at:
            return False
        self._scan()  # other processes may have removed or added entries
        if self._total + nbytes <= self.limit or self._evict(nbytes):
            return True
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._note()
        return False

    def add(self, path: Path, nbytes: int) -> None:
        """Count a new entry."""
        self._used.add(str(path))
        self._total += nbytes
        self._since_scan += nbytes

    def free(self, nbytes: int) -> bool:
        """Remove unused entries of at least ``nbytes``, for a disk that is full below the limit."""
        self._scan()
        return self._remove_idle(lambda freed: freed >= nbytes)

    def _note(self) -> None:
        line = (
            f"the store {self.root} has reached its limit of {format_bytes(self.limit)}: what "
            "does not fit is computed again when needed; raise VIDSEG_STORE_LIMIT to keep more"
        )
        if line not in self._notes:
            self._notes.append(line)

    def _scan(self) -> None:
        found = list(files.scan(self.root))
        for item in found:
            if item.stale:
                files.remove(item.path)
        found = [item for item in found if not item.stale]
        idle = [item for item in found if item.entry and item.path not in self._used]
        self._idle = deque(sorted(idle, key=lambda item: item.used))
        self._total, self._since_scan = sum(item.nbytes for item in found), 0
        self._scanned = True

    def _evict(self, nbytes: int) -> bool:
        if nbytes > self.limit:
            return False
        excess = self._total + nbytes - self.limit
        return self._remove_idle(lambda freed: freed >= excess)

    def _remove_idle(self, enough: Callable[[int], bool]) -> bool:
        freed = 0
        while not enough(freed) and self._idle:
            item = self._idle.popleft()
            if item.path in self._used or _used_since(item):
                continue
            if files.remove(item.path):
                freed += item.nbytes
                self._total -= item.nbytes
        return enough(freed)


def _used_since(item: files.StoreFile) -> bool:
    try:
        return Path(item.path).stat().st_mtime != item.used
    except OSError:
        return True


def free_space(path: Path) -> int:
    """Return the free bytes of the disk that ``path`` lies on or would lie on."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free
