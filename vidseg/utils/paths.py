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


def path_below(root: Path, name: str) -> Path | None:
    """Return the path that a name in a data file means below ``root``, or None where it leaves it.

    Both kinds of slash separate folders. Links below ``root`` are the user's own and are followed.

    Args:
        root: a folder.
        name: a relative path, such as ``images/0001.jpg``.
    """
    given = name.replace("\\", "/")
    parts: list[str] = []
    for part in given.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    absolute = given.startswith(("/", "~")) or given[1:2] == ":" or "\0" in given
    return None if absolute or not parts else root.joinpath(*parts)
