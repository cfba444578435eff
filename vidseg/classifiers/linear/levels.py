"""Which levels a linear classifier uses, and how messages name a frame and a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError, UsageError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Features, FrameRef

VGG16_CHANNELS = (64, 128, 256, 512, 512, 512)
VGG16_STRIDES = (1, 2, 4, 8, 16, 32)
PAPER_LEVELS = (0, 1, 2, 3, 5)
"""conv1_2, conv2_2, conv3_3, conv4_3 and pool5 of the six-level VGG16 (paper, section III)."""


def choose_levels(handle: ExtractorHandle, wanted: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the levels to train on, ascending: ``wanted``, or the paper's for VGG16, or all.

    Raises:
        UsageError: ``wanted`` names a level twice or one that the extractor does not have.
    """
    if wanted is not None:
        if not wanted or len(set(wanted)) != len(wanted):
            raise UsageError(f"levels={list(wanted)} is empty or names a level twice")
        if not all(0 <= level < len(handle.levels) for level in wanted):
            names = ", ".join(f"{i} ({name})" for i, name in enumerate(handle.levels))
            raise UsageError(f"levels={list(wanted)}: the extractor has {names}")
        return tuple(sorted(wanted))
    every = tuple(range(len(handle.levels)))
    shape = (tuple(handle.channels), tuple(handle.strides))
    return PAPER_LEVELS if shape == (VGG16_CHANNELS, VGG16_STRIDES) else every


def frame_name(ref: FrameRef) -> str:
    """Return how messages name a frame: ``video a, frame 12``."""
    changed = f" ({ref.variant!r})" if ref.variant is not None else ""
    return f"video {ref.video}, frame {ref.index}{changed}"


def is_finite(values: npt.NDArray[Any]) -> bool:
    """Return whether no value is NaN or infinite; in float16 those have all exponent bits set."""
    if values.dtype == np.float16:
        return not (values.view(np.uint16) & 0x7C00 == 0x7C00).any()
    return bool(np.isfinite(values).all())


def check_finite(features: Features, ref: FrameRef, names: Sequence[str]) -> None:
    """Refuse features that are not finite.

    Args:
        features: ``(C, h, w)`` each.
        ref: the frame that they belong to.
        names: names of the levels, aligned with ``features``.

    Raises:
        DataError: names the frame and the first level with NaN or infinity.
    """
    for level, name in zip(features, names, strict=True):
        if not is_finite(level):
            raise DataError(
                "the features hold NaN or infinity (float16 ends at 65504)",
                where=f"{frame_name(ref)}, level {name}",
                hint="check the extractor's weights, or choose levels without this one",
            )
