"""What a sampler plugin is, what it may ask of the experiment, and bases of the built-in ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from vidseg.errors import DataError, UnlabelledError
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
        """Return the frames that have labels, ascending; no other can be trained on."""
        ...

    def prepare(self, video: Video, *, features: bool = False) -> None:
        """Get ready to give all frames of a video, or the features of its labelled ones.

        It is decoded once, in order.
        """
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
        spacing: distance of two frames that are asked for; None where none is asked for.
    """

    contract: ClassVar[int] = 1
    short: Short = "error"
    setting: str = ""
    spacing: int | None = None

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the frames, video by video, in the order of time.

        Raises:
            DataError: a video is shorter than the setting and ``short=error``.
            UnlabelledError: so is its list of labelled frames.
        """
        return [ctx.ref(video, index) for video in videos for index in self.choose(video, ctx)]

    @abstractmethod
    def choose(self, video: Video, ctx: SampleContext) -> Sequence[int]:
        """Return the 0-based frames of one video, ascending; labelled ones."""

    def existing(self, video: Video, wanted: Sequence[int], ctx: SampleContext) -> list[int]:
        """Return the labelled frames among ``wanted``; with ``short="error"`` all must be.

        Raises:
            DataError: names the video, its length and the frame that the setting needs.
            UnlabelledError: frames that it needs exist without labels; says what can be had.
        """
        length, there = ctx.length(video), members(ctx.labelled(video))
        found = [index for index in wanted if index in there]
        if found and (self.short == "all" or len(found) == len(wanted)):
            return found
        if len(found) < sum(index < length for index in wanted):
            raise self.unlabelled(video, wanted, len(found), ctx)
        raise DataError(
            f"the sampler {self.setting} needs {max(wanted) + 1} frames, the video has {length}",
            where=f"video {video.name}",
            hint="use a shorter setting, or short=all to take the frames that exist",
        )

    def unlabelled(
        self, video: Video, wanted: Sequence[int], found: int, ctx: SampleContext
    ) -> UnlabelledError:
        """Return the error for frames that exist without labels.

        Args:
            video: the video.
            wanted: its frames that the setting asks for, ascending.
            found: how many of them are labelled.
            ctx: of the sampler.
        """
        labelled = ctx.labelled(video)
        step = usual_spacing(wanted) or 1
        apart = f" {step} apart" if len(wanted) > 1 else ""
        return UnlabelledError(
            f"the sampler {self.setting} needs {len(wanted)} frames{apart} from frame {wanted[0]} "
            f"on, {found} of them are labelled ({len(labelled)} of {ctx.length(video)} are)",
            where=f"video {video.name}",
            hint=self._possible(labelled, step, len(wanted))
            + (", or short=all to take those that are labelled" if self._may_take(found) else ""),
        )

    def offer(self, n: int, every: int) -> str:
        """Return a spec of ``n`` frames ``every`` apart."""
        return f"strided:every={every},n={n}"

    def _may_take(self, found: int) -> bool:
        return found > 0 and self.short == "error"

    def _possible(self, labelled: Sequence[int], step: int, wanted: int) -> str:
        """Return what the labels can give instead of ``wanted`` frames ``step`` apart."""
        spacing = usual_spacing(labelled)
        if spacing is None:
            return f"only frame {labelled[0]} is" if labelled else "label some frames first"
        nearest = -(-step // spacing) * spacing
        places = range(labelled[0], labelled[-1] + 1, nearest)
        found = len(set(labelled) & set(places))
        if found < max(2, 0.8 * len(places)):
            few = min(wanted, len(labelled))
            return f"labelled frames have no such spacing: use uniform:n={few}"
        example = self.offer(min(wanted, found), nearest)
        return f"labelled frames are {spacing} apart: use {example}"


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
        """Return how many of the labelled frames to take: ``n``, or as many as there are.

        Raises:
            DataError: the video has fewer than ``n`` and ``short=error``.
            UnlabelledError: it has no labelled frame, or fewer than ``n`` and ``short=error``.
        """
        length, labelled = ctx.length(video), len(ctx.labelled(video))
        if labelled and (labelled >= self.n or self.short == "all"):
            return min(self.n, labelled)
        if labelled == length:
            return len(self.existing(video, range(self.n), ctx))
        raise UnlabelledError(
            f"the sampler {self.setting} needs {self.n} labelled frames, the video has {labelled} "
            f"of {length}",
            where=f"video {video.name}",
            hint="use a smaller n, or short=all to take those that are labelled",
        )


def members(frames: Sequence[int]) -> Collection[int]:
    """Return the same frames, to look them up."""
    return frames if isinstance(frames, range) else frozenset(frames)


def first_from(frames: Sequence[int], start: int) -> int:
    """Return the first of ``frames`` (ascending) from ``start`` on, ``start`` where none is."""
    place = bisect_left(frames, start)
    return frames[place] if place < len(frames) else start


def usual_spacing(frames: Sequence[int]) -> int | None:
    """Return the most frequent distance of two neighbours, of several the least.

    >>> usual_spacing([0, 5, 10, 11])
    5
    """
    if isinstance(frames, range):
        return frames.step if len(frames) > 1 else None
    steps = Counter(after - before for before, after in pairwise(frames))
    return min(steps, key=lambda step: (-steps[step], step)) if steps else None
