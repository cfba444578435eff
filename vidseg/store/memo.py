"""Small facts about content that cost a decoding to find, such as a clip's true length."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

FOLDER = "facts"


class FactCache:
    """Facts by key, one JSON file each; satisfies :class:`vidseg.types.Memory`.

    Nothing depends on them: a fact that is absent, damaged or cannot be written is found again.

    Args:
        root: folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def get(self, key: str) -> Any:
        """Return what was put under ``key``, or None."""
        try:
            held = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held.get("value") if isinstance(held, dict) and held.get("key") == key else None

    def put(self, key: str, value: Any) -> None:
        """Keep ``value``, which JSON can hold, under ``key``; in vain where that cannot be."""
        path = self._path(key)
        temporary = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps({"key": key, "value": value}), encoding="utf-8")
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in (*self._folder.glob("??"), self._folder):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self._folder / name[:2] / f"{name[2:]}.json"
