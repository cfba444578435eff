"""DAVIS: ``JPEGImages/VIDEO/00000.jpg`` and palette masks in ``Annotations/VIDEO/00000.png``.

Values are 0 background, 1 foreground and 255 void (ignored), as in DAVIS 2017; they look black,
white and grey. A frame that is not labelled has no mask file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vidseg.datasets.writers.base import Writer, WrittenVideo
from vidseg.datasets.writers.regions import mask_of
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.types import Labels

_FOREGROUND, _VOID = 1, 255
_COLOURS = {_FOREGROUND: (255, 255, 255), _VOID: (128, 128, 128)}


class MasksWriter(Writer):
    """Writes a DAVIS tree."""

    dataset = "masks"

    def picture(self, video: str, index: int) -> Path:
        """Return ``JPEGImages/VIDEO/00000``."""
        return Path("JPEGImages", video, f"{index:05d}")

    def start(self, video: WrittenVideo) -> None:
        """Make the folder of the masks."""
        self._video = video
        (self.root / "Annotations" / video.name).mkdir(parents=True)

    def frame(self, index: int, labels: Labels) -> None:
        """Write a mask at native size."""
        if labels.mask is None and labels.boxes is not None and len(labels.boxes):
            count = len(labels.boxes)
            self.losses.add("box", "filled into the mask, edges at whole pixels, no track", count)
        mask = mask_of(labels, f"{self._video.name}, frame {index}")
        values = np.zeros(mask.shape, np.uint8)
        values[mask == FOREGROUND] = _FOREGROUND
        values[mask == IGNORED] = _VOID
        picture = Image.fromarray(values, "P")
        picture.putpalette([c for value in range(256) for c in _COLOURS.get(value, (0, 0, 0))])
        file = self.root / "Annotations" / self._video.name / f"{index:05d}.png"
        picture.save(file, "PNG", compress_level=6)
        self.left += 1

    def end(self) -> None:
        """Nothing is left to do."""
