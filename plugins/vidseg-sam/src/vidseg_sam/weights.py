"""Where weights are: in a folder, or in a model hub."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 5.0
"""Seconds that the hub has to answer before anything is downloaded."""


def locate(weights: str) -> Path:
    """Return the folder that holds a model: ``config.json``, safetensors, the processor's files.

    Args:
        weights: a folder, or ``owner/name`` in the hub; what was downloaded once is not asked for.

    Raises:
        ValueError: there is neither, or the hub cannot be reached.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(f"weights={weights}: the folder holds no config.json")
        return folder.resolve()
    if folder.is_absolute() or weights.startswith((".", "~")) or weights.count("/") != 1:
        raise ValueError(f"weights={weights}: there is no such folder, and no hub has such a name")
    return _from_hub(weights)


def _from_hub(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except Exception:  # not there yet, or not whole
        pass
    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("it is switched off (HF_HUB_OFFLINE)")
        _knock(constants.ENDPOINT)
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"weights={name} cannot be had from the model hub: {reason}; give the folder of a "
            "download, weights=PATH"
        ) from error


def _knock(address: str) -> None:
    """Ask the hub for anything, so that a network without it does not cost minutes.

    Raises:
        OSError: it does not answer.
    """
    request = urllib.request.Request(address, method="HEAD")
    with contextlib.suppress(urllib.error.HTTPError):  # it answers
        urllib.request.urlopen(request, timeout=PATIENCE).close()


@functools.lru_cache(maxsize=8)
def content_key(folder: Path) -> str:
    """Return a hash of the model's files, whatever the folder is called."""
    found = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        found.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
