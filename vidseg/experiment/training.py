"""Frames, masks and features of the videos of one experiment, and the training set made of them.

A training set can be pickled to another process on the same disks: what it was made of goes along,
and frames, masks and features come from the store there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from vidseg.errors import DataError
from vidseg.experiment.training_labels import MaskCache, TrainingLabels
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.store import Store
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task
from vidseg.types import (
    Features,
    FloatImage,
    FrameRef,
    FrameSource,
    Image,
    Mask,
    Size,
    Variant,
    Video,
    VideoInfo,
    labelled_frames,
)
from vidseg.utils.random import seed_of

Rendered = tuple[Image | FloatImage, Mask]
"""Image and mask of a variant."""


class PreparedVideo:
    """One video at the sizes of the experiment; satisfies :class:`vidseg.types.FrameSource`.

    Args:
        video: the video.
        group: its group after the content check.
        store: keeps frames and features.
        image_size: what the extractor sees; None for the native size.
        mask_size: size of masks and scores; None for the image size.
        extractor: computes the features.
        task: makes masks of labels; None: the default one.
    """

    def __init__(
        self,
        video: Video,
        group: str,
        store: Store,
        image_size: Size | None,
        mask_size: Size | None,
        extractor: FrozenExtractor,
        task: Task | None = None,
    ) -> None:
        self.video, self.group, self.extractor, self.store = video, group, extractor, store
        self.task = task or find_task()
        self.stored = store.frames(video, image_size)
        self.stored_features = store.features(video, extractor, self.stored)
        self._image_size, self._mask_size = image_size, mask_size
        self._masks = MaskCache()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of: masks and open entries are read again where it arrives."""
        sizes = self._image_size, self._mask_size
        given = (self.video, self.group, self.store, *sizes, self.extractor, self.task)
        return PreparedVideo, given

    @property
    def info(self) -> VideoInfo:
        """True length and native size."""
        return self.stored.info

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.info.length

    @cached_property
    def labelled(self) -> tuple[int, ...]:
        """Frames that have ground truth, ascending.

        Raises:
            DataError: the video names a frame that it does not have.
        """
        found = tuple(sorted({int(index) for index in labelled_frames(self.video)}))
        if found and not 0 <= found[0] <= found[-1] < self.length:
            raise DataError(
                f"frames {found[0]} to {found[-1]} are said to be labelled, the video has "
                f"{self.length} frames",
                where=f"video {self.video.name}",
            )
        return found

    @cached_property
    def image_size(self) -> Size:
        """Size of what the extractor sees."""
        return self.stored.size

    @property
    def mask_size(self) -> Size:
        """Size of masks and scores."""
        return self._mask_size or self.image_size

    def image(self, index: int) -> Image:
        """Return frame ``index``, ``uint8 (H, W, 3)`` at the image size."""
        return self.stored.read(index)

    def mask(self, index: int) -> Mask:
        """Return the true mask of frame ``index``, ``int8 (h, w)`` at the mask size, read-only."""
        return self._masks.get(index, self._target)

    def _target(self, index: int) -> Mask:
        return self.task.target(self.video.labels(index), self.mask_size)

    def features(self, index: int) -> Features:
        """Return the features of frame ``index``, from the store or computed.

        Raises:
            DataError: they are not finite; names video and frame.
        """
        try:
            return self.stored_features.read(index)
        except DataError as error:
            if self.video.name in str(error):
                raise
            raise DataError(
                error.what, where=f"video {self.video.name} frame {index}", hint=error.hint
            ) from error


@dataclass(frozen=True, eq=False)
class Labelled:
    """The images of a video with its training masks; a :class:`vidseg.types.FrameSource`.

    Keep one for a video: what variants measure of it is remembered with the object.
    """

    material: PreparedVideo
    labels: TrainingLabels

    @property
    def frames(self) -> Sequence[int]:
        """The frames that have training labels, ascending: those of the truth unless it says."""
        own = self.labels.labelled
        return self.material.labelled if own is None else own

    def image(self, index: int) -> Image:
        """Return frame ``index`` at the image size."""
        return self.material.image(index)

    def mask(self, index: int) -> Mask:
        """Return the training mask of frame ``index`` at the mask size."""
        return self.labels.mask(index)


@dataclass(frozen=True)
class SamplingContext:
    """What the experiment offers to a sampler; a :class:`vidseg.samplers.base.SampleContext`.

    Attributes:
        materials: by video name.
        seed: of the setting.
        train: the fold's training groups. Each fold draws for itself: if a lucky draw were shared
            by all folds, all groups would gain by it, and the statistics would take it for certain.
        frames: by video name the frames with training labels; absent, those with ground truth.
    """

    materials: Mapping[str, PreparedVideo]
    seed: int
    train: Sequence[str] = ()
    frames: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def rng(self, video: Video) -> np.random.Generator:
        """Return a generator seeded by (seed, fold, video)."""
        return np.random.default_rng(seed_of(self.seed, *self.train, video.name))

    def length(self, video: Video) -> int:
        """Return the true number of frames."""
        return self.materials[video.name].length

    def labelled(self, video: Video) -> Sequence[int]:
        """Return the frames that have training labels, ascending."""
        own = self.frames.get(video.name)
        return self.materials[video.name].labelled if own is None else own

    def prepare(self, video: Video, *, features: bool = False) -> None:
        """Decode a whole video in order, or compute the features of its labelled frames."""
        material = self.materials[video.name]
        if features:
            material.stored_features.prepare(self.labelled(video))
        else:
            material.stored.prepare(range(material.length))

    def image(self, video: Video, index: int) -> Image:
        """Return one frame at the image size."""
        return self.materials[video.name].image(index)

    def features(self, video: Video, index: int) -> Features:
        """Return the features of one frame."""
        return self.materials[video.name].features(index)

    def ref(self, video: Video, index: int, variant: Variant | None = None) -> FrameRef:
        """Make a :class:`vidseg.types.FrameRef`."""
        return FrameRef(video.name, index, variant)


@dataclass(frozen=True)
class TrainingFrames:
    """The training frames of one cell; a :class:`vidseg.types.TrainingSet`.

    Attributes:
        materials: by video name; at least those that ``refs`` name.
        refs: the frames, in the order of the sampler.
        labelled: videos with training masks, by name; of absent ones the truth is taken.
        epoch: which draw of fresh variants is seen.
    """

    materials: Mapping[str, PreparedVideo]
    refs: Sequence[FrameRef]
    labelled: Mapping[str, Labelled] = field(default_factory=dict)
    epoch: int = 0
    _last: list[tuple[FrameRef, int, Rendered]] = field(
        default_factory=list, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the frames with their videos only; pixels stay in the store."""
        used = {ref.video for ref in self.refs}
        materials = {name: one for name, one in self.materials.items() if name in used}
        labelled = {name: one for name, one in self.labelled.items() if name in used}
        return TrainingFrames, (materials, self.refs, labelled, self.epoch)

    @property
    def content(self) -> Hashable:
        """Equal for two training sets of one experiment that hold the same frames and masks."""
        return tuple(self.refs), tuple(self.labelled.items()), self.epoch

    @property
    def groups(self) -> list[str]:
        """Group of each frame's video."""
        return [self.materials[ref.video].group for ref in self.refs]

    @property
    def videos(self) -> int:
        """Number of distinct videos."""
        return len({ref.video for ref in self.refs})

    @property
    def image_size(self) -> Size:
        """Image size of the first video (videos differ only with native sizes)."""
        return self._first.image_size

    @property
    def mask_size(self) -> Size:
        """Mask size of the first video (videos differ only with native sizes)."""
        return self._first.mask_size

    @property
    def _first(self) -> PreparedVideo:
        return self.materials[self.refs[0].video]

    def frame(self, ref: FrameRef) -> Image | FloatImage:
        """Return the image of ``ref``."""
        return self._rendered(ref)[0] if ref.variant is not None else self._of(ref).image(ref.index)

    def mask(self, ref: FrameRef) -> Mask:
        """Return the mask of ``ref``."""
        source = self._source(ref)
        return self._rendered(ref)[1] if ref.variant is not None else source.mask(ref.index)

    def features(self, ref: FrameRef) -> Features:
        """Return the features of ``ref``; those of a variant are computed on the fly."""
        material = self._of(ref)
        if ref.variant is None:
            return material.features(ref.index)
        return material.extractor.extract(self.frame(ref))

    def subset(self, groups: Sequence[str]) -> TrainingFrames:
        """Return the frames of the videos of ``groups``."""
        kept = [ref for ref in self.refs if self._of(ref).group in set(groups)]
        return replace(self, refs=kept)

    def with_epoch(self, epoch: int) -> TrainingFrames:
        """Return the same frames as they are drawn in ``epoch``."""
        return replace(self, epoch=epoch)

    def shard(self, rank: int, world: int) -> TrainingFrames:
        """Return every ``world``-th frame from ``rank`` on."""
        return replace(self, refs=self.refs[rank::world])

    def _of(self, ref: FrameRef) -> PreparedVideo:
        return self.materials[ref.video]

    def _source(self, ref: FrameRef) -> FrameSource:
        return self.labelled.get(ref.video) or self._of(ref)

    def _rendered(self, ref: FrameRef) -> Rendered:
        """Return image and mask of a variant; a visit asks for both, so the last one is kept."""
        assert ref.variant is not None
        epoch = self.epoch if ref.variant.fresh else 0
        for kept, when, rendered in tuple(self._last):
            if (kept, when) == (ref, epoch):
                return rendered
        rendered = ref.variant.render(self._source(ref), ref.index, epoch)
        self._last[:] = [(ref, epoch, rendered)]
        return rendered
