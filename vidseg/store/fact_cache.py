"""Small facts about content that cost a decoding to find, such as a clip's true length."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from vidseg.utils.files import write_atomic

FOLDER = "facts"


class FactCache:
    """Facts by key, one JSON file each; satisfies :class:`vidseg.types.Memory`.

    A fact that is absent, damaged or cannot be written is computed again.

    Args:
        root: folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def get(self, key: str) -> Any:
        """Return the value of ``key``, or None."""
        try:
            held = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held.get("value") if isinstance(held, dict) and held.get("key") == key else None

    def put(self, key: str, value: Any) -> None:
        """Write ``value``, made of what JSON can hold; errors of the disk are ignored."""
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps({"key": key, "value": value}).encode())

    def clear(self) -> None:
        """Remove all facts."""
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in (*self._folder.glob("??"), self._folder):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self._folder / name[:2] / f"{name[2:]}.json"
