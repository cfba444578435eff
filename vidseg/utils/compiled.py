"""Compiles loops over arrays with Numba, when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return ``function`` compiled by ``numba.njit``, kept on disk where a place can be written."""
    from numba import njit

    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for the cache is writable
        return njit(**options)(function)  # type: ignore[no-any-return]
