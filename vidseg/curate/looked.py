"""Footage that was looked at: its frames in the store, its descriptors, what a sampler may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidseg.curate.footage import Footage
from vidseg.experiment.training import PreparedVideo, SamplingContext
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.samplers.k_center import pooled
from vidseg.store import Store, StoredDescriptors
from vidseg.types import Size, Video, VideoInfo
from vidseg.utils.progress import Progress, ProgressBar
from vidseg.utils.stop import check_stop

Floats = npt.NDArray[np.float64]

LONGER_SIDE = 160
"""Of the pictures that are compared, in pixels, unless an image size is given."""
_POOLED = "pooled 1"


@dataclass(frozen=True)
class Tools:
    """What frames are looked at with.

    Attributes:
        store: keeps frames and descriptors.
        spec: of the selection's extractor.
        extractor: the same; samplers see its features.
        plain: ``filters``, by whose features near copies are told.
        image_size: what ``extractor`` sees, ``"native"`` for the video's own size; None: the longer
            side is 160 pixels.
        progress: where to tell how far it is.
    """

    store: Store
    spec: str
    extractor: FrozenExtractor
    plain: FrozenExtractor
    image_size: Size | Literal["native"] | None
    progress: Progress


@dataclass(eq=False)
class Looked:
    """One video at the size of the selection.

    Attributes:
        footage: the video.
        tools: what it is looked at with.
    """

    footage: Footage
    tools: Tools
    _kept: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the video."""
        return self.footage.name

    @cached_property
    def info(self) -> VideoInfo:
        """True length, native size and frame rate."""
        return self.footage.probe()

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.info.length

    @cached_property
    def prepared(self) -> PreparedVideo:
        """Its frames and features as samplers see them."""
        asked = self.tools.image_size
        size = (None if asked == "native" else asked) if asked else small(self.info.size)
        store, extractor = self.tools.store, self.tools.extractor
        return PreparedVideo(self.footage, self.name, store, size, None, extractor)

    def look(self) -> None:
        """Decode the video once, and describe every frame.

        Raises:
            DataError: a frame cannot be read; names video and frame.
        """
        self.prepared  # noqa: B018 - its size is checked before the work
        _ = self.plain

    @property
    def plain(self) -> Floats:
        """Descriptors by which near copies are told, ``float64 (frames, C)``."""
        return self._read(self.tools.plain, small(self.info.size))

    @property
    def pooled(self) -> Floats:
        """Descriptors of the selection's extractor, ``float64 (frames, C)``."""
        return self._read(self.tools.extractor, self.prepared.image_size)

    def _read(self, extractor: FrozenExtractor, size: Size) -> Floats:
        which = f"{extractor.key} {size}"
        if which not in self._kept:
            store, progress = self.tools.store, self.tools.progress
            frames = store.frames(self.footage, size)
            with progress.task(f"{self.name}: frames", self.length) as bar:
                frames.prepare(range(self.length), Stoppable(bar))
            features = store.features(self.footage, extractor, frames, keep=False)
            vectors: StoredDescriptors = store.descriptors(features, pooled, _POOLED)
            with progress.task(f"{self.name}: features", self.length) as bar:
                self._kept[which] = vectors.read_all(range(self.length), bar)
        return self._kept[which]


@dataclass(frozen=True)
class FootageContext(SamplingContext):
    """What a sampler may ask of footage; a :class:`vidseg.samplers.base.SampleContext`.

    Attributes:
        find: gives the footage of a video.
    """

    find: Callable[[Video], Looked] = field(kw_only=True)

    def prepare(self, video: Video, *, features: bool = False) -> None:
        """Decode a whole video once, in order, and compute its features if they are wanted."""
        looked = self.find(video)
        kept = looked.prepared.stored_features if features else looked.prepared.stored
        with looked.tools.progress.task(f"{video.name}: reading", looked.length) as bar:
            kept.prepare(range(looked.length), Stoppable(bar))

    def pooled(self, video: Video) -> Floats:
        """Return the pooled features of every frame, ``float64 (frames, channels)``."""
        return self.find(video).pooled


def context(videos: list[Looked], seed: int) -> FootageContext:
    """Return what samplers may ask of these videos."""
    by_name = {looked.name: looked for looked in videos}
    prepared = {name: looked.prepared for name, looked in by_name.items()}
    return FootageContext(prepared, seed, find=lambda video: by_name[video.name])


@dataclass(frozen=True)
class Stoppable:
    """A line of progress at each of whose steps the user may stop the work."""

    bar: ProgressBar

    def advance(self, steps: float = 1) -> None:
        """Move on by ``steps``."""
        check_stop()
        self.bar.advance(steps)


def small(native: Size) -> Size:
    """Return a size of the same shape whose longer side is 160 pixels at most, both sides even."""
    scale = min(1.0, LONGER_SIDE / max(native))
    height, width = (max(8, 2 * round(side * scale / 2)) for side in native)
    return Size(height, width)
