"""Training points: standardised hypercolumns of labelled pixels, in memory or as a stream.

Every draw is seeded by (seed, video, frame, copy, epoch), so a frame's pixels do not depend on
which other frames are trained on.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.levels import check_finite, frame_name
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Float32
from vidseg.errors import DataError, ResourceError
from vidseg.tasks.segmentation.masks import both_classes
from vidseg.types import FrameRef, Mask, Size, TrainingSet
from vidseg.utils.bytes import format_bytes
from vidseg.utils.files import disk_is_full
from vidseg.utils.random import generator

Signs = npt.NDArray[np.int8]
Pixels = npt.NDArray[np.int64]

GROUP = 32
"""Most frames whose pixels are mixed in one stream."""


@dataclass(frozen=True)
class Drawn:
    """One visit of a frame: the reference and which repeat of it this is (its copy)."""

    ref: FrameRef
    copy: int


def visits(refs: Sequence[FrameRef]) -> list[Drawn]:
    """Return each reference with its repeat counted from 0."""
    seen: Counter[FrameRef] = Counter()
    found = []
    for ref in refs:
        found.append(Drawn(ref, seen[ref]))
        seen[ref] += 1
    return found


@dataclass(frozen=True)
class PointSet:
    """The labelled pixels of a training set, or a random draw of them.

    Attributes:
        train: the frames.
        standardisation: applied to every point.
        names: names of the levels, for messages.
        seed: seed of the draws.
        per_frame: labelled pixels drawn from a frame in one visit, without replacement and
            without strata; None for all.
        epoch: number of the visit; every epoch draws anew.
    """

    train: TrainingSet
    standardisation: Standardisation
    names: tuple[str, ...]
    seed: int = 0
    per_frame: int | None = None
    epoch: int = 0

    @property
    def dimensions(self) -> int:
        """Number of features of a point."""
        return sum(self.standardisation.channels)

    def at(self, epoch: int) -> PointSet:
        """Return the points of another epoch: variants rendered and pixels drawn anew."""
        return replace(self, train=self.train.with_epoch(epoch), epoch=epoch)

    def scaled(self, standardisation: Standardisation) -> PointSet:
        """Return the same points under another standardisation."""
        return replace(self, standardisation=standardisation)

    def counts(self, ctx: FitContext) -> tuple[int, int]:
        """Return how many foreground and background points one epoch has.

        Raises:
            DataError: one class only; or a mask of another size than ``train.mask_size``.
        """
        positive = negative = 0
        for visit in visits(self.train.refs):
            ctx.stop()
            labels = self.labels(visit)[1]
            positive += int((labels > 0).sum())
            negative += int((labels < 0).sum())
        both_classes((positive, negative), where=f"{len(self.train.refs)} training frames")
        return positive, negative

    def labels(self, visit: Drawn) -> tuple[Pixels, Signs]:
        """Return the drawn pixels of one frame, ascending, and their labels (+1, -1)."""
        flat = self._mask(visit.ref).ravel()
        pixels = np.flatnonzero(flat)
        if self.per_frame is not None and self.per_frame < len(pixels):
            ref = visit.ref
            rng = generator(self.seed, ref.video, ref.index, ref.variant, visit.copy, self.epoch)
            pixels = np.sort(rng.choice(pixels, self.per_frame, replace=False))
        return pixels, flat[pixels]

    def native(self, ref: FrameRef) -> tuple[Float32, ...]:
        """Return the standardised native features of a frame, ``float32 (C_l, h_l, w_l)`` each.

        Raises:
            DataError: they are not finite, or their channels are not the standardisation's.
        """
        features = self.train.features(ref)
        channels = tuple(len(level) for level in features)
        if channels != self.standardisation.channels:
            raise DataError(
                f"features have {channels} channels, not {self.standardisation.channels}",
                where=frame_name(ref),
            )
        check_finite(features, ref, self.names)
        return self.standardisation.levels(features)

    def rows(self, native: tuple[Float32, ...], pixels: Pixels, out: Float32 | None) -> Float32:
        """Return the points of ``pixels``, ``float32 (n, C)``."""
        return hypercolumns(native, self.train.mask_size, pixels, out)

    def frames(self, ctx: FitContext) -> Iterator[tuple[Float32, Signs]]:
        """Yield the points of the epoch frame after frame, ``float32 (n, C)`` and ``int8 (n,)``."""
        with ctx.progress.task("points", len(self.train.refs)) as task:
            for visit in visits(self.train.refs):
                ctx.stop()
                pixels, labels = self.labels(visit)
                yield self.rows(self.native(visit.ref), pixels, None), labels
                task.advance()

    def gather(self, ctx: FitContext) -> tuple[Float32, Signs]:
        """Return all points of the epoch at once, ``float32 (n, C)`` and ``int8 (n,)``.

        Check :func:`require_memory` first.
        """
        count = sum(self.counts(ctx))
        x, y = np.empty((count, self.dimensions), np.float32), np.empty(count, np.int8)
        start = 0
        for points, labels in self.frames(ctx):
            part = slice(start, start + len(labels))
            x[part], y[part] = points, labels
            start = part.stop
        return x, y

    def stream(self, ctx: FitContext, share: int) -> Iterator[tuple[Float32, Signs]]:
        """Yield blocks of points, frames and pixels shuffled, each point once in an epoch.

        Frames are shuffled and taken in groups that fit the share; every block holds about as
        many random pixels of each frame of its group. A block's memory is used again for the
        next one.

        Args:
            ctx: for stopping.
            share: bytes that a group of native features and a block may take together.
        """
        rng = generator(self.seed, "order", self.epoch)
        frames = visits(self.train.refs)
        order = [frames[i] for i in rng.permutation(len(frames))]
        block = np.empty((max(256, share // 2 // (4 * self.dimensions)), self.dimensions), "f4")
        group: list[tuple[tuple[Float32, ...], Pixels, Signs]] = []
        held = 0
        for visit in order:
            ctx.stop()
            native = self.native(visit.ref)
            held += sum(level.nbytes for level in native)
            group.append((native, *self._shuffled(visit, rng)))
            if held >= share // 2 or len(group) == GROUP:
                yield from self._mix(group, block)
                group, held = [], 0
        if group:
            yield from self._mix(group, block)

    def _shuffled(self, visit: Drawn, rng: np.random.Generator) -> tuple[Pixels, Signs]:
        pixels, labels = self.labels(visit)
        order = rng.permutation(len(pixels))
        return pixels[order], labels[order]

    def _mix(
        self, group: list[tuple[tuple[Float32, ...], Pixels, Signs]], block: Float32
    ) -> Iterator[tuple[Float32, Signs]]:
        total = sum(len(pixels) for _, pixels, _ in group)
        count = -(-total // max(1, len(block) - len(group)))
        for part in range(count):
            labels, stop = [], 0
            for native, pixels, signs in group:
                cut = slice(*(len(pixels) * k // count for k in (part, part + 1)))
                start, stop = stop, stop + cut.stop - cut.start
                # ascending: neighbours in the mask read the same native pixels
                order = np.argsort(pixels[cut])
                self.rows(native, pixels[cut][order], block[start:stop])
                labels.append(signs[cut][order])
            yield block[:stop], np.concatenate(labels)

    def _mask(self, ref: FrameRef) -> Mask:
        mask = self.train.mask(ref)
        if mask.shape != tuple(self.train.mask_size):
            raise DataError(
                f"the mask is {Size(*mask.shape)}, not {self.train.mask_size}",
                where=frame_name(ref),
            )
        return mask


def require_memory(
    points: int, dimensions: int, per_value: int, budget: int, frames: int, classifier: str
) -> int:
    """Return the bytes that all points take at once, or refuse with the arithmetic.

    Args:
        points, dimensions: their number, and of features of each (with the bias).
        per_value: peak bytes per value.
        budget: bytes that the fit may take.
        frames: over which a smaller draw would be spread.
        classifier: names it in the message.

    Raises:
        ResourceError: they exceed the budget; says which ``pixels_per_frame`` would fit.
    """
    needed = points * dimensions * per_value
    if needed <= budget:
        return needed
    fits = budget // (dimensions * per_value * frames)
    smaller = f"choose pixels_per_frame={fits}, " if fits else "choose fewer frames, "
    raise ResourceError(
        f"{points:,} points x {dimensions:,} values x {per_value} bytes = {format_bytes(needed)}, "
        f"memory_budget is {format_bytes(budget)}",
        where=classifier,
        hint=f"{smaller}a smaller mask_size, or a classifier that streams all pixels: "
        "sgd, or pixel_svm",
    )


@contextmanager
def require_disk(needed: int, folder: Path, full: ResourceError) -> Iterator[None]:
    """Raise ``full`` where ``needed`` bytes exceed the disk of ``folder``, before or while writing.

    Raises:
        ResourceError: ``full``.
    """
    if needed > shutil.disk_usage(folder).free:
        raise full
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise full from error
        raise
