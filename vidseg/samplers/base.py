"""What a sampler plugin is, and what it may ask of the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from vidseg.errors import DataError
from vidseg.types import Features, FrameRef, Image, Variant, Video

Short = Literal["error", "all"]
"""What to do with a video shorter than the setting: refuse it, or use the frames that exist."""


class SampleContext(Protocol):
    """What the experiment offers to a sampler."""

    @property
    def seed(self) -> int:
        """Seed of the cell."""
        ...

    def rng(self, video: Video) -> np.random.Generator:
        """Return a generator seeded by (seed, fold, video), whatever the other videos draw."""
        ...

    def length(self, video: Video) -> int:
        """Return the true number of frames."""
        ...

    def prepare(self, video: Video, *, features: bool = False) -> None:
        """Get ready to give all frames of a video, or their features: decode it once, in order."""
        ...

    def image(self, video: Video, index: int) -> Image:
        """Return one frame at ``image_size``."""
        ...

    def features(self, video: Video, index: int) -> Features:
        """Return the extractor's features of one frame."""
        ...

    def ref(self, video: Video, index: int, variant: Variant | None = None) -> FrameRef:
        """Make a :class:`FrameRef`, so that a plugin need not import vidseg."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Chooses training frames (entry-point group ``vidseg.samplers``).

    It sees all training videos at once, so that a budget can be spread over them.
    """

    contract: ClassVar[int]

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> Sequence[FrameRef]:
        """Return the training frames, each as often as it is to be seen in one epoch.

        Raises:
            DataError: a video is shorter than the setting and ``short=error``.
        """
        ...


def existing(
    video: Video, wanted: Sequence[int], length: int, *, short: Short, setting: str
) -> list[int]:
    """Return the frames of ``wanted`` that exist; with ``short="error"`` all must.

    Raises:
        DataError: names the video, its length and the frame that the setting needs.
    """
    found = [index for index in wanted if index < length]
    if not found or (short == "error" and len(found) < len(wanted)):
        raise DataError(
            f"the sampler {setting} needs {max(wanted) + 1} frames, the video has {length}",
            where=f"video {video.name}",
            hint="use a shorter setting, or short=all to take the frames that exist",
        )
    return found
