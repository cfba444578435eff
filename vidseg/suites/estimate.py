"""How long cells will take: small fits and scorings are timed, and grown with frames and epochs."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vidseg import plugins
from vidseg.classifiers.base import Budget, Classifier, FitContext
from vidseg.errors import DataError
from vidseg.experiment.config import Setting
from vidseg.experiment.evaluate import evaluate
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.fit import check_training, make_classifier, torch_threads
from vidseg.experiment.inner import inner_groups, without
from vidseg.experiment.options import INNER
from vidseg.experiment.records import Row
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.suites.cells import Cell
from vidseg.suites.opened import OpenedSuite, reads_features
from vidseg.suites.worker import reraise_fatal
from vidseg.tasks.base import Task
from vidseg.types import FrameRef, Model
from vidseg.utils.progress import Quiet
from vidseg.utils.scratch import scratch

FEW, MORE = 4, 16
"""Training frames of the two fits that are timed."""
IMAGES = (1, 2)
"""The same for networks, which see an image at a time."""
LOOKED = 64
"""Frames of which one that can be learnt by itself is sought."""
SCORED = 3
"""Test frames whose scoring is timed."""
TRIES, SHORT = 3, 1.0
"""How often a short fit is timed, and the seconds that the tries may take together."""
COPIES = 3
"""Copies of one model that are scored together, to tell the frame's cost from the model's."""


@dataclass(frozen=True)
class Rate:
    """Seconds that grow with work: ``start + each * work``."""

    start: float
    each: float

    def __call__(self, work: float) -> float:
        """Return the seconds of some work."""
        return self.start + self.each * work

    @classmethod
    def through(cls, small: tuple[float, float], large: tuple[float, float]) -> Rate:
        """Return the rate through two (work, seconds); it never falls, nor starts below 0.

        Example:
            >>> Rate.through((4, 1.0), (16, 2.2))(100).__round__(6)
            10.6
        """
        (w1, t1), (w2, t2) = small, large
        if w2 <= w1 or t2 <= t1:
            return cls(0.0, max(t1 / w1, t2 / w2) if w2 <= w1 else t2 / w2)
        each = (t2 - t1) / (w2 - w1)
        start = t1 - each * w1
        return cls(start, each) if start >= 0 else cls(0.0, t2 / w2)


@dataclass(frozen=True)
class Times:
    """What the parts of a pipeline's cells take, in seconds.

    Attributes:
        frame: decoding one frame and computing its features.
        fit: one fit, by work (see :func:`_work`); None where it could not be timed.
        grid: fits of all values of a grid on one inner part; None without a grid.
        check: counting the labels of one training frame.
        read: reading one test frame, for all models together.
        model: scoring and counting one test frame by one model.
        baselines: the same for the baselines of one training set.
        learn: fitting those, for each training frame.
    """

    frame: float
    fit: Rate | None
    grid: Rate | None
    check: float
    read: float
    model: float
    baselines: float
    learn: float


def calibrate(opened: OpenedSuite, waiting: Sequence[Cell], plan: Row) -> Row:
    """Return estimated seconds of one process, from small fits and scorings that are timed.

    Args:
        opened: the opened suite.
        waiting: the cells that are to be done.
        plan: of :func:`vidseg.suites.plan.make_plan`.

    Returns:
        ``seconds_forwards``: frames decoded and features computed; ``seconds_fits``: all fits,
        inner ones of grids and thresholds too; ``seconds_scoring``: every test frame of every
        cell, with the baselines; ``untimed``: names of pipelines whose fits could not be timed.
    """
    if not waiting:
        return {"seconds_forwards": 0.0, "seconds_fits": 0.0, "seconds_scoring": 0.0}
    own = {name: [c for c in waiting if c.pipeline == name] for name in opened.experiments}
    times = {name: _times(opened, cells) for name, cells in own.items() if cells}
    fits = sum(_cell_seconds(opened, cell, times[cell.pipeline]) for cell in waiting)
    # the slowest pipeline's, so that the estimate errs on the long side
    frame = max(one.frame for one in times.values())
    seconds: Row = {
        "seconds_forwards": frame * float(plan["forwards_announced"]),
        "seconds_fits": fits,
        "seconds_scoring": _scoring(opened, waiting, times),
    }
    if untimed := [name for name, one in times.items() if one.fit is None]:
        seconds["untimed"] = untimed
    return seconds


def _times(opened: OpenedSuite, cells: Sequence[Cell]) -> Times:
    """Time the parts of one pipeline on the first frames of its largest training set."""
    experiment = opened.experiments[cells[0].pipeline]
    sets = [(train, cell) for cell in cells if (train := opened.training(cell)) is not None]
    material = next(iter(experiment.materials.values()))
    if not sets:
        return Times(_frame_seconds(material, True), None, None, 0.0, 0.0, 0.0, 0.0, 0.0)
    train, cell = max(sets, key=lambda one: len(one[0].refs))
    features = reads_features(cell)
    frame = _frame_seconds(material, features)
    first = _learnable(train, experiment.task)
    parts = [_few(train, first, count) for count in ((FEW, MORE) if features else IMAGES)]
    for ref in parts[-1].refs:
        parts[-1].features(ref) if features else parts[-1].frame(ref)
    check, fit, grid, model = 0.0, None, None, None
    try:
        check = _seconds(lambda: check_training(parts[-1], experiment.task)) / len(parts[-1].refs)
        fit, model = _fits(experiment, cell.setting, parts)
        if any(one.setting.chooses for one in cells):
            grid = _grid(experiment, cell.setting, parts)
    except Exception as error:  # a classifier is anybody's; the suite will say what is wrong
        reraise_fatal(error)
    return Times(frame, fit, grid, check, *_scored(experiment, parts[-1], model))


def _few(train: TrainingFrames, first: FrameRef, count: int) -> TrainingFrames:
    """Return a frame and some others of a training set, spread over it, unchanged by noise."""
    return replace(train, refs=list(dict.fromkeys([first, *_spread(train, count)]))[:count])


def _learnable(train: TrainingFrames, task: Task) -> FrameRef:
    """Return a frame that can be learnt by itself; the first one where none of some can be.

    Where little is to be seen, a few frames that are taken blindly show nothing.
    """
    some = _spread(train, LOOKED)
    for ref in some:
        with contextlib.suppress(DataError):
            check_training(replace(train, refs=[ref]), task)
            return ref
    return some[0]


def _spread(train: TrainingFrames, count: int) -> list[FrameRef]:
    refs = list(dict.fromkeys(FrameRef(ref.video, ref.index) for ref in train.refs))
    return refs[:: max(len(refs) // count, 1)][:count]


def _frame_seconds(material: PreparedVideo, features: bool) -> float:
    """Return what decoding a frame and computing its features take, reading them not counted."""
    frames = list(range(min(SCORED, material.length)))
    decoding = _seconds(lambda: list(material.video.frames(frames))) / len(frames)
    if not features:
        return decoding
    image = material.image(0)
    material.extractor.extract(image)
    return decoding + min(_seconds(lambda: material.extractor.extract(image)) for _ in frames)


def _fits(
    experiment: Experiment, setting: Setting, parts: Sequence[TrainingFrames]
) -> tuple[Rate, Model]:
    """Return the rate of a pipeline's fits, and the larger model."""
    models: list[Model] = []

    def seconds(part: TrainingFrames) -> float:
        return _quickest(
            lambda: models.append(_fit(experiment, setting, part, lambda c, *given: c.fit(*given)))
        )

    return _rate(setting, parts, seconds), models[-1]


def _rate(
    setting: Setting, parts: Sequence[TrainingFrames], seconds: Callable[[TrainingFrames], float]
) -> Rate:
    small, large = ((_work(setting, part, Budget(base=1)), seconds(part)) for part in parts)
    return Rate.through(small, large)


def _grid(experiment: Experiment, setting: Setting, parts: Sequence[TrainingFrames]) -> Rate | None:
    """Return the rate of the fits of all values of a grid; None without one."""
    tuning = setting.tune
    if tuning is None:
        return None
    first = replace(setting, classifier=tuning.candidate(setting.classifier, 0))
    classifier = plugins.create("classifier", first.classifier)
    along = tuning.parameter in getattr(classifier, "paths", ())

    def fits(part: TrainingFrames) -> None:
        if along:
            _fit(experiment, first, part, lambda c, *given: c.fit_path(tuning.values, *given))
            return
        for place in range(len(tuning.values)):
            own = replace(setting, classifier=tuning.candidate(setting.classifier, place))
            _fit(experiment, own, part, lambda c, *given: c.fit(*given))

    return _rate(setting, parts, lambda part: _quickest(lambda: fits(part)))


def _fit(
    experiment: Experiment,
    setting: Setting,
    part: TrainingFrames,
    call: Callable[..., Model],
) -> Model:
    """Fit a few frames, for one epoch where there are epochs."""
    config = experiment.config
    classifier, _ = make_classifier(setting, check_training(part, experiment.task), experiment.task)
    with (
        scratch() as folder,
        torch_threads(config.threads),
    ):
        ctx = FitContext(
            seed=setting.seed,
            device=config.device,
            memory_budget=config.memory_budget,
            workdir=folder,
            budget=Budget(base=1),
            progress=Quiet(),
            stop=experiment.stop,
        )
        return call(classifier, part, experiment.handle, ctx)


def _work(setting: Setting, train: TrainingFrames, budget: Budget) -> float:
    """Return the work of a fit: its training images, times how often each is seen."""
    classifier: Classifier = plugins.create("classifier", setting.classifier)
    reads = getattr(classifier, "reads", None)
    times = 1 if reads is None else int(reads(len(train.refs) / train.videos, budget))
    return float(times * len(train.refs))


def _scored(
    experiment: Experiment, train: TrainingFrames, model: Model | None
) -> tuple[float, float, float, float]:
    """Return seconds a test frame, a model on it, the baselines on it, and a frame they learn."""
    task, count = experiment.task, len(train.refs)
    material = train.materials[train.refs[0].video]
    frames = sorted({ref.index for ref in train.refs if ref.video == material.video.name})[:SCORED]

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
        return min(_seconds(work) for _ in range(2)) / len(frames)

    began = time.perf_counter()
    simple = task.baselines(train)
    learn = (time.perf_counter() - began) / count
    with torch_threads(experiment.config.threads):
        baselines = scoring(simple)
        if model is None:
            return 0.0, baselines, baselines, learn
        alone = scoring({"0": model})
        several = scoring({str(i): copy.copy(model) for i in range(COPIES)})
    each = min(max((several - alone) / (COPIES - 1), 0.0), alone)
    return alone - each, each, baselines, learn


def _cell_seconds(opened: OpenedSuite, cell: Cell, times: Times) -> float:
    """Return what the fits of one cell take; 0 where they are done, or not known."""
    experiment, train = opened.experiments[cell.pipeline], opened.training(cell)
    if times.fit is None or train is None or not train.refs:
        return 0.0
    if experiment.is_fitted(cell.setting, cell.fold):
        return 0.0
    setting = cell.setting
    seconds = times.check * len(train.refs) + times.fit(_work(setting, train, setting.budget))
    if not (setting.chooses or experiment.config.threshold == INNER):
        return seconds
    held = 0
    for group in inner_groups(train, setting.seed):
        part = without(train, group)
        work = _work(setting, part, setting.budget) if part.refs else 0.0
        held += len(train.refs) - len(part.refs)
        seconds += times.grid(work) if times.grid and setting.chooses else times.fit(work)
    models = len(setting.tune.values) if setting.tune and setting.chooses else 1
    return seconds + held * (times.read + models * times.model)


def _scoring(opened: OpenedSuite, cells: Sequence[Cell], times: Mapping[str, Times]) -> float:
    """Return what scoring takes: each test frame is read once for the cells of a fold."""
    seconds = 0.0
    for together in opened.together(cells):
        own = times[together[0].pipeline]
        experiment, fold = opened.experiments[together[0].pipeline], together[0].fold
        members = experiment.members(fold.test)
        frames = sum(len(experiment.test_frames(fold, material)) for material in members)
        trains = [train for cell in together if (train := opened.training(cell)) is not None]
        sets = {train.content: train for train in trains}
        models = sum(times[cell.pipeline].model for cell in together)
        seconds += frames * (own.read + models + own.baselines * len(sets))
        seconds += own.learn * sum(len(train.refs) for train in sets.values())
    return seconds


def _quickest(work: Callable[[], object]) -> float:
    """Return the least seconds of a few tries, if they are short: the machine may be busy."""
    found = [_seconds(work)]
    while len(found) < TRIES and sum(found) < SHORT:
        found.append(_seconds(work))
    return min(found)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
