"""What a killed fit continues from: one small file for each fit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.objective import Meter, Reading
from vidseg.classifiers.linear.exact.sample import Pick
from vidseg.classifiers.linear.exact.solver import Iterate, Places
from vidseg.classifiers.pyramid import Floats
from vidseg.errors import ResourceError
from vidseg.utils.files import disk_is_full, replacing

HEADER = 15
"""Numbers before the points in the array ``state``."""


@dataclass(frozen=True)
class Checkpoint:
    """The file of one fit. Written by the first process only, and read for all of them.

    Attributes:
        ctx: whose ``workdir`` holds the file, and whose ``reduce`` spreads it.
        name: of the fit within the cell.
        key: what the fit is; a file of another fit is not used.
    """

    ctx: FitContext
    name: str
    key: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.ctx.workdir / f"pixel_svm-{self.name}.safetensors"

    def save(self, iterate: Iterate, phase: int, meter: Meter) -> None:
        """Write where the fit is; atomic.

        Raises:
            ResourceError: the disk is full or cannot be written.
        """
        if self.ctx.rank:
            return
        arrays = {
            "state": _flat(iterate, phase, meter),
            "always": iterate.pick.always,
            "key": self._digest(),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path, sync=False, alone=True) as temporary:
                save_file(arrays, temporary)
        except (OSError, SafetensorError) as error:
            full = disk_is_full(error) or "space left" in str(error)
            raise ResourceError(
                "the disk is full" if full else f"the checkpoint cannot be written ({error})",
                where=self.path.parent,
                hint="free some disk and start again: the fit continues from its last checkpoint",
            ) from error

    def load(self, parameters: int, meter: Meter) -> tuple[Iterate, int] | None:
        """Return iterate and phase to continue from, or None; restores ``meter``.

        Args:
            parameters: number of weights P.
            meter: gets the readings that were counted.
        """
        length = HEADER + 3 * parameters
        none = np.zeros(length), np.zeros(0, np.int64)
        flat, always = self._read(length) or none if self.ctx.rank == 0 else none
        flat = self.ctx.reduce(flat)
        count = int(self.ctx.reduce(np.array([len(always)]))[0])
        always = self.ctx.reduce(always if len(always) == count else np.zeros(count, np.int64))
        return _unflat(flat, always, parameters, meter) if flat[0] else None

    def _digest(self) -> Floats:
        digest = hashlib.blake2b(self.key.encode(), digest_size=16).digest()
        return np.frombuffer(digest, np.uint8).astype(np.float64)

    def _read(self, length: int) -> tuple[Floats, Places] | None:
        try:
            arrays = load_file(self.path)
        except (OSError, SafetensorError):
            return None
        if set(arrays) != {"state", "always", "key"} or len(arrays["state"]) != length:
            return None
        known = np.array_equal(arrays["key"], self._digest())
        return (arrays["state"], arrays["always"]) if known else None


def _flat(iterate: Iterate, phase: int, meter: Meter) -> Floats:
    none = Reading(np.zeros_like(iterate.trial), 0.0, np.zeros_like(iterate.trial), 0.0, 0.0)
    best = iterate.best or none
    head = [
        1.0,
        phase,
        meter.passes,
        meter.nbytes,
        meter.draws,
        iterate.gap,
        iterate.iteration,
        iterate.refused,
        iterate.best is not None,
        best.value,
        best.hinge,
        best.excess,
        iterate.pick.reach,
        iterate.pick.near,
        iterate.pick.far,
    ]
    return np.concatenate([np.array(head, np.float64), iterate.trial, best.point, best.gradient])


def _unflat(flat: Floats, always: Places, parameters: int, meter: Meter) -> tuple[Iterate, int]:
    phase, passes, nbytes, draws = (int(v) for v in flat[1:5])
    gap, iteration, refused, read = flat[5], int(flat[6]), bool(flat[7]), bool(flat[8])
    trial, point, gradient = flat[HEADER:].reshape(3, parameters)
    best = Reading(point, float(flat[9]), gradient, float(flat[10]), float(flat[11]))
    meter.passes, meter.nbytes, meter.draws = passes, nbytes, draws
    pick = Pick(float(flat[12]), float(flat[13]), float(flat[14]), always)
    return Iterate(trial, pick, best if read else None, float(gap), iteration, refused), phase
