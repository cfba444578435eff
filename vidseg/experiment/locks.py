"""One process at a time works on a cell of a ledger.

A lock is an empty file that stays in the cell's folder, held by ``flock``: the kernel releases it
when its holder ends, however that was, and the next process takes over the work folder with its
checkpoints. Network file systems: NFS (version 4, or 3 with a lock daemon) and SMB hold such locks
between machines, and a machine that vanished keeps them until its lease ends. A mount whose locks
are its own (``nolock``, ``local_lock=flock``) excludes processes of one machine only: give each
machine a ledger then. Where a file system has no locks at all, a file that exists stands for the
lock (:class:`filelock.SoftFileLock`), or cells are done without, as the system answers.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from vidseg.errors import StoreError
from vidseg.utils.progress import Progress

POLL_SECONDS = 0.2
UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def hold(
    files: Iterable[Path], label: str, progress: Progress, stop: Callable[[], None]
) -> Iterator[None]:
    """Hold locks for the length of a ``with`` block; other holders are waited for.

    Processes that want several locks take them in one order, so that none waits for ever.

    Args:
        files: the locks, in folders that exist.
        label: what progress calls the work that waits.
        progress: where to tell that it waits.
        stop: raises when the user asked to stop; called while waiting.

    Raises:
        StoreError: a lock cannot be made.
    """
    with contextlib.ExitStack() as held:
        for file in sorted(set(files)):
            held.enter_context(_held(file, label, progress, stop))
        yield


@contextlib.contextmanager
def _held(file: Path, label: str, progress: Progress, stop: Callable[[], None]) -> Iterator[None]:
    lock = FileLock(file)
    try:
        if not _taken(lock, 0):
            with progress.task(f"{label}: another process does it, waiting", None):
                while not _taken(lock, POLL_SECONDS):
                    stop()
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in UNSUPPORTED:
            raise StoreError(
                f"cannot be written: {error.strerror or error}",
                where=file,
                hint="name another folder with --ledger or VIDSEG_LEDGER",
            ) from error
    try:
        yield
    finally:
        lock.release()


def _taken(lock: FileLock, timeout: float) -> bool:
    try:
        lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS / 4)
    except Timeout:
        return False
    return True
