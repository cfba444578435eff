"""The ledger: one atomic file per finished stage of a cell. What resume and report read.

A cell's folder is named by its key; ``fit.json`` with ``model.safetensors`` is the fit stage,
``score.json`` the score stage. A file that is torn or was altered counts as absent, so the stage is
done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.errors import StoreError
from vidseg.utils.files import write_atomic
from vidseg.utils.hashing import digest
from vidseg.utils.paths import user_path

State = dict[str, npt.NDArray[Any]]
FORMAT = 1


def default_root() -> Path:
    """Return ``VIDSEG_LEDGER``, or ``ledger`` in the user's data folder."""
    named = os.environ.get("VIDSEG_LEDGER")
    if named:
        return user_path(named)
    import platformdirs

    return Path(platformdirs.user_data_path("vidseg")) / "ledger"


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        inputs: what its key was made of.
        result: plain data.
        state: arrays of the fitted model, for the fit stage.
    """

    inputs: dict[str, Any]
    result: dict[str, Any]
    state: State | None = None


class Ledger:
    """Finished stages on disk.

    Args:
        root: the ledger's folder; made when the first stage is written.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def read(self, key: str, stage: str, *, state: bool = True) -> Stage | None:
        """Return a finished stage, or None when it is absent, torn or altered.

        Args:
            key: the cell's key.
            stage: ``fit`` or a score stage.
            state: read the model's arrays as well, where there are any.
        """
        folder = self.folder(key)
        try:
            entry = json.loads((folder / f"{stage}.json").read_text(encoding="utf-8"))
            if entry["format"] != FORMAT or entry["digest"] != digest(entry["body"], 64):
                return None
            body = entry["body"]
            model = body.get("model") if state else None
            arrays = _read_state(folder / model, body["sha256"]) if model else None
            return Stage(body["inputs"], body["result"], arrays)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, key: str, stage: str, entry: Stage) -> None:
        """Keep a finished stage.

        Raises:
            StoreError: the folder cannot be written, or the disk is full.
        """
        body: dict[str, Any] = {"inputs": entry.inputs, "result": entry.result}
        folder = self.folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if entry.state is not None:
                payload = _state_bytes(entry.state)
                body["model"] = f"{stage}.safetensors"
                body["sha256"] = hashlib.sha256(payload).hexdigest()
                write_atomic(folder / body["model"], payload)
            body = json.loads(json.dumps(body))  # as it will be read: keys are text
            whole = {"format": FORMAT, "digest": digest(body, 64), "body": body}
            write_atomic(folder / f"{stage}.json", json.dumps(whole).encode())
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


def _state_bytes(state: State) -> bytes:
    from safetensors.numpy import save

    return bytes(save({name: np.ascontiguousarray(array) for name, array in state.items()}))


def _read_state(path: Path, sha256: str) -> State:
    from safetensors.numpy import load

    payload = path.read_bytes()
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise ValueError("the model was altered")
    return dict(load(payload))
