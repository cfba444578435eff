"""What a fit shows while it goes on, as files in its cell's folder: curves, pictures, checkpoints.

Whoever follows a fit reads the files, also one in another process or on another machine that shares
the ledger. The fit itself never reads them, and no result depends on them. Curves are removed when
the fit is finished, whose result has them; pictures and checkpoints stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vidseg.errors import StoreError
from vidseg.experiment.training import TrainingFrames
from vidseg.tasks.base import Task
from vidseg.types import FrameRef, Image, Scores, State
from vidseg.utils.files import replacing

CURVES = "curves.jsonl"
PICTURES = "pictures"
CHECKPOINTS = "checkpoints"
_STEP = re.compile(r"step-(\d+)")


class CurvePoint(NamedTuple):
    """A value of a curve: name, value, step, and when it was measured (milliseconds, epoch)."""

    name: str
    value: float
    step: int
    time: int


@dataclass(frozen=True)
class FitFiles:
    """Writes what a fit shows; a disk that refuses curves or pictures does not end the fit.

    Attributes:
        folder: of the cell.
        train: the training frames.
        task: draws pictures.
        threshold: scores above it are positive.
        keeps: keep checkpoints.
    """

    folder: Path
    train: TrainingFrames
    task: Task
    threshold: float = 0.0
    keeps: bool = False

    def begin(self) -> None:
        """Start a new file of curves: a fit that goes on logs those before again."""
        with contextlib.suppress(OSError), replacing(self.folder / CURVES, sync=False, alone=True):
            pass

    def log(self, name: str, value: float, step: int) -> None:
        """Add a point to the curves."""
        row = json.dumps([name, float(value), int(step), time.time_ns() // 1_000_000])
        with contextlib.suppress(OSError), (self.folder / CURVES).open("a") as file:
            file.write(row + "\n")

    def show(self, ref: FrameRef, scores: Scores, step: int) -> None:
        """Draw a frame of the training set with its truth and what was found."""
        from PIL import Image as Pillow

        name = f"step-{step:05d}_{ref.video}_{ref.index:06d}.png"
        with contextlib.suppress(OSError):
            path = self.folder / PICTURES / re.sub(r"[^\w.-]+", "_", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, sync=False, alone=True) as temporary:
                Pillow.fromarray(self._drawn(ref, scores, step)).save(temporary, "PNG")

    def _drawn(self, ref: FrameRef, scores: Scores, step: int) -> Image:
        plain = FrameRef(ref.video, ref.index)
        target, material = self.train.mask(plain), self.train.materials[ref.video]
        counts = self.task.counts(ref.video, material.group)
        counts.add(ref.index, scores, self.task.reference(target, 0.0), self.threshold)
        score = counts.frame_scores(self.task.primary)[0]
        label = self.task.scores[self.task.primary].label
        text = f"{ref.video} frame {ref.index}, step {step}, {label} {score:.2f}"
        return self.task.draw(material.image(ref.index), target, scores, self.threshold, text)

    def keep(self, step: int, state: State) -> None:
        """Keep the arrays of the model as it is, where models of the cell are logged.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        if not self.keeps:
            return
        path = self.folder / CHECKPOINTS / f"step-{step:05d}.safetensors"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, alone=True) as temporary:
                save_file(state, temporary)
        except (OSError, SafetensorError) as error:
            raise StoreError(
                f"a checkpoint cannot be kept: {getattr(error, 'strerror', None) or error}",
                where=path.parent,
                hint="free the disk, or leave out checkpoints=",
            ) from error


@dataclass
class CurveReader:
    """Reads the curves of a fit that goes on, each point once; a fit that starts again, anew.

    Attributes:
        folder: of the cell.
    """

    folder: Path
    _file: int = 0
    _offset: int = 0

    def new(self) -> list[CurvePoint]:
        """Return the points since the last call; none where there is no file.

        Lines that are none are passed over: a disk that was full cuts one, and the next follows.
        """
        try:
            with (self.folder / CURVES).open("rb") as file:
                found = os.fstat(file.fileno())
                # a file that is gone may leave its number to the next one
                if found.st_ino != self._file or found.st_size < self._offset:
                    self._file, self._offset = found.st_ino, 0
                file.seek(self._offset)
                # the last line may be half written
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._offset += len(whole) + len(newline)
        return [point for line in whole.splitlines() if (point := _point(line)) is not None]


def _point(line: bytes) -> CurvePoint | None:
    try:
        name, value, step, when = json.loads(line)
        return CurvePoint(str(name), float(value), int(step), int(when))
    except (ValueError, TypeError):
        return None


def pictures(folder: Path) -> list[Path]:
    """Return the pictures of a cell, ``step-00001_VIDEO_000020.png``, by step."""
    return sorted((folder / PICTURES).glob("step-*.png"))


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return step and safetensors file of the kept checkpoints of a cell, by step."""
    found = sorted((folder / CHECKPOINTS).glob("step-*.safetensors"))
    return [(int(match[1]), path) for path in found if (match := _STEP.fullmatch(path.stem))]


def finish(folder: Path) -> None:
    """Remove the curves of a fit that is finished."""
    with contextlib.suppress(OSError):
        (folder / CURVES).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove all that a fit showed."""
    finish(folder)
    for name in (PICTURES, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
