"""The mask that training would see of a frame, as a picture to lay over it."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np

from vidseg.annotate.opened import OpenVideo
from vidseg.datasets.annotated import AnnotatedTruth, Rule
from vidseg.datasets.annotation import Annotation
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED
from vidseg.tasks.segmentation.refine import refine

COLOURS = np.array([[0, 0, 0, 0], [150, 150, 150, 130], [46, 214, 163, 140]], np.uint8)
"""RGBA of background, ignored, foreground."""


def mask_preview(
    opened: OpenVideo, index: int, shape: Literal["box", "ellipse", "grabcut"]
) -> bytes:
    """Return the mask of a frame as a transparent PNG of the frame's size.

    Raises:
        DataError: the frame cannot be read.
    """
    annotation = Annotation.of(opened.snapshot())
    size = opened.info.size
    labels = AnnotatedTruth(annotation, Rule(every=True), opened.place).at(index, size)
    image = next(iter(opened.pictures.frames([index]))) if shape == "grabcut" else None
    mask, _ = refine(labels, size, shape, image, where=f"frame {index}")
    place = np.select([mask == FOREGROUND, mask == IGNORED], [2, 1], 0)
    return _png(COLOURS[place])


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
