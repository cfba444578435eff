"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path


def user_path(text: str | Path) -> Path:
    """Return a path with a leading ``~`` or ``~user`` put in; an unknown user stands for itself."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
