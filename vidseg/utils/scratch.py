"""Temporary folders that a killed process leaves only until the next one makes one.

Each is locked as long as its process lives, or one that was forked from it: the kernel releases the
lock however they end. A folder that nobody holds is stale; the first folder of a process is made
after these are removed. Where folders cannot be locked, none is removed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "vidseg-scratch-"
_NAME = re.compile(PREFIX + r"[a-z0-9_]{8}")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder in the system's temporary folder, removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    remove_stale(tempfile.gettempdir())
    folder, lock = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@functools.cache
def remove_stale(place: str) -> None:
    """Remove the folders that killed processes of this user left; once in a process.

    Args:
        place: the folder that they are in.
    """
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                _remove(Path(entry.path))


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _made() -> tuple[Path, int | None]:
    """Return a new folder and its lock, None where folders cannot be locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            return folder, _locked(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # before it was locked another process took it for a stale one


def _locked(folder: Path) -> int | None:
    """Return a descriptor that locks a folder of this user, None where that cannot be done.

    Raises:
        BlockingIOError: another descriptor locks it.
        FileNotFoundError: it is gone.
        OSError: it cannot be opened.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, there = os.fstat(lock), folder.lstat()
        if held.st_ino == there.st_ino and held.st_uid == os.getuid():
            return lock
    except (BlockingIOError, FileNotFoundError):
        os.close(lock)
        raise
    except OSError:  # no locks on this file system
        pass
    os.close(lock)
    return None
