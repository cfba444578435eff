"""Which way the frames are read: decided by arithmetic, before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.exact.frames import (
    AHEAD,
    FrameReader,
    Frames,
    HeldFrames,
    StreamedFrames,
)
from vidseg.classifiers.linear.exact.sample import GROWTH
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import ResourceError
from vidseg.utils.bytes import format_bytes
from vidseg.utils.files import disk_is_full

DataPath = Literal["memory", "memory-fp16", "disk"]
PATHS: tuple[DataPath, ...] = ("memory", "memory-fp16", "disk")

KEPT = 2
"""Readings whose scores are kept."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a fit takes in this process.

    Attributes:
        frames: number of distinct frames.
        single, half: of one frame's features in float32, and in float16.
        native: of one frame's features as they are read.
        pixels: mask pixels of one frame.
        parameters: number of weights P.
        aim: pixels in a sample.
        chunk: bytes of features that are multiplied at once.
        budget: that may be used.
    """

    frames: int
    single: int
    half: int
    native: int
    pixels: int
    parameters: int
    aim: int
    chunk: int
    budget: int

    @classmethod
    def of(cls, reader: FrameReader, parameters: int, aim: int, budget: int) -> MemoryPlan:
        """Return the bytes that ``reader``'s frames take."""
        target = reader.train.mask_size
        return cls(
            len(reader.refs),
            reader.frame_bytes(4),
            reader.frame_bytes(2),
            reader.read_bytes,
            target.height * target.width,
            parameters,
            aim,
            reader.chunk_bytes,
            budget,
        )

    @property
    def scores(self) -> int:
        """Bytes of one score for each mask pixel."""
        return 4 * self.frames * self.pixels

    @property
    def scores_on_disk(self) -> bool:
        """Whether scores go into files: they would take more than a quarter of the budget."""
        return KEPT * self.scores > self.budget // 4

    @property
    def work(self) -> int:
        """Bytes beside the features: labels, scores, sample (twice while joined), Hessian."""
        scores = 0 if self.scores_on_disk else KEPT * self.scores
        sample = 2 * GROWTH * self.aim * (self.parameters + 3) * 4
        chunk = 3 * max(self.chunk, self.single) + (AHEAD + 1) * self.native
        return self.frames * self.pixels + scores + sample + chunk + 4 * 8 * self.parameters**2

    @property
    def path(self) -> DataPath:
        """The first way that fits the budget.

        Raises:
            ResourceError: not even reading frame by frame fits; says the arithmetic.
        """
        if self.work + self.frames * self.single <= self.budget:
            return "memory"
        if self.work + self.frames * self.half <= self.budget:
            return "memory-fp16"
        if self.work <= self.budget:
            return "disk"
        raise ResourceError(
            f"pixel_svm needs {format_bytes(self.work)} beside the features ({self.frames} frames "
            f"of {self.pixels} pixels, samples of {self.aim} pixels by {self.parameters} weights), "
            f"memory_budget is {format_bytes(self.budget)}",
            hint="raise memory_budget, or choose a smaller sample or mask_size",
        )

    def reason(self, path: DataPath) -> str:
        """Return one sentence that says which way was chosen, and why."""
        held = f"{self.frames} frames x {format_bytes(self.single)}"
        if path == "memory":
            budget = format_bytes(self.budget)
            return f"pixel_svm: features in memory as float32 ({held}, budget {budget})"
        if path == "memory-fp16":
            return (
                f"pixel_svm: features in memory as float16 ({self.frames} frames x "
                f"{format_bytes(self.half)}; float32 would exceed the budget of "
                f"{format_bytes(self.budget)})"
            )
        return (
            f"pixel_svm: features read from the store each time ({held} exceed the budget of "
            f"{format_bytes(self.budget)}; {format_bytes(self.native)} a frame)"
        )

    def open(
        self,
        reader: FrameReader,
        labels: torch.Tensor,
        standard: Standardisation,
        path: DataPath,
        ctx: FitContext,
    ) -> Frames:
        """Return the frames of ``source``, read into memory where ``path`` says so."""
        if path == "disk":
            return StreamedFrames(reader, labels, standard)
        dtype = torch.float32 if path == "memory" else torch.float16
        with ctx.progress.task("features into memory", self.frames) as task:

            def tick() -> None:
                ctx.stop()
                task.advance()

            return HeldFrames.load(reader, labels, standard, dtype, tick)

    def blanks(self, labels: torch.Tensor, folder: Path) -> Callable[[], torch.Tensor]:
        """Return what allocates one score a pixel: in memory, or in files of ``folder``."""
        made: list[Path] = []

        def blank() -> torch.Tensor:
            if not self.scores_on_disk or labels.device.type != "cpu":
                return torch.empty(labels.shape, dtype=torch.float32, device=labels.device)
            made.append(folder / f"scores-{os.getpid()}-{len(made)}.f32")
            return _mapped(made[-1], labels.shape)

        return blank


def _mapped(path: Path, shape: torch.Size) -> torch.Tensor:
    """Return a tensor in a file that vanishes with it.

    Raises:
        ResourceError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = shape.numel()
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, 4 * count))
        tensor = torch.from_file(str(path), shared=True, size=count, dtype=torch.float32)
    except OSError as error:
        path.unlink(missing_ok=True)
        full = disk_is_full(error)
        raise ResourceError(
            f"no room for {format_bytes(4 * count)} of scores"
            if full
            else f"not written ({error})",
            where=path.parent,
            hint="free some disk, or raise memory_budget so that they stay in memory",
        ) from error
    path.unlink()
    return tensor.view(shape)
