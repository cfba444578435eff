"""Checkpoints of a training: one safetensors file, written whole, with all that going on needs.

Tensors of the network, of the optimizer, of averaged and of best weights stand under prefixes;
numbers (the step, curves, sums of the epoch) are JSON in the file's metadata. No pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from vidseg.errors import DataError, StoreError
from vidseg.utils.files import replacing

FILE = "checkpoint.safetensors"
FORMAT = 1
_META = "vidseg"

Tensors = dict[str, torch.Tensor]


@dataclass
class Course:
    """How far a training is: all of it but tensors, as JSON can hold it.

    Attributes:
        step: finished steps.
        sums: of the epoch so far: loss, labelled pixels, true and false positives, ...
        seconds, waited: of training, and of waiting for crops.
        pixels, frames: labelled pixels and crops seen.
        mark: seconds, waited and frames when the epoch began.
        curves: rows of (name, value, epoch).
        best: best score on held-out frames, and the epoch that had it.
        scaler: of the precision 16-mixed.
        finished: the training is at its end.
    """

    step: int = 0
    sums: list[float] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    pixels: float = 0.0
    frames: float = 0.0
    mark: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    curves: list[tuple[str, float, int]] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    scaler: dict[str, float] = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one training; there is one file, always whole.

    Attributes:
        folder: of this training alone.
        identity: hash of what decides the training; another one's file is not read.
    """

    folder: Path
    identity: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    @property
    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.is_file()

    def write(self, course: Course, parts: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Replace the checkpoint.

        Args:
            course: how far it is.
            parts: tensors by name, by part: ``net``, ``optimizer``...

        Raises:
            StoreError: the folder cannot be written, or the disk is full.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {
            f"{part}/{name}": tensor.detach().contiguous()
            for part, given in parts.items()
            for name, tensor in given.items()
        }
        meta = {"format": FORMAT, "identity": self.identity, "course": asdict(course)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.path, alone=True) as temporary:
                save_file(tensors, temporary, {_META: json.dumps(meta)})
        except (OSError, SafetensorError) as error:
            raise StoreError(
                f"the checkpoint cannot be written: {getattr(error, 'strerror', None) or error}",
                where=self.folder,
                hint="free the disk; the same command goes on from the checkpoint before",
            ) from error

    def read(self) -> tuple[Course, dict[str, Tensors]] | None:
        """Return what was written, None where there is nothing of this training.

        Raises:
            DataError: the file is damaged, or of another training.
        """
        from safetensors import SafetensorError, safe_open

        if not self.exists:
            return None
        try:
            with safe_open(self.path, "pt") as file:
                meta = json.loads((file.metadata() or {})[_META])
                if meta["format"] != FORMAT or meta["identity"] != self.identity:
                    raise self._refuse("is of another training")
                parts: dict[str, Tensors] = {}
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    part, _, own = name.partition("/")
                    parts.setdefault(part, {})[own] = file.get_tensor(name)
            return _course(meta["course"]), parts
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise self._refuse(f"cannot be read: {error}") from error

    def _refuse(self, what: str) -> DataError:
        return DataError(
            f"the checkpoint {what}",
            where=self.path,
            hint="remove it, and the training starts from the beginning",
        )


def _course(plain: dict[str, Any]) -> Course:
    course = Course(**plain)
    course.curves = [(str(name), float(value), int(at)) for name, value, at in course.curves]
    return course


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return the state of an optimizer, named by the number of the parameter and its key."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}/{key}": value
        for number, entries in state.items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Give an optimizer the state that :func:`optimizer_tensors` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
