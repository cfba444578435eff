"""Timings of the parts of a pipeline's cells: small fits and scorings, whose models are dropped."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vidseg import plugins
from vidseg.classifiers.base import Budget, Classifier, FitContext
from vidseg.errors import DataError
from vidseg.experiment.config import Scalar, Setting
from vidseg.experiment.evaluate import evaluate
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.fit import check_training, make_classifier, torch_threads
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.plugins.spec import Spec
from vidseg.suites.cells import Cell
from vidseg.suites.growth import Curve, Growth
from vidseg.suites.opened import OpenedSuite, reads_features
from vidseg.suites.worker import reraise_fatal
from vidseg.tasks.base import Task
from vidseg.types import FrameRef, Model
from vidseg.utils.progress import Quiet
from vidseg.utils.scratch import scratch
from vidseg.utils.stopwatch import Stopwatch

HEADS = (4, 4)
"""Training frames of the first fit that is timed, and how many times more the next one has."""
NETWORKS = (1, 2)
"""The same for networks, which see an image at a time."""
LONG, LONGEST, SHARE = 4.0, 8.0, 0.01
"""Seconds that a fit may take beyond the two that make a line: more where it is a small share."""
LOOKED = 64
"""Frames of which one that can be learnt by itself is sought."""
SCORED = 3
"""Test frames whose scoring is timed."""
COPIES = 3
"""Copies of one model that are scored together, to tell the frame's cost from the model's."""
MANY = 4
"""Epochs of a fit that is timed to tell an epoch from what is done once."""
ONCE, SEVERAL = Budget("equal-epochs", 1), Budget("equal-epochs", MANY)


@dataclass(frozen=True)
class Times:
    """What the parts of a pipeline's cells take, in seconds.

    Attributes:
        frame: decoding one frame and computing its features.
        fit: one fit; None where it could not be timed.
        specs: by classifier, how many times longer its fits take than those of ``fit``; 1 for
            those that are not named.
        grid: the same for the fits of all values of a grid.
        label: making the mask of one frame.
        check: counting the mask of one training frame.
        read: reading one test frame, for all models together.
        model: scoring and counting one test frame by one model.
        baselines: the same for the baselines of one training set.
        learn: fitting those, for each training frame.
    """

    frame: float
    fit: Growth | None = None
    specs: Mapping[str, float] = field(default_factory=dict)
    grid: float = 1.0
    label: float = 0.0
    check: float = 0.0
    read: float = 0.0
    model: float = 0.0
    baselines: float = 0.0
    learn: float = 0.0


def time_parts(opened: OpenedSuite, cells: Sequence[Cell]) -> Times:
    """Time the parts of one pipeline on the first frames of its largest training set.

    Args:
        opened: the opened suite.
        cells: those of the pipeline that are to be done; one at least.
    """
    experiment = opened.experiments[cells[0].pipeline]
    config = experiment.config
    watch = Stopwatch(config.threads, wall=config.device.startswith("cuda"))
    sets = [(train, cell) for cell in cells if (train := opened.training(cell)) is not None]
    material = next(iter(experiment.materials.values()))
    if not sets:
        return Times(_frame_seconds(watch, material, True))
    train, cell = max(sets, key=lambda one: len(one[0].refs))
    frame = _frame_seconds(watch, material, reads_features(cell))
    known = _truly_labelled(train)
    label = _label_seconds(watch, known, experiment.task)
    try:
        with torch_threads(config.threads):
            features = reads_features(cell)
            probe = _Probe(experiment, cell.setting, known, watch, features, len(cells))
            fit, part, model = probe.growth()
            specs, grid = probe.factors(cells, part, fit(len(part.refs)))
            check = watch.least(lambda: check_training(part, experiment.task)) / len(part.refs)
    except Exception as error:  # a classifier is anybody's; the suite will say what is wrong
        reraise_fatal(error)
        part, model = replace(known, refs=known.refs[:SCORED]), None
        return Times(frame, None, {}, 1.0, label, 0.0, *_scored(watch, experiment, part, model))
    scored = _scored(watch, experiment, part, model)
    return Times(frame, fit, specs, grid, label, check, *scored)


def _truly_labelled(train: TrainingFrames) -> TrainingFrames:
    """Return the distinct frames, unchanged by noise, with their true masks where they have any.

    Masks that are made, by a tracker say, are timed apart, and not made here.
    """
    refs = list(dict.fromkeys(FrameRef(ref.video, ref.index) for ref in train.refs))
    true = [ref for ref in refs if ref.index in set(train.materials[ref.video].labelled)]
    return replace(train, refs=true, labelled={}) if true else replace(train, refs=refs)


def _spread(refs: Sequence[FrameRef], count: int) -> list[FrameRef]:
    return list(refs[:: max(len(refs) // count, 1)][:count])


def _learnable(train: TrainingFrames, task: Task) -> FrameRef:
    """Return a frame that can be learnt by itself; the first one where none of some can be.

    Where little is to be seen, a few frames that are taken blindly show nothing.
    """
    some = _spread(train.refs, LOOKED)
    for ref in some:
        with contextlib.suppress(DataError):
            check_training(replace(train, refs=[ref]), task)
            return ref
    return some[0]


def _frame_seconds(watch: Stopwatch, material: PreparedVideo, features: bool) -> float:
    """Return what decoding a frame and computing its features take, reading them not counted."""
    frames = list(range(min(SCORED, material.length)))
    decoding = watch.least(lambda: list(material.video.frames(frames))) / len(frames)
    if not features:
        return decoding
    image = material.image(0)
    material.extractor.extract(image)
    return decoding + watch.least(lambda: material.extractor.extract(image))


def _label_seconds(watch: Stopwatch, train: TrainingFrames, task: Task) -> float:
    """Return what making the true mask of a frame takes."""
    some = [ref for ref in _spread(train.refs, SCORED) if ref.video not in train.labelled]

    def make() -> None:
        for ref in some:
            material = train.materials[ref.video]
            task.target(material.video.labels(ref.index), material.mask_size)

    return watch.least(make) / len(some) if some else 0.0


@dataclass(frozen=True)
class _Probe:
    """Small fits of one setting.

    Attributes:
        experiment: whose setting it is.
        setting: its classifier is fitted.
        train: distinct frames, of which a few are taken.
        watch: times the fits.
        features: whether the classifier works on features.
        fits: how many such fits there are to be done, with at most all of the frames.
    """

    experiment: Experiment
    setting: Setting
    train: TrainingFrames
    watch: Stopwatch
    features: bool
    fits: int

    def growth(self) -> tuple[Growth, TrainingFrames, Model]:
        """Return how fits grow, the frames of the second one that was timed, and its model.

        The two smallest sizes are always timed, larger ones as long as that is quick: a line
        through two small fits says little of large ones.
        """
        count, factor = HEADS if self.features else NETWORKS
        timings: list[tuple[int, float]] = []
        kept: list[tuple[TrainingFrames, Model]] = []
        first = _learnable(self.train, self.experiment.task)
        # untimed: the first fit imports libraries
        self._fit(self.setting, self._few(first, count))
        while True:
            part = self._few(first, count)
            seconds, model = self._timed(part)
            timings.append((len(part.refs), seconds))
            kept.append((part, model))
            whole = len(part.refs) == len(self.train.refs)
            if whole or (len(timings) > 1 and factor * seconds > self._limit(timings)):
                break
            count *= factor
        second = min(1, len(kept) - 1)
        quick = second if MANY * timings[second][1] <= LONG else 0
        once = Curve.through(timings)
        again = self._again(kept[quick][0], timings[quick][1], once)
        return Growth(once, again), *kept[second]

    def factors(
        self, cells: Sequence[Cell], part: TrainingFrames, once: float
    ) -> tuple[dict[str, float], float]:
        """Return how many times longer fits of other classifiers and of a grid take.

        Args:
            cells: of the pipeline.
            part: a few frames.
            once: seconds of a fit of them.
        """
        own = self.setting.classifier
        others = {str(one.setting.classifier): one.setting.classifier for one in cells}
        others.pop(str(own), None)
        tuned = next((one.setting for one in cells if one.setting.chooses), None)
        if tuned is None and not others:
            return {}, 1.0
        once = max(once, 1e-9)
        specs = {name: self._timed(part, spec)[0] / once for name, spec in others.items()}
        if tuned is None or tuned.tune is None:
            return specs, 1.0
        grid = self.watch.least(lambda: self._grid(tuned, part)) / once
        # from one value to the next less is left to do
        return specs, min(grid, len(tuned.tune.values)) if self._along_path(tuned) else grid

    def _limit(self, timings: Sequence[tuple[float, float]]) -> float:
        """Return how long the next fit may take, by what all fits may take as it seems now."""
        total = self.fits * Curve.through(timings)(len(self.train.refs))
        return min(max(SHARE * total, LONG), LONGEST)

    def _few(self, first: FrameRef, count: int) -> TrainingFrames:
        """Return a frame and some others, spread over the training set, read once."""
        refs = list(dict.fromkeys([first, *_spread(self.train.refs, count)]))[:count]
        part = replace(self.train, refs=refs)
        for ref in refs:
            part.features(ref) if self.features else part.frame(ref)
        return part

    def _timed(self, part: TrainingFrames, spec: Spec | None = None) -> tuple[float, Model]:
        """Return the seconds of a fit of one epoch, and a model."""
        models: list[Model] = []
        setting = replace(self.setting, classifier=spec or self.setting.classifier)

        def fit() -> None:
            models.append(self._fit(setting, part))

        return self.watch.least(fit), models[-1]

    def _again(self, part: TrainingFrames, seconds: float, once: Curve) -> float:
        """Return the seconds of each frame in a further epoch; 0 where there are no epochs.

        What a further frame takes in a fit of one epoch is one epoch and what is done once: times
        that are far from that are noise.

        Args:
            part: a few frames.
            seconds: of a fit of them, of one epoch.
            once: the same for other numbers of frames.
        """
        more = further(self.setting, part, SEVERAL)
        if not more:
            return 0.0
        longer = self.watch.least(lambda: self._fit(self.setting, part, budget=SEVERAL))
        again = (longer - seconds) / (len(part.refs) * more)
        return min(max(again, once.slope / 2), once.slope)

    def _grid(self, setting: Setting, part: TrainingFrames) -> None:
        """Fit all values of a grid, as an inner fold does."""
        tuning = setting.tune
        assert tuning is not None
        if self._along_path(setting):
            first = replace(setting, classifier=tuning.candidate(setting.classifier, 0))
            self._fit(first, part, path=tuning.values)
            return
        for place in range(len(tuning.values)):
            own = replace(setting, classifier=tuning.candidate(setting.classifier, place))
            self._fit(own, part)

    def _along_path(self, setting: Setting) -> bool:
        """Return whether a grid is fitted at once, each value from the one before."""
        assert setting.tune is not None
        classifier = plugins.create("classifier", setting.classifier)
        return setting.tune.parameter in getattr(classifier, "paths", ())

    def _fit(
        self,
        setting: Setting,
        part: TrainingFrames,
        *,
        budget: Budget = ONCE,
        path: Sequence[Scalar] = (),
    ) -> Model:
        """Fit a few frames in a folder of their own; of a path the last model is returned."""
        config, task = self.experiment.config, self.experiment.task
        made, _ = make_classifier(setting, check_training(part, task), task)
        classifier: Any = made  # the contract has no fit_path: few have one
        with scratch() as folder:
            ctx = FitContext(
                seed=setting.seed,
                device=config.device,
                memory_budget=config.memory_budget,
                workdir=folder,
                budget=budget,
                progress=Quiet(),
                stop=self.experiment.stop,
            )
            given = part, self.experiment.handle, ctx
            model: Model = classifier.fit_path(path, *given)[-1] if path else classifier.fit(*given)
            return model


def further(setting: Setting, train: TrainingFrames, budget: Budget) -> int:
    """Return how often a fit reads each frame beyond a fit of one epoch."""
    classifier: Classifier = plugins.create("classifier", setting.classifier)
    reads = getattr(classifier, "reads", None)
    if reads is None or not train.refs:
        return 0
    images = len(train.refs) / train.videos
    return max(int(reads(images, budget)) - int(reads(images, ONCE)), 0)


def _scored(
    watch: Stopwatch, experiment: Experiment, train: TrainingFrames, model: Model | None
) -> tuple[float, float, float, float]:
    """Return seconds a test frame, a model on it, the baselines on it, and a frame they learn."""
    task = experiment.task
    material = train.materials[train.refs[0].video]
    frames = sorted({ref.index for ref in train.refs if ref.video == material.video.name})[:SCORED]
    simple: list[Mapping[str, Model]] = []

    def scoring(models: Mapping[str, Model]) -> float:
        def work() -> None:
            evaluate(
                models,
                [material],
                frames=lambda _: frames,
                task=task,
                margin=experiment.margin,
                bar=Quiet(),
                device=experiment.config.device,
            )

        work()
        return watch.least(work) / len(frames)

    learn = watch.least(lambda: simple.append(task.baselines(train))) / len(train.refs)
    with torch_threads(experiment.config.threads):
        baselines = scoring(simple[-1])
        if model is None:
            return 0.0, baselines, baselines, learn
        alone = scoring({"0": model})
        several = scoring({str(i): copy.copy(model) for i in range(COPIES)})
    each = min(max((several - alone) / (COPIES - 1), 0.0), alone)
    return alone - each, each, baselines, learn
