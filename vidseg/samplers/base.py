"""What a sampler plugin is, what it may ask of the experiment, and bases of the built-in ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

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

    def labelled(self, video: Video) -> Sequence[int]:
        """Return the frames that have ground truth, ascending; no other can be trained on."""
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


class FrameSampler(ABC):
    """Base of samplers that choose the frames of each video by itself, as they are.

    Attributes:
        short: what to do with a video that is too short.
        setting: the spec that messages name, such as ``"successive:n=20,start=0"``.
    """

    contract: ClassVar[int] = 1
    short: Short = "error"
    setting: str = ""

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video, in the order of time.

        Raises:
            DataError: a video is shorter than the setting and ``short=error``.
        """
        return [ctx.ref(video, index) for video in videos for index in self.choose(video, ctx)]

    @abstractmethod
    def choose(self, video: Video, ctx: SampleContext) -> Sequence[int]:
        """Return the 0-based frames of one video, ascending."""

    def existing(self, video: Video, wanted: Sequence[int], ctx: SampleContext) -> list[int]:
        """Return the frames of ``wanted`` that exist; with ``short="error"`` all must.

        Raises:
            DataError: names the video, its length and the frame that the setting needs.
        """
        length = ctx.length(video)
        found = [index for index in wanted if index < length]
        if not found or (self.short == "error" and len(found) < len(wanted)):
            raise DataError(
                f"the sampler {self.setting} needs {max(wanted) + 1} frames, "
                f"the video has {length}",
                where=f"video {video.name}",
                hint="use a shorter setting, or short=all to take the frames that exist",
            )
        return found


class CountSampler(FrameSampler):
    """Base of samplers whose one parameter is how many frames of each video they take.

    Attributes:
        name: of the plugin, for messages.
        n: how many frames of each video.
    """

    name: ClassVar[str]

    def __init__(self, n: Annotated[int, Field(ge=1)] = 20, short: Short = "error") -> None:
        self.n = n
        self.short = short
        self.setting = f"{self.name}:n={n}"

    def count(self, video: Video, ctx: SampleContext) -> int:
        """Return how many frames to take: ``n``, or with ``short="all"`` as many as exist.

        Raises:
            DataError: the video has fewer than ``n`` and ``short=error``.
        """
        return len(self.existing(video, range(self.n), ctx))
