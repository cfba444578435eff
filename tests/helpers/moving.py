"""A textured patch that moves over a textured ground, with its exact boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

SIZE = (120, 200)
"""Height and width of the frames."""


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """Return ``uint8 (height, width, 3)`` of soft noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 5 + 2, width // 5 + 2, 3)).astype(np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


class Moving:
    """Frames and truth of a patch of 36 x 30 pixels on a path.

    Args:
        path: left and top of the patch, by frame; None where it is not there.
    """

    def __init__(self, path: Sequence[tuple[int, int] | None]) -> None:
        self.path = path
        self._ground, self._patch = texture(*SIZE, 1) // 2, texture(30, 36, 2)
        self.read: list[int] = []

    def box(self, frame: int) -> tuple[float, float, float, float] | None:
        """Return the true box."""
        place = self.path[frame]
        return None if place is None else (float(place[0]), float(place[1]), 36.0, 30.0)

    def frames(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield frames, and note which were read."""
        for index in indices:
            self.read.append(index)
            image = self._ground.copy()
            if (place := self.path[index]) is not None:
                left, top = place
                image[top : top + 30, left : left + 36] = self._patch
            yield image


def arc(length: int) -> list[tuple[int, int]]:
    """Return a path that no straight line follows: to the right, down and up again."""
    return [(10 + 3 * i, 10 + round(50 * np.sin(np.pi * i / (length - 1)))) for i in range(length)]
