"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True, alone: bool = False) -> Iterator[Path]:
    """Yield an empty file beside ``path``; it gets that name when the ``with`` block ends.

    It has the permissions that the umask leaves, also where what wrote it made a file of its own.
    After an error it is removed, and ``path`` is as it was.

    Args:
        path: the file; one that is there is replaced.
        sync: write it to the disk before it is renamed, so that it outlives a power failure.
        alone: nobody else writes ``path`` at the same time: the file has the same name every time,
            so what a killed process left behind is written over.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name if alone else secrets.token_hex(8)}.part")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    mode = os.fstat(handle).st_mode & 0o777
    os.close(handle)
    try:
        yield temporary
        temporary.chmod(mode)
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, payload: bytes) -> None:
    """Write a whole file or none: a temporary name beside it, then a rename."""
    with replacing(path) as temporary:
        temporary.write_bytes(payload)


def disk_is_full(error: BaseException) -> bool:
    """Return whether a write failed because the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
