"""The folder of the store: where entries are, how they are written, found and removed.

Entries are ``<root>/<kind>/<hash>/<thousand>/<frame>.vse``. Nothing but such files (and temporary
files with our own ending) is ever removed, so a root that holds other things is safe.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import psutil

from vidseg.errors import StoreError
from vidseg.utils.bytes import format_bytes

KINDS = ("frames", "features", "masks")
SUFFIX = ".vse"
TEMPORARY = ".vse-tmp"
ADVICE = "choose another folder (VIDSEG_STORE or --store)"

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_DAY = 86400.0
_TEMPORARY_NAME = re.compile(
    rf"\d+\.(?P<host>[0-9a-f]{{8}})\.(?P<pid>\d+)\.[0-9a-f]+{re.escape(TEMPORARY)}"
)


class DiskFull(Exception):  # noqa: N818 - the caller makes room and tries again
    """No space left for an entry; nothing half-written was left behind."""


class StoreFile(NamedTuple):
    """A file of the store.

    Attributes:
        kind: one of :data:`KINDS`.
        path: where it is.
        nbytes: its size.
        used: when it was last used, seconds since the epoch.
        stale: a temporary file whose writer is gone.
        entry: False for temporary files.
    """

    kind: str
    path: str
    nbytes: int
    used: float
    stale: bool
    entry: bool


def write(path: Path, pieces: Sequence[memoryview], root: Path) -> None:
    """Write an entry so that a reader finds all of it or nothing.

    There is no fsync: after a power failure the checksum finds what did not reach the disk.

    Raises:
        DiskFull: there was no space.
        StoreError: the folder cannot be written.
    """
    name = f"{path.stem}.{_HOST}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}"
    temporary = path.with_name(name)
    try:
        with _removed_on_failure(temporary), _create(temporary) as file:
            for piece in pieces:
                file.write(piece)
            file.close()
            temporary.replace(path)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull from error
        raise unusable(root, error) from error


def _create(path: Path) -> BufferedWriter:
    # A concurrent prune may remove the empty folder between mkdir and open.
    for _ in range(10):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return path.open("xb")
    return path.open("xb")


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def remove(path: str | Path) -> bool:
    """Remove a file; return False when it is gone already or cannot be removed."""
    try:
        Path(path).unlink()
    except OSError:
        return False
    return True


def scan(root: Path) -> Iterator[StoreFile]:
    """Yield the files of the store, links not followed. A file that vanishes meanwhile is skipped.

    Raises:
        StoreError: the folder exists and cannot be listed.
    """
    for kind in KINDS:
        yield from _scan(root, kind, root / kind)


def _scan(root: Path, kind: str, folder: str | Path) -> Iterator[StoreFile]:
    try:
        with os.scandir(folder) as items:
            for item in items:
                if item.is_dir(follow_symlinks=False):
                    yield from _scan(root, kind, item.path)
                elif item.is_file(follow_symlinks=False):
                    yield from _found(kind, item)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise unusable(root, error) from error


def _found(kind: str, item: os.DirEntry[str]) -> Iterator[StoreFile]:
    entry = item.name.endswith(SUFFIX)
    if not entry and not item.name.endswith(TEMPORARY):
        return
    with contextlib.suppress(FileNotFoundError):
        stat = item.stat(follow_symlinks=False)
        stale = not entry and _abandoned(item.name, time.time() - stat.st_mtime)
        yield StoreFile(kind, item.path, stat.st_size, stat.st_mtime, stale, entry)


def _abandoned(name: str, age: float) -> bool:
    """Return whether a temporary file is left over: its process is gone, or it is a day old."""
    match = _TEMPORARY_NAME.fullmatch(name)
    gone = match and match["host"] == _HOST and not psutil.pid_exists(int(match["pid"]))
    return age > _DAY or bool(gone)


def remove_empty_folders(root: Path) -> None:
    """Remove the folders of the store that hold nothing; ones in use refuse by themselves."""
    for kind in KINDS:
        for folder, _, _ in os.walk(root / kind, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def unusable(root: Path, error: OSError) -> StoreError:
    """Return the error that says which folder cannot be used, why, and what to do."""
    reason = error.strerror or type(error).__name__
    return StoreError(f"the store cannot be used: {reason}", where=root, hint=ADVICE)


def disk_full(root: Path, needed: int) -> StoreError:
    """Return the error that says which disk is full, and what to do."""
    return StoreError(
        f"the disk is full: {format_bytes(needed)} do not fit",
        where=root,
        hint=f"free some space, run `vidseg store prune`, or {ADVICE}",
    )
