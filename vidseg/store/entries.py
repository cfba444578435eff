"""The entries of one kind that share a key: one video at one size, or its features."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from vidseg.store import files
from vidseg.store.entry import Array, Buffer, CorruptEntry, Layout, decode, encode
from vidseg.store.quota import Quota

PER_FOLDER = 1000


class EntrySet:
    """Reads and writes the entries of one key.

    Args:
        quota: of the store.
        kind: ``"frames"``, ``"features"`` or ``"masks"``.
        key: what the entries were computed from; only its hash becomes part of a path.
    """

    def __init__(self, quota: Quota, kind: str, key: str) -> None:
        self._quota = quota
        self.key = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._folder = quota.root / kind / self.key[:2] / self.key[2:]
        self._verified: dict[int, tuple[int, int]] = {}

    def path(self, index: int) -> Path:
        """Return the path of entry ``index``, whether or not it exists."""
        return self._folder / str(index // PER_FOLDER) / f"{index}{files.SUFFIX}"

    def layout(self, index: int, dtype: str, shapes: Sequence[tuple[int, ...]]) -> Layout:
        """Return what entry ``index`` must hold."""
        return Layout(f"{self.key}/{index}", dtype, tuple(tuple(shape) for shape in shapes))

    def has(self, index: int, layout: Layout) -> bool:
        """Return whether an entry of the right size exists; its content is checked when read."""
        try:
            size = self.path(index).stat().st_size
        except OSError:
            return False
        return size == layout.offset + layout.nbytes

    def load(self, index: int, layout: Layout) -> tuple[Array, ...] | None:
        """Return the arrays of entry ``index``, or None when it is absent or was corrupt.

        A corrupt entry is removed. The payload's checksum is compared the first time that this
        process reads the file.

        Args:
            index: the entry.
            layout: what it must hold.

        Raises:
            StoreError: the file exists and cannot be read.
        """
        path = self.path(index)
        try:
            payload = self._read(path, index, layout)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except CorruptEntry:
            files.remove(path)
            return None
        except OSError as error:
            raise files.unusable(self._quota.root, error) from error
        self._quota.use(path)
        return layout.views(payload)

    def _read(self, path: Path, index: int, layout: Layout) -> Buffer:
        with path.open("rb", buffering=0) as file:
            stat = os.fstat(file.fileno())
            identity = stat.st_dev, stat.st_ino
            verify = self._verified.get(index) != identity
            payload = decode(file, layout, verify=verify)
        self._verified[index] = identity
        return payload

    def save(self, index: int, layout: Layout, arrays: Sequence[Array]) -> bool:
        """Write entry ``index``; return False when it would exceed the store's limit.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        pieces, path = encode(layout, arrays), self.path(index)
        nbytes = sum(map(len, pieces))
        if not self._quota.reserve(nbytes):
            return False
        try:
            files.write(path, pieces, self._quota.root)
        except files.DiskFull:
            self._write_again(path, pieces, nbytes)
        self._quota.add(path, nbytes)
        return True

    def _write_again(self, path: Path, pieces: Sequence[memoryview], nbytes: int) -> None:
        if not self._quota.free(nbytes):
            raise files.disk_full(self._quota.root, nbytes)
        try:
            files.write(path, pieces, self._quota.root)
        except files.DiskFull as error:
            raise files.disk_full(self._quota.root, nbytes) from error
