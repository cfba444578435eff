"""Keeps thread pools from fighting over the cores; call it before numpy or torch is imported."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SIZES = (1 << 30, 1 << 25)
"""Bytes up to which the heap serves an allocation: what is wanted, and the most of an old glibc."""


def configure_threads() -> None:
    """Let idle threads sleep, and numpy's BLAS be single beside torch; the user's settings win.

    OpenMP threads that spin while they wait take the core from whoever they wait for as soon as
    the machine does anything else: on two busy cores, features of one image took 600 ms instead of
    40. Sleeping ones cost nothing measurable on a quiet machine. All large products are torch's,
    and numpy's pool beside it would stall both.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_freed_pages()


def keep_freed_pages() -> None:
    """Let glibc keep the pages of freed arrays for the next ones; other libraries are left alone.

    A new map of activations that the system has to clear, page by page, costs a fifth of a forward.
    The process keeps what it needed at most; the user's ``MALLOC_MMAP_THRESHOLD_`` wins.
    """
    if sys.platform != "linux" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    with contextlib.suppress(AttributeError, OSError):  # musl has no such function
        mallopt = ctypes.CDLL(None).mallopt
        if any(mallopt(_MMAP_THRESHOLD, size) for size in _SIZES):
            mallopt(_TRIM_THRESHOLD, 2**31 - 1)
