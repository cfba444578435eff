"""The box stays where it was: the baseline of trackers."""

from __future__ import annotations

from typing import ClassVar

from vidseg.types import Box, Image


class Still:
    """Follow nothing: every frame has the first box. What a tracker must beat."""

    contract: ClassVar[int] = 1

    def start(self, image: Image, box: Box) -> None:
        """Take the box."""
        self._box = box

    def update(self, image: Image) -> tuple[Box, float]:
        """Return the first box, with confidence 1."""
        return self._box, 1.0
