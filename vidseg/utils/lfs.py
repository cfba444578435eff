"""Pointers that Git LFS leaves where the file itself was not fetched."""

from __future__ import annotations

from pathlib import Path

_BEGINNING = b"version https://git-lfs"

HINT = "fetch the file itself: git lfs pull"


def is_lfs_pointer(file: Path) -> bool:
    """Return whether ``file`` holds a pointer of Git LFS instead of its content."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False
