"""The ledger: one atomic file per finished stage of a cell. What resume and report read.

A cell's folder is named by its key; ``fit.json`` with ``fit.safetensors`` (the fitted model) is the
fit stage, ``score-....json`` a score stage. A file that is torn or was altered counts as absent, so
the stage is done again; one that cannot be read does not. Whether a cell is fitted is read from the
small file; the arrays are read, and their hash compared, when the model is wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import StoreError
from vidseg.types import State
from vidseg.utils.files import replacing, write_atomic
from vidseg.utils.hashing import digest
from vidseg.utils.paths import user_path

FORMAT = 1


def default_root() -> Path:
    """Return ``VIDSEG_LEDGER``, or ``ledger`` in the user's data folder."""
    named = os.environ.get("VIDSEG_LEDGER")
    if named:
        return user_path(named)
    import platformdirs

    return Path(platformdirs.user_data_path("vidseg")) / "ledger"


@dataclass(frozen=True)
class StateFile:
    """The arrays of a fitted model, in a file.

    Attributes:
        path: a safetensors file.
        sha256: of its content, in hex.
        nbytes: its length.
    """

    path: Path
    sha256: str
    nbytes: int

    @property
    def intact(self) -> bool:
        """Whether the file is there as it was written."""
        try:
            return _sha256(self.path) == self.sha256
        except OSError:
            return False

    def load(self) -> State | None:
        """Return the arrays, or None when the file is absent, torn or altered.

        Raises:
            StoreError: it cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            before = self.path.stat()
            if _sha256(self.path) != self.sha256:
                return None
            arrays = dict(load_file(self.path))
            # another process may have put a new file in its place in between
            return arrays if self.path.stat().st_ino == before.st_ino else None
        except (FileNotFoundError, SafetensorError):
            return None
        except OSError as error:
            raise _unreadable(error, self.path) from error


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        inputs: what its key was made of.
        result: plain data.
        model: the fitted model of a fit stage; None where it was not kept, or its file is absent or
            of another length.
    """

    inputs: dict[str, Any]
    result: dict[str, Any]
    model: StateFile | None = None


class Ledger:
    """Finished stages on disk.

    Args:
        root: the ledger's folder; made when the first stage is written.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def read(self, key: str, stage: str) -> Stage | None:
        """Return a finished stage, or None when it is absent, torn or altered; reads no array.

        Args:
            key: the cell's key.
            stage: ``fit`` or a score stage.

        Raises:
            StoreError: it may be there and cannot be read, such as another user's file.
        """
        folder = self.folder(key)
        try:
            entry = json.loads((folder / f"{stage}.json").read_text(encoding="utf-8"))
            if entry["format"] != FORMAT or entry["digest"] != digest(entry["body"], 64):
                return None
            body = entry["body"]
            return Stage(body["inputs"], body["result"], _state_file(folder, body))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise _unreadable(error, folder) from error

    def write(self, key: str, stage: str, entry: Stage, state: State | None = None) -> Stage:
        """Keep a finished stage, and return it as it is kept.

        Args:
            key: the cell's key.
            stage: ``fit`` or a score stage.
            entry: inputs and result.
            state: arrays of the fitted model, written before the result that names their hash.

        Raises:
            StoreError: the folder cannot be written, or the disk is full.
        """
        body: dict[str, Any] = {"inputs": entry.inputs, "result": entry.result}
        folder = self.folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if state is not None:
                body |= _write_state(folder / f"{stage}.safetensors", state)
            body = json.loads(json.dumps(body))  # as it will be read: keys are text
            whole = {"format": FORMAT, "digest": digest(body, 64), "body": body}
            write_atomic(folder / f"{stage}.json", json.dumps(whole).encode())
            return Stage(body["inputs"], body["result"], _state_file(folder, body))
        except OSError as error:
            raise StoreError(
                f"cannot be written: {error.strerror or error}",
                where=f"ledger {self.root}",
                hint="free space or name another folder with --ledger or VIDSEG_LEDGER",
            ) from error

    def remove(self, key: str, stage: str) -> None:
        """Forget a finished stage, if it is there.

        Raises:
            StoreError: the folder cannot be written.
        """
        try:
            (self.folder(key) / f"{stage}.json").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot be written: {error.strerror or error}", where=f"ledger {self.root}"
            ) from error

    def folder(self, key: str) -> Path:
        """Return the folder of a cell."""
        if not re.fullmatch(r"[0-9a-f]{16,64}", key):
            raise StoreError(f"{key!r} is no key of a cell", where=f"ledger {self.root}")
        return self.root / key[:2] / key

    def lock(self, key: str) -> Path:
        """Return the lock of a cell (see :mod:`vidseg.experiment.locks`), its folder made.

        Raises:
            StoreError: the folder cannot be made.
        """
        return self._made(self.folder(key)) / "lock"

    def workdir(self, key: str) -> Path:
        """Return (and make) the folder where a fit keeps its checkpoints; the lock's holder's.

        Raises:
            StoreError: it cannot be made.
        """
        return self._made(self.folder(key) / "work")

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot be written: {error.strerror or error}",
                where=f"ledger {self.root}",
                hint="name another folder with --ledger or VIDSEG_LEDGER",
            ) from error
        return folder


def _unreadable(error: OSError, where: Path) -> StoreError:
    return StoreError(
        f"cannot be read: {error.strerror or error}",
        where=error.filename or where,
        hint="make it readable, or name another folder with --ledger or VIDSEG_LEDGER",
    )


def _state_file(folder: Path, body: Mapping[str, Any]) -> StateFile | None:
    """Return where the model of a stage is, None where it has none or the file is torn."""
    if not body.get("model"):
        return None
    path = folder / body["model"]
    try:
        nbytes = path.stat().st_size
    except FileNotFoundError:
        return None
    return StateFile(path, body["sha256"], nbytes) if nbytes == body.get("bytes", nbytes) else None


def _write_state(path: Path, state: State) -> dict[str, Any]:
    """Write the arrays of a model; return what the stage says of them."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        try:
            save_file({name: np.ascontiguousarray(a) for name, a in state.items()}, temporary)
        except SafetensorError as error:  # how it names a full disk as well
            raise OSError(str(error)) from error
        facts = {"sha256": _sha256(temporary), "bytes": temporary.stat().st_size}
    return {"model": path.name, **facts}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
