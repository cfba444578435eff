"""What a network is trained on: random crops of the training frames, drawn by (seed, epoch, frame).

Frames come from the store's memory map, so that cutting a crop reads its own pages only; changed
frames (noise, augmentation) are made on the fly. One thread prepares the next steps meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidseg.types import FloatImage, Image, Mask, Size, TrainingSet
from vidseg.utils.random import generator

AHEAD = 3
"""Steps that are prepared before they are wanted."""

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        images: ``uint8 (N, H, W, 3)``, or ``float32`` on the same scale.
        labels: ``int8 (N, H, W)`` in {-1, 0, +1}; 0 counts nothing, as does what was padded.
    """

    images: Pixels
    labels: npt.NDArray[np.int8]

    def part(self, number: int, count: int) -> Batch:
        """Return every ``count``-th crop from ``number`` on."""
        return Batch(self.images[number::count], self.labels[number::count])

    def pinned(self) -> Batch:
        """Return the same in page-locked memory, from which a GPU copies while it computes."""
        locked = (torch.from_numpy(one).pin_memory().numpy() for one in (self.images, self.labels))
        return Batch(*locked)

    def __len__(self) -> int:
        return len(self.images)


def rounded_up(size: Size, multiple: int) -> Size:
    """Return the smallest size whose sides are multiples that are not below ``size``."""
    return Size(*(-(-side // multiple) * multiple for side in size))


def canvas(sizes: Sequence[Size], crop: int, stride: int, *, padded: bool) -> Size:
    """Return the size of all crops: ``crop`` a side, less where no image is as large.

    Args:
        sizes: of the images.
        crop: wanted side, in pixels.
        stride: crops are multiples of it.
        padded: images that are smaller are padded to a multiple of the stride; else a crop ends
            with the image.
    """
    largest = Size(*(max(side) for side in zip(*sizes, strict=True)))
    room = rounded_up(largest, stride) if padded else largest
    wanted = rounded_up(Size(crop, crop), stride)
    return Size(*map(min, room, wanted))


def cut(
    image: Image | FloatImage, mask: Mask, size: Size, rng: np.random.Generator, *, flip: bool
) -> tuple[Pixels, npt.NDArray[np.int8]]:
    """Return a random crop of ``size`` and its labels at the image's resolution.

    Where the image is smaller it is continued by its last rows and columns, which are ignored.
    """
    height, width = image.shape[:2]
    top = int(rng.integers(0, max(height - size.height, 0) + 1))
    left = int(rng.integers(0, max(width - size.width, 0) + 1))
    turned = flip and bool(rng.integers(0, 2))
    lines, across = slice(top, top + size.height), slice(left, left + size.width)
    pixels = image[lines, across]
    if mask.shape == (height, width):
        labels = mask[lines, across]
    else:
        labels = mask[
            np.ix_(_rows(height, mask.shape[0])[lines], _rows(width, mask.shape[1])[across])
        ]
    if turned:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    return padded_to(pixels, size), _ignored_to(labels, size)


def padded_to(image: Pixels, size: Size) -> Pixels:
    """Return an image of ``size``, continued by its last rows and columns."""
    below, right = size.height - image.shape[0], size.width - image.shape[1]
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")


def _ignored_to(labels: npt.NDArray[np.int8], size: Size) -> npt.NDArray[np.int8]:
    below, right = size.height - labels.shape[0], size.width - labels.shape[1]
    return np.pad(labels, ((0, below), (0, right))) if below or right else labels


def _rows(image: int, mask: int) -> npt.NDArray[np.intp]:
    """Return for each row of the image the row of the mask that lies there."""
    return ((np.arange(image) + 0.5) * mask / image).astype(np.intp)


@dataclass(frozen=True)
class Steps:
    """The crops of every step of a training, each drawn by (seed, epoch, frame).

    Attributes:
        train: the frames.
        size: of the crops.
        batch: crops of a step, of all processes together.
        seed: of the cell.
        flip: mirror half of the crops.
        rank, world: this process takes every ``world``-th crop of a step.
    """

    train: TrainingSet
    size: Size
    batch: int
    seed: int
    flip: bool = False
    rank: int = 0
    world: int = 1

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch; the last one may have fewer crops."""
        return -(-len(self.train.refs) // self.batch)

    def frames(self, step: int) -> int:
        """Return how many crops a step has in all processes."""
        start = step % self.per_epoch * self.batch
        return min(self.batch, len(self.train.refs) - start)

    def make(self, step: int) -> Batch:
        """Return this process's crops of a step, counted from the start of the training.

        Raises:
            DataError: a frame cannot be read; names it.
        """
        epoch, place = divmod(step, self.per_epoch)
        order = generator(self.seed, "frames", epoch).permutation(len(self.train.refs))
        chosen = order[place * self.batch : (place + 1) * self.batch]
        drawn = self.train.with_epoch(epoch)
        crops = [self._crop(drawn, epoch, int(index)) for index in chosen[self.rank :: self.world]]
        if not crops:  # fewer crops than processes: take part with one that counts nothing
            image, labels = self._crop(drawn, epoch, int(chosen[0]))
            crops = [(image, np.zeros_like(labels))]
        return Batch(*(np.stack(one) for one in zip(*crops, strict=True)))

    def _crop(
        self, drawn: TrainingSet, epoch: int, index: int
    ) -> tuple[Pixels, npt.NDArray[np.int8]]:
        ref = drawn.refs[index]
        rng = generator(self.seed, "crop", epoch, index)
        return cut(drawn.frame(ref), drawn.mask(ref), self.size, rng, flip=self.flip)


@dataclass
class Waiting:
    """Seconds that a loop waited for what it was given."""

    seconds: float = 0.0


def ahead(
    make: Callable[[int], Batch], numbers: range, waiting: Waiting
) -> Iterator[tuple[int, Batch]]:
    """Yield ``make(n)`` of each number, made in a thread ``AHEAD`` of what is wanted.

    Args:
        make: raises here what it raises there.
        numbers: in this order.
        waiting: counts how long the loop waited.
    """
    left, made = iter(numbers), deque[tuple[int, Future[Batch]]]()
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        try:
            for number in left:
                made.append((number, pool.submit(make, number)))
                if len(made) >= AHEAD:
                    break
            while made:
                number, future = made.popleft()
                began = time.perf_counter()
                batch = future.result()
                waiting.seconds += time.perf_counter() - began
                if (following := next(left, None)) is not None:
                    made.append((following, pool.submit(make, following)))
                yield number, batch
        finally:
            for _, future in made:
                future.cancel()
