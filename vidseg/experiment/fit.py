"""The steps of a fit around the classifier's own: labels, balance, features, threshold."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vidseg import plugins
from vidseg.classifiers.base import Classifier, FitContext
from vidseg.classifiers.load import load_model
from vidseg.errors import DataError
from vidseg.experiment.config import Setting
from vidseg.experiment.distributed import Team
from vidseg.experiment.inner import inner_groups, without
from vidseg.experiment.ledger import StateFile
from vidseg.experiment.live import FitFiles
from vidseg.experiment.stages import Curves
from vidseg.experiment.threshold import inner_threshold
from vidseg.experiment.training import TrainingFrames
from vidseg.experiment.tuning import Trials, Tuned, tune
from vidseg.extractors.base import ExtractorHandle
from vidseg.plugins.spec import Spec
from vidseg.tasks.base import Task
from vidseg.types import Model
from vidseg.utils.hashing import plain
from vidseg.utils.progress import Progress, Quiet
from vidseg.utils.stop import check_stop


def refine_labels(
    train: TrainingFrames, label: str, progress: Progress, stop: Callable[[], None]
) -> dict[str, float]:
    """Make the training masks that are not the true ones.

    Args:
        train: the training frames.
        label: what progress calls the fit.
        progress: is told how many boxes could not be refined.
        stop: raises when the user asked to stop.

    Returns:
        ``refined_boxes``, ``refine_failed`` with ``refine=grabcut``, else nothing.

    Raises:
        VidsegError: the labels cannot be read, or are masks that nothing refines.
    """
    wanted: dict[str, set[int]] = {}
    for ref in train.refs:
        if ref.video in train.labelled:
            wanted.setdefault(ref.video, set()).add(ref.index)
    if not wanted:
        return {}
    boxes = failed = 0
    total = sum(len(indices) for indices in wanted.values())
    with progress.task(f"{label}: training labels", total) as task:
        for video, indices in wanted.items():
            labels = train.labelled[video].labels
            labels.prepare(sorted(indices), task, stop)
            tallies = [labels.tally(index) for index in sorted(indices)]
            boxes += sum(tally.boxes for tally in tallies)
            failed += sum(tally.failed for tally in tallies)
    if failed:
        progress.say(f"{failed} of {boxes} boxes could not be refined: they stay boxes")
    return {"refined_boxes": float(boxes), "refine_failed": float(failed)} if boxes else {}


def check_training(train: TrainingFrames, task: Task) -> dict[str, float]:
    """Count the training frames; targets that cannot be learnt are refused before any feature.

    Returns:
        ``train_videos``, ``train_frames``, and what the task counts, such as
        ``train_positive_share``.

    Raises:
        DataError: the targets cannot be learnt, such as masks of one class only.
    """
    counts = {"train_videos": float(train.videos), "train_frames": float(len(train.refs))}
    return counts | task.check(train)


def make_classifier(
    setting: Setting, counted: Mapping[str, float], task: Task
) -> tuple[Classifier, dict[str, float]]:
    """Return the classifier, weighted where a prior asks for it, and what to record of that.

    Args:
        setting: what is trained.
        counted: of :func:`check_training`.
        task: makes class weights.

    Raises:
        UsageError: the classifier has no class weight, or was given one.
    """
    spec, prior = setting.classifier, setting.labelling.prior
    facts: dict[str, float] = {}
    if prior is not None:
        spec, facts = task.weighted(spec, prior, counted)
    classifier: Classifier = plugins.create("classifier", spec)
    return classifier, facts


@dataclass(frozen=True)
class FitJob:
    """A fit whose labels and features are prepared; can be pickled.

    Attributes:
        train: the training frames.
        handle: the extractor.
        task: what is predicted.
        setting: what is trained.
        counted: facts of the training frames, of :func:`check_training`.
        choose: choose a threshold as well.
        device, memory_budget, threads: of the configuration.
        workdir: where checkpoints are kept.
        init: the model that the classifier starts from.
        threshold: at which the values of a grid are compared.
        folder: of the cell, where pictures of the fit are kept; None: nowhere.
        keeps: keep checkpoints there as well.
    """

    train: TrainingFrames
    handle: ExtractorHandle
    task: Task
    setting: Setting
    counted: Mapping[str, float]
    choose: bool
    device: str
    memory_budget: int
    threads: int
    workdir: Path
    init: KeptModel | None = None
    threshold: float = 0.0
    folder: Path | None = None
    keeps: bool = False

    def files(self, rank: int) -> FitFiles | None:
        """Return where the fit is shown; of several processes the first one shows it."""
        if rank or self.folder is None:
            return None
        made = FitFiles(self.folder, self.train, self.task, self.threshold, self.keeps)
        made.begin()
        return made


@dataclass(frozen=True)
class KeptModel:
    """A fitted model in a file, and what loads it.

    Attributes:
        state: its file.
        classifier: spec of the classifier that fitted it.
        handle: the extractor that it was fitted on.
    """

    state: StateFile
    classifier: Spec
    handle: ExtractorHandle

    def load(self) -> Model:
        """Read the model.

        Raises:
            DataError: the file was altered, or the classifier refuses it.
        """
        state = self.state.load()
        if state is None:
            raise DataError("is not as it was written", where=self.state.path)
        classifier: Classifier = plugins.create("classifier", self.classifier)
        return load_model(classifier, state, self.handle, where=self.state.path)


def fit_model(
    team: Team,
    job: FitJob,
    *,
    progress: Progress | None = None,
    stop: Callable[[], None] = check_stop,
) -> tuple[Model, dict[str, float], Curves]:
    """Fit a classifier, in each process of a team; return its model, facts and curves.

    Raises:
        VidsegError: whatever the classifier or the data refuses.
    """
    curves: Curves = []
    files = job.files(team.rank)

    def log(name: str, value: float, step: int) -> None:
        curves.append((name, float(value), int(step)))
        if files is not None:
            files.log(name, value, step)

    shown = FitContext() if files is None else files
    ctx = FitContext(
        seed=job.setting.seed,
        device=job.device,
        memory_budget=job.memory_budget,
        workdir=job.workdir,
        budget=job.setting.budget,
        log=log,
        show=shown.show,
        keep=shown.keep,
        progress=progress or Quiet(),
        stop=stop,
        reduce=team.reduce,
        rank=team.rank,
        world=team.world,
        init=None if job.init is None else job.init.load(),
    )
    with torch_threads(job.threads):
        tuned = tune_setting(job, ctx)
        classifier, facts = make_classifier(tuned.setting, job.counted, job.task)
        began = time.perf_counter()
        model = classifier.fit(job.train, job.handle, ctx)
        facts |= {"fit_seconds": time.perf_counter() - began, **tuned.facts, **plain(ctx.facts)}
        if job.choose:
            facts |= choose_threshold(job, ctx, tuned)
    if team.world > 1:
        facts["processes"] = float(team.world)
    return model, facts, curves


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch sum on as many threads as the key of a cell says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tune_setting(job: FitJob, ctx: FitContext) -> Tuned:
    """Return the setting with the best value of its grid; as it is where it has none.

    Raises:
        DataError: no value of the grid can be fitted.
    """
    if job.setting.tune is None:
        return Tuned(job.setting)

    def make(part: TrainingFrames, spec: Spec) -> Classifier:
        setting = replace(job.setting, classifier=spec)
        return make_classifier(setting, check_training(part, job.task), job.task)[0]

    trials = Trials(job.train, job.setting, make, job.handle, ctx, job.task, job.threshold)
    return tune(trials)


def smallest_part(train: TrainingFrames, setting: Setting) -> int:
    """Return the fewest frames that a fit of a cell is given, inner ones of a grid included."""
    groups = inner_groups(train, setting.seed) if setting.chooses else []
    return min([len(train.refs), *(len(without(train, group).refs) for group in groups)])


def choose_threshold(job: FitJob, ctx: FitContext, tuned: Tuned) -> dict[str, float]:
    """Choose the threshold on held-out training groups; see :mod:`vidseg.experiment.threshold`.

    The inner fits of a grid's best value serve for it as well.

    Returns:
        ``threshold``, what it was chosen by, and ``inner_seconds``.

    Raises:
        DataError: there is one training group only, or nothing to find in those held out.
    """

    def make(part: TrainingFrames) -> Classifier:
        return make_classifier(tuned.setting, check_training(part, job.task), job.task)[0]

    began = time.perf_counter()
    if any(tuned.counts):
        chosen = job.task.best_threshold(tuned.counts)
    else:
        chosen = inner_threshold(job.train, make, job.handle, ctx, job.task)
    ctx.progress.say(chosen.text)
    return {**chosen.facts, "inner_seconds": time.perf_counter() - began}


def prepare(
    train: TrainingFrames,
    label: str,
    progress: Progress,
    stop: Callable[[], None],
    *,
    features: bool,
) -> None:
    """Decode the training frames, and compute the features that the classifier needs.

    A store that is full ends it early: what cannot be kept is computed when it is read.

    Args:
        train: the training frames; changed ones are made when they are seen.
        label: what progress calls the fit.
        progress: where to tell how far it is.
        stop: raises when the user asked to stop.
        features: compute features as well.
    """
    wanted: dict[str, set[int]] = {}
    for ref in train.refs:
        if ref.variant is None:
            wanted.setdefault(ref.video, set()).add(ref.index)
    total = sum(len(indices) for indices in wanted.values())
    with progress.task(f"{label}: features of training frames", total) as task:
        for video, indices in wanted.items():
            stop()
            material, order = train.materials[video], sorted(indices)
            material.stored.prepare(order)
            if features:
                for index in order:
                    stop()
                    if not material.stored_features.prepare([index], task):
                        break
