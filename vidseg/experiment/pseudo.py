"""Pseudo-labels: a model that is fitted on a video's key frames labels the frames between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from vidseg import plugins
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.load import load_model
from vidseg.datasets.base import MaskLabels
from vidseg.errors import DataError, UsageError
from vidseg.labels.boxes import Boxes
from vidseg.labels.effort import Effort, by_hand
from vidseg.labels.key_boxes import spaced
from vidseg.types import FrameRef, Labels, Mask, Model, State, Video, labelled_frames
from vidseg.utils.hashing import digest
from vidseg.utils.scratch import scratch
from vidseg.utils.stop import check_stop

if TYPE_CHECKING:
    from vidseg.experiment.training import PreparedVideo, TrainingFrames
    from vidseg.plugins.spec import Spec
    from vidseg.utils.progress import ProgressBar

_RULE = "pseudo 1"


@dataclass(frozen=True)
class Pipeline:
    """What is trained: a label source that fits a model fits this one.

    Attributes:
        materials: the prepared videos by name.
        classifier: resolved spec.
        budget: how long it may train.
        device, memory_budget, threads: of the configuration.
    """

    materials: Mapping[str, PreparedVideo]
    classifier: Spec
    budget: Budget
    device: str
    memory_budget: int
    threads: int


class Pseudo:
    """Train on what a model makes of the true boxes of some frames.

    For each video the run's own extractor and classifier are fitted on the boxes of its key frames
    (seed 0); the scores of the model label the other frames where they are sure, and the rest is
    ignored. Where the key frames hold one class only, all of the other frames is ignored.

    Args:
        every: frames from one key frame to the next; labelled frames that are nearer to each other
            are passed over.
        margin: pixels whose score is nearer to 0 are ignored; 1 is the margin of an SVM.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        every: Annotated[int, Field(ge=1)] = 20,
        margin: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        self._every, self._margin = every, margin
        self._pipeline: Pipeline | None = None

    def within(self, pipeline: Pipeline) -> Pseudo:
        """Return the source as it is used in a pipeline."""
        found = Pseudo(self._every, self._margin)
        found._pipeline = pipeline
        return found

    def of(self, video: Video) -> PseudoLabels:
        """Return the labels of a video; nothing is fitted before it is needed.

        Raises:
            UsageError: there is no pipeline whose model could be fitted.
        """
        if self._pipeline is None:
            raise UsageError("pseudo-labels are made in a run or a suite", where="train_labels")
        return PseudoLabels(video, self._every, self._margin, self._pipeline)


class PseudoLabels:
    """The pseudo-labels of one video; a :class:`vidseg.labels.base.VideoLabels`."""

    def __init__(
        self,
        video: Video,
        every: int,
        margin: float,
        pipeline: Pipeline,
        state: State | None = None,
    ) -> None:
        self._video, self._every, self._margin, self._pipeline = video, every, margin, pipeline
        self._state, self._model = state, None if state is None else self._loaded(state)
        self._boxes = Boxes().of(video)
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the fitted model, so that other processes need not fit it."""
        given = (self._video, self._every, self._margin, self._pipeline, self._state)
        return PseudoLabels, given

    @cached_property
    def key(self) -> str:
        """Hash of the labels, frames and rules; a cell's key has the pipeline besides."""
        keys = self._video.label_key, self._video.image_key
        return digest([_RULE, *keys, self._every, self._margin])

    @cached_property
    def _keys(self) -> list[int]:
        return spaced(labelled_frames(self._video), self._every)

    def labelled(self) -> Sequence[int]:
        """Return the frames from the first labelled one to the last."""
        labelled = labelled_frames(self._video)
        return range(labelled[0], labelled[-1] + 1) if labelled else ()

    def effort(self, indices: Sequence[int]) -> Effort:
        """Return what drawing the boxes of the key frames takes."""
        return by_hand(self._video, self._keys)

    def labels(self, index: int) -> Labels:
        """Return the boxes of a key frame, a mask at the experiment's size of another one."""
        if index in self._keys:
            return self._boxes.labels(index)
        self._fitted(check_stop)
        mask = self._mask(index)
        return MaskLabels(self._material.mask_size, mask)

    def prepare(self, indices: Sequence[int], task: ProgressBar, stop: Callable[[], None]) -> None:
        """Fit the model, if that was not done before.

        Args:
            indices: frames that are wanted.
            task: advanced by one for each of them.
            stop: raises when the user asked to stop.
        """
        self._fitted(stop)
        task.advance(len(indices))

    @property
    def _material(self) -> PreparedVideo:
        return self._pipeline.materials[self._video.name]

    def _mask(self, index: int) -> Mask:
        from vidseg.experiment.evaluate import frame_scores

        size, margin = self._material.mask_size, self._margin
        if self._model is None:
            return np.zeros(size, np.int8)
        scores = frame_scores({"": self._model}, self._material, index, self._pipeline.device)[""]
        return np.where(np.abs(scores) < margin, 0, np.sign(scores)).astype(np.int8)

    def _fitted(self, stop: Callable[[], None]) -> None:
        with self._lock:
            if self._state is None:
                self._model = self._fit(stop)
                self._state = {} if self._model is None else self._model.export()

    def _fit(self, stop: Callable[[], None]) -> Model | None:
        """Return the model of the key frames; None where they hold one class only."""
        from vidseg.experiment.fit import prepare, torch_threads
        from vidseg.utils.progress import Quiet

        pipeline, train = self._pipeline, self._train()
        try:
            self._material.task.check(train)
        except DataError:
            return None
        classifier = plugins.create("classifier", pipeline.classifier)
        features = "features" in classifier.needs
        prepare(train, self._video.name, Quiet(), stop, features=features)
        with scratch() as folder:
            ctx = FitContext(
                device=pipeline.device,
                memory_budget=pipeline.memory_budget,
                workdir=folder,
                budget=pipeline.budget,
                stop=stop,
            )
            with torch_threads(pipeline.threads):
                model: Model = classifier.fit(train, self._material.extractor.handle, ctx)
        return model

    def _train(self) -> TrainingFrames:
        from vidseg.experiment.training import Labelled, TrainingFrames
        from vidseg.experiment.training_labels import TrainingLabels

        material, name = self._material, self._video.name
        labels = TrainingLabels(
            self._video,
            self._boxes,
            "box",
            partial(getattr, material, "mask_size"),
            material.store,
            material.task,
        )
        refs = [FrameRef(name, index) for index in self._keys]
        return TrainingFrames({name: material}, refs, {name: Labelled(material, labels)})

    def _loaded(self, state: State) -> Model | None:
        if not state:
            return None
        classifier = plugins.create("classifier", self._pipeline.classifier)
        handle = self._material.extractor.handle
        return load_model(classifier, state, handle, where=f"pseudo-labels of {self._video.name}")
