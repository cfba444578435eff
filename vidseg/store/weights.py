"""Weights files of backbones: kept by hash when a model is made, found by it when one is used.

A logged model holds its head only; the backbone's weights are a file of the user's or of a
library's cache. The model names that file by its sha256, so that it is found wherever it went.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidseg.errors import DataError
from vidseg.extractors.weights import file_sha256
from vidseg.store import default_root
from vidseg.utils.paths import user_path

WEIGHTS_VARIABLE = "VIDSEG_WEIGHTS"
FOLDER = "weights"
"""Folder of the store that holds links to weights files, named by their hash."""


def described(info: dict[str, str]) -> dict[str, Any]:
    """Return what a model records of its weights file: path, sha256, and its length in bytes."""
    return {**info, "bytes": Path(info["path"]).stat().st_size} if info else {}


def keep(info: dict[str, str], store: Path) -> None:
    """Link a weights file into the store, so that it is found when it was moved or renamed.

    A hard link takes no disk. Where the file system allows none, nothing is kept: a copy would
    be half a gigabyte for VGG16.

    Args:
        info: ``{"path":..., "sha256":...}``, or ``{}``.
        store: the store's root.
    """
    if not info:
        return
    file = Path(info["path"])
    link = store / FOLDER / f"{info['sha256']}{file.suffix}"
    with contextlib.suppress(OSError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(file.resolve())


def find(sha256: str, recorded: Path, nbytes: int | None = None) -> Path:
    """Return a file with these bytes.

    It is looked for where it was; in the store; in the files and folders that ``VIDSEG_WEIGHTS``
    names, separated as in ``PATH`` and searched deeply, files of the recorded name first; and in
    the caches of torch and of the Hugging Face hub.

    Args:
        sha256: hash of the file, hexadecimal.
        recorded: where it was.
        nbytes: its length, where known; spares the hashing of others.

    Raises:
        DataError: there is none; names the hash, where it looked, and what to set.
    """
    for path in _candidates(sha256, recorded):
        if _is(path, sha256, nbytes):
            return path
    looked = [str(recorded), str(default_root() / FOLDER), *map(str, _caches())]
    named = os.environ.get(WEIGHTS_VARIABLE)
    looked += [f"{WEIGHTS_VARIABLE}={named}" if named else f"{WEIGHTS_VARIABLE}, which is not set"]
    raise DataError(
        f"no weights file with sha256 {sha256} ({recorded.name}); looked at {', '.join(looked)}",
        where="the model's extractor",
        hint=f"set {WEIGHTS_VARIABLE} to that file or to a folder that holds it",
    )


def _is(path: Path, sha256: str, nbytes: int | None) -> bool:
    try:
        if not path.is_file() or (nbytes is not None and path.stat().st_size != nbytes):
            return False
        return file_sha256(path) == sha256
    except (OSError, DataError):
        return False  # unreadable: another place may have it


def _candidates(sha256: str, recorded: Path) -> Iterator[Path]:
    yield recorded
    yield default_root() / FOLDER / f"{sha256}{recorded.suffix}"
    for named in filter(None, os.environ.get(WEIGHTS_VARIABLE, "").split(os.pathsep)):
        place = user_path(named)
        yield place
        found = sorted(place.rglob(f"*{recorded.suffix}")) if place.is_dir() else []
        yield from sorted(found, key=lambda path: path.name != recorded.name)
    for cache in _caches():
        # torch ends a name with the hash's first eight digits; the hub's files are links to a blob
        # that is named by all of them
        yield from sorted(cache.glob(f"*-{sha256[:8]}.*"))
        links = cache.glob(f"models--*/snapshots/*/*{recorded.suffix}")
        yield from (link for link in sorted(links) if link.resolve().name == sha256)


def _caches() -> list[Path]:
    """Return the folders into which torch and the Hugging Face hub download."""
    home = user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    torch = user_path(os.environ.get("TORCH_HOME") or home / "torch")
    hugging = user_path(os.environ.get("HF_HOME") or home / "huggingface")
    hub = user_path(os.environ.get("HF_HUB_CACHE") or hugging / "hub")
    return [torch / "hub" / "checkpoints", hub]
