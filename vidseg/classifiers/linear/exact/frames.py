"""The training frames as the solver reads them: from memory, or streamed with read-ahead.

A level LARGER than the mask is resized when it is read: exact as well, since the score of a resized
level is the resized score, and smaller. All others keep their native size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.levels import frame_name
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Pyramid, Resize, as_tensor, shared
from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Features, FrameRef, Size, TrainingSet

CHUNK_BYTES = 8 * 2**20
"""Features of as many frames as these bytes hold are multiplied at once: they stay in the cache."""
GPU_CHUNK_BYTES = 512 * 2**20
"""The same on a GPU: so many that starting its kernels takes little of the time."""

AHEAD = 4
"""Frames that are read ahead of the one in work."""


class Chunk(NamedTuple):
    """Some frames, ready to be multiplied.

    Attributes:
        frames: which of the frames, as a slice of their order.
        levels: ``float32 (n * h_l * w_l, C_l)`` each.
    """

    frames: slice
    levels: list[torch.Tensor]


@dataclass(frozen=True)
class FrameReader:
    """Distinct frames of a training set, their masks, and the sizes of what is read.

    Attributes:
        train: where features and masks come from.
        refs: the distinct frames in a fixed, random order: any run of them is a fair sample.
        repeats: ``float32 (n,)``: how often each counts.
        channels: channels of each level.
        native: native size of each level.
        levels: names of the levels, for messages.
        device: where the products are made.
    """

    train: TrainingSet
    refs: Sequence[FrameRef]
    repeats: torch.Tensor
    channels: tuple[int, ...]
    native: tuple[Size, ...]
    levels: tuple[str, ...]
    device: str

    @classmethod
    def of(
        cls, train: TrainingSet, handle: ExtractorHandle, chosen: Sequence[int], ctx: FitContext
    ) -> FrameReader:
        """Return the reader of ``train``; its features are the ``chosen`` levels of ``handle``."""
        counts = Counter(train.refs)
        refs = list(counts)
        order = np.random.default_rng(ctx.seed).permutation(len(refs))
        sizes = handle.sizes(train.image_size)
        return cls(
            train,
            [refs[i] for i in order],
            torch.tensor([counts[refs[i]] for i in order], dtype=torch.float32, device=ctx.device),
            tuple(handle.channels[i] for i in chosen),
            tuple(Size(*sizes[i]) for i in chosen),
            tuple(handle.levels[i] for i in chosen),
            ctx.device,
        )

    @property
    def chunk_bytes(self) -> int:
        """Bytes of float32 features that are multiplied at once."""
        return CHUNK_BYTES if self.device == "cpu" else GPU_CHUNK_BYTES

    @property
    def pyramid(self) -> Pyramid:
        """Sizes of the levels as they are multiplied: those larger than the mask have its size."""
        target = self.train.mask_size
        sizes = (target if self.shrinks(i) else size for i, size in enumerate(self.native))
        return Pyramid(tuple(sizes), target)

    def shrinks(self, level: int) -> bool:
        """Return whether ``level`` has more pixels than the mask."""
        height, width = self.native[level]
        target = self.train.mask_size
        return height * width > target.height * target.width

    def frame_bytes(self, itemsize: int) -> int:
        """Return bytes of one frame as held: ``itemsize`` a value, 4 in levels already resized."""
        return sum(
            c * size.height * size.width * (4 if self.shrinks(i) else itemsize)
            for i, (c, size) in enumerate(zip(self.channels, self.pyramid.levels, strict=True))
        )

    @property
    def read_bytes(self) -> int:
        """Bytes of one frame's float16 features at native size."""
        return sum(2 * c * h * w for c, (h, w) in zip(self.channels, self.native, strict=True))

    def read(self, ref: FrameRef) -> Features:
        """Return the features of ``ref``, checked against the extractor's sizes.

        Raises:
            DataError: they are those of another extractor or image size.
        """
        features = self.train.features(ref)
        found = [level.shape for level in features]
        expected = [(c, *size) for c, size in zip(self.channels, self.native, strict=True)]
        if found != expected:
            raise DataError(
                f"the features have shapes {found}, the extractor's are {expected}",
                where=frame_name(ref),
                hint="use the features of the extractor and the levels that are named",
            )
        return features

    def maps(self, features: Features) -> list[torch.Tensor]:
        """Return each level as ``(C, pixels)``: float32 where it was resized, else as it came."""
        return [
            (
                Resize(self.native[i], self.train.mask_size).forward(as_tensor(level, self.device))
                if self.shrinks(i)
                else shared(level).to(self.device)
            ).flatten(1)
            for i, level in enumerate(features)
        ]

    def labels(self) -> torch.Tensor:
        """Return all masks, ``int8 (n, h, w)``."""
        masks = np.empty((len(self.refs), *self.train.mask_size), np.int8)
        for place, ref in enumerate(self.refs):
            masks[place] = self.train.mask(ref)
        return torch.from_numpy(masks).to(self.device)


@dataclass
class Frames(ABC):
    """A set of frames that can be read again and again, always in the same order.

    Attributes:
        reader: where they come from.
        labels: ``int8 (n, h, w)`` of all frames, in {-1, 0, +1}.
        standard: the transform that the levels of a chunk still lack.
    """

    reader: FrameReader
    labels: torch.Tensor
    standard: Standardisation

    @cached_property
    def pyramid(self) -> Pyramid:
        """Sizes of the levels as they are multiplied, and of the mask."""
        return self.reader.pyramid

    @property
    def repeats(self) -> torch.Tensor:
        """How often each frame counts, ``float32 (n,)``."""
        return self.reader.repeats

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of features that one reading of all frames takes."""

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """Yield the frames in order."""


@dataclass
class HeldFrames(Frames):
    """Frames whose features stay in memory, pixels first: ``(frames, h_l * w_l, C_l)``.

    Attributes:
        held: one tensor a level: float32, standardised; or float16 to save memory, as read.
    """

    held: list[torch.Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of what is held."""
        return sum(level.numel() * level.element_size() for level in self.held)

    @classmethod
    def load(
        cls,
        reader: FrameReader,
        labels: torch.Tensor,
        standard: Standardisation,
        dtype: torch.dtype,
        tick: Callable[[], None],
    ) -> HeldFrames:
        """Read all frames into memory, once.

        Args:
            reader: what to read.
            labels: all masks.
            standard: applied in float32, where it loses nothing; left to do in float16.
            dtype: float32 or float16; levels already resized are float32 in any case.
            tick: called after each frame.
        """
        held = _allocated(reader, dtype)
        means, scales = (
            [torch.from_numpy(part).to(reader.device, torch.float32) for part in parts]
            for parts in (
                np.split(values, np.cumsum(reader.channels)[:-1])
                for values in (standard.mean, standard.scale)
            )
        )
        for place, features in enumerate(_ahead(reader, range(len(labels)))):
            for i, maps in enumerate(reader.maps(features)):
                held[i][place].copy_(maps.T)
                if dtype == torch.float32:
                    held[i][place].sub_(means[i]).mul_(scales[i])
            tick()
        left = Standardisation.identity(reader.channels) if dtype == torch.float32 else standard
        return cls(reader, labels, left, held)

    def chunks(self) -> Iterator[Chunk]:
        """Yield slices of what is held, as float32."""
        size = max(1, self.reader.chunk_bytes // max(1, self.reader.frame_bytes(4)))
        for start in range(0, len(self.labels), size):
            part = slice(start, min(start + size, len(self.labels)))
            yield Chunk(part, [level[part].flatten(0, 1).float() for level in self.held])


class StreamedFrames(Frames):
    """Frames that are read from the training set each time, some ahead of the one in work."""

    @property
    def nbytes(self) -> int:
        """Bytes of all features at native size."""
        return len(self.labels) * self.reader.read_bytes

    def chunks(self) -> Iterator[Chunk]:
        """Yield one frame at a time."""
        for place, features in enumerate(_ahead(self.reader, range(len(self.labels)))):
            part = slice(place, place + 1)
            levels = [maps.float().T for maps in self.reader.maps(features)]
            yield Chunk(part, levels)


def _allocated(reader: FrameReader, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return memory for all frames, ``(n, h_l * w_l, C_l)`` a level; resized levels are float32."""
    return [
        torch.empty(
            (len(reader.refs), size.height * size.width, channels),
            dtype=torch.float32 if reader.shrinks(i) else dtype,
            device=reader.device,
        )
        for i, (channels, size) in enumerate(
            zip(reader.channels, reader.pyramid.levels, strict=True)
        )
    ]


def _ahead(reader: FrameReader, places: Sequence[int]) -> Iterator[Features]:
    """Yield the features of ``places`` while a thread reads the next ones."""
    waiting: deque[Future[Features]] = deque()
    following = iter(places)
    with ThreadPoolExecutor(1, "read-ahead") as pool:

        def push() -> None:
            place = next(following, None)
            if place is not None:
                waiting.append(pool.submit(reader.read, reader.refs[place]))

        try:
            for _ in range(AHEAD):
                push()
            while waiting:
                features = waiting.popleft().result()
                push()
                yield features
        finally:
            for future in waiting:
                future.cancel()
