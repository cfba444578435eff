"""Hashes of plain data and of sources, and plain data itself."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def digest(value: Any, length: int = 32) -> str:
    """Return a hash of plain data (JSON with sorted keys), as ``length`` hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def source_digest(paths: Iterable[Path]) -> str:
    """Return a hash over the Python sources of files and folders (the rooms that a stage uses).

    Read once a process: what runs is what was there when it started.
    """
    return _source_digest(tuple(paths))


@functools.lru_cache(maxsize=64)
def _source_digest(paths: tuple[Path, ...]) -> str:
    files = {
        file
        for path in paths
        for file in ([path] if path.is_file() else path.rglob("*.py"))
        if "__pycache__" not in file.parts
    }
    whole = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.as_posix()):
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:32]


def plain(value: Any) -> Any:
    """Return numpy scalars and arrays, tuples and mappings as plain JSON data."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
