"""Points in blocks on disk, each a random share of every frame's pixels (Yu et al. 2010)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.dual import Dual, Rows
from vidseg.classifiers.linear.levels import frame_name, is_finite
from vidseg.classifiers.linear.points import PointSet, Signs, require_disk, visits
from vidseg.classifiers.pyramid import Float32, as_tensor, shared
from vidseg.errors import DataError, ResourceError
from vidseg.utils.bytes import format_bytes
from vidseg.utils.random import generator

Stored = Literal["float16", "float32"]

PIECE = 32 * 2**20
"""Bytes of hypercolumns that are made, or read, at a time."""


@dataclass(frozen=True)
class BlockPlan:
    """How many blocks, by arithmetic, before anything is computed.

    Attributes:
        points, dimensions: of the whole problem.
        stored: type of a value on disk; in memory it is float32.
        count: number of blocks.
        piece: bytes that are made or read at a time.
    """

    points: int
    dimensions: int
    stored: Stored
    count: int
    piece: int

    @classmethod
    def of(
        cls, points: int, dimensions: int, stored: Stored, budget: int, frame: int, least: int = 1
    ) -> BlockPlan:
        """Return the fewest blocks that fit.

        Args:
            points, dimensions: of the whole problem.
            stored: type of a value on disk.
            budget: bytes that the fit may take.
            frame: bytes of one frame's native features, in float32.
            least: at least so many blocks.

        Raises:
            ResourceError: the dual variables, or one frame beside them, exceed the budget; says
                the arithmetic.
        """
        piece = min(PIECE, budget // 8)
        state = points * Dual.BYTES_PER_POINT
        largest = (budget - state - piece) // (4 * dimensions)
        # writing takes a frame, one of its levels once more, and three pieces
        if largest < 1 or state + 2 * frame + 3 * piece > budget:
            raise ResourceError(
                f"{points:,} points x {Dual.BYTES_PER_POINT} bytes of dual variables + 2 x "
                f"{format_bytes(frame)} of a frame's features + {format_bytes(3 * piece)} of "
                f"pieces do not fit memory_budget, {format_bytes(budget)}",
                where="block_liblinear",
                hint="raise memory_budget, or choose fewer pixels_per_frame, or pixel_svm",
            )
        count = min(points, max(least, -(-points // largest)))
        return cls(points, dimensions, stored, count, piece)

    @property
    def disk_bytes(self) -> int:
        """Bytes of all blocks."""
        return self.points * self.dimensions * np.dtype(self.stored).itemsize

    @property
    def memory_bytes(self) -> int:
        """Bytes of a block, a piece and the dual variables."""
        block = 4 * self.dimensions * -(-self.points // self.count)
        return block + self.piece + self.points * Dual.BYTES_PER_POINT

    @cached_property
    def parts(self) -> list[slice]:
        """Which of all points each block holds; sizes differ by one at most."""
        sizes = [-(-(self.points - block) // self.count) for block in range(self.count)]
        ends = np.cumsum(sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


@dataclass
class Blocks:
    """Blocks of points as ``.npy`` files, read one after the other.

    Attributes:
        folder: where the files are.
        plan: the arithmetic.
        bytes_read: so far.
    """

    folder: Path
    plan: BlockPlan
    bytes_read: int = 0
    _held: int | None = field(default=None, init=False)

    def write(self, points: PointSet, ctx: FitContext) -> Signs:
        """Write all points, each to a random block; return their labels in the blocks' order.

        Raises:
            DataError: a value does not fit float16.
            ResourceError: the disk cannot hold the blocks.
        """
        full = ResourceError(
            f"{format_bytes(self.plan.disk_bytes)} of blocks do not fit the disk",
            where=self.folder,
            hint="free space there, choose stored=float16 or a smaller pixels_per_frame, or "
            "pixel_svm",
        )
        with require_disk(self.plan.disk_bytes, self.folder, full):
            for block, part in enumerate(self.plan.parts):
                with self._path(block).open("wb") as file:
                    np.lib.format.write_array_header_1_0(file, self._header(part))
            return self._fill(points, ctx)

    def read(self, order: Rows) -> Iterator[tuple[slice, Float32]]:
        """Yield blocks in ``order``: which of all points, and ``float32 (m, C)``.

        The array is used again for the next block; a single block is read only once.
        """
        for place, block in enumerate(order.tolist()):
            part = self.plan.parts[block]
            rows = self._work[: part.stop - part.start]
            if block != self._held:
                self._held = None
                self._load(block, rows)
                self._held = block
            if place + 1 < len(order):
                self._announce(int(order[place + 1]))
            yield part, rows

    @cached_property
    def _work(self) -> Float32:
        return np.empty((-(-self.plan.points // self.plan.count), self.plan.dimensions), np.float32)

    def _path(self, block: int) -> Path:
        return self.folder / f"block-{block:05d}.npy"

    def _header(self, part: slice) -> dict[str, Any]:
        descr = np.lib.format.dtype_to_descr(np.dtype(self.plan.stored))
        shape = (part.stop - part.start, self.plan.dimensions)
        return {"descr": descr, "fortran_order": False, "shape": shape}

    def _fill(self, points: PointSet, ctx: FitContext) -> Signs:
        labels = np.empty(self.plan.points, np.int8)
        following = np.array([part.start for part in self.plan.parts])
        refs, seen = points.train.refs, 0
        with ctx.progress.task(f"points, {self.plan.count} blocks", len(refs)) as task:
            for visit in visits(refs):
                pixels, signs = points.labels(visit)
                native = points.native(visit.ref)
                rng = generator(points.seed, "blocks", seen)
                home = (seen + rng.permutation(len(pixels))) % self.plan.count
                for part in self._pieces(len(pixels), 4):
                    ctx.stop()
                    x = points.rows(native, pixels[part], None)
                    self._append(self._stored(x, frame_name(visit.ref)), home[part])
                    _scatter(signs[part], home[part], labels, following)
                seen += len(pixels)
                task.advance()
        return labels

    def _pieces(self, rows: int, itemsize: int) -> Iterator[slice]:
        step = max(1, self.plan.piece // (itemsize * self.plan.dimensions))
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def _stored(self, rows: Float32, where: str) -> npt.NDArray[Any]:
        stored = as_tensor(rows).half().numpy() if self.plan.stored == "float16" else rows
        if not is_finite(stored):
            raise DataError(
                "a standardised feature exceeds 65504, the end of float16",
                where=where,
                hint="choose stored=float32, or a larger sigma_floor",
            )
        return stored

    def _append(self, rows: npt.NDArray[Any], home: Rows) -> None:
        order = np.argsort(home, kind="stable")
        edges = np.searchsorted(home[order], np.arange(self.plan.count + 1))
        for block in np.flatnonzero(np.diff(edges)).tolist():
            chosen = rows[order[edges[block] : edges[block + 1]]]
            with self._path(block).open("ab", buffering=0) as file:
                view = chosen.data.cast("B")
                while view:  # a single write takes 2 GiB at most
                    view = view[file.write(view) :]

    def _load(self, block: int, rows: Float32) -> None:
        with self._path(block).open("rb", buffering=0) as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            for part in self._pieces(len(rows), np.dtype(self.plan.stored).itemsize):
                stored = np.fromfile(
                    file, self.plan.stored, (part.stop - part.start) * rows.shape[1]
                )
                as_tensor(rows[part]).copy_(shared(stored).view(-1, rows.shape[1]))
                self.bytes_read += stored.nbytes

    def _announce(self, block: int) -> None:
        """Let the system read the next block ahead, into its own cache."""
        if block != self._held and hasattr(os, "posix_fadvise"):
            with self._path(block).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _scatter(signs: Signs, home: Rows, labels: Signs, following: Rows) -> None:
    """Put labels where their points were written; ``following`` is each block's next place."""
    order = np.argsort(home, kind="stable")
    blocks = home[order]
    counts = np.bincount(blocks, minlength=len(following))
    within = np.arange(len(blocks)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels[following[blocks] + within] = signs[order]
    following += counts
