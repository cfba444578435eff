"""A run: a suite of one setting, which leaves pictures and a model beside its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from vidseg import plugins
from vidseg.errors import DataError, VidsegError
from vidseg.experiment.config import RunConfig
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.live import checkpoints
from vidseg.experiment.record import counts_by_kind, empty_videos, run_record
from vidseg.experiment.records import ModelRecord, RunRecord
from vidseg.experiment.splits import Fold
from vidseg.experiment.stages import MODEL, FitResult
from vidseg.extractors.base import used_parameters
from vidseg.plugins.spec import Spec
from vidseg.store import weights as backbones
from vidseg.suites.arms import Arm
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.pictures import tests_frame
from vidseg.suites.record import run_cells_of
from vidseg.suites.schema import SuiteFile
from vidseg.suites.spacing import spacing_note
from vidseg.suites.suite import Suite
from vidseg.tasks.base import Counts
from vidseg.types import Image

NAME = "run"


def single(config: RunConfig) -> Suite:
    """Return a run as a suite: one arm, one pipeline, one seed, which shuffles the folds too."""
    arm, pipeline = config.sampler_name, config.classifier_name
    file = SuiteFile.model_validate(
        {
            "name": NAME,
            "question": "",
            "seeds": [config.seed],
            "fold_seed": config.seed,
            "arms": {arm: {"sampler": config.sampler.mapping()}},
            "pipelines": {pipeline: {}},
        }
    )
    only = Arm(arm, config.sampler, None, config.split, (pipeline,), {}, config.labelling)
    return Suite(file, (only,), {pipeline: config}, ())


def trains_network(classifier: Spec) -> bool:
    """Return whether a classifier learns from frames, not from features."""
    return "frames" in plugins.load(plugins.find("classifier", classifier.name)).needs


def parts(opened: OpenedSuite) -> tuple[RunConfig, Experiment]:
    """Return the configuration and the experiment of a run."""
    (config,) = opened.suite.pipelines.values()
    (experiment,) = opened.experiments.values()
    return config, experiment


def check_lengths(opened: OpenedSuite) -> None:
    """Let the sampler refuse a short video before any fold is fitted.

    Raises:
        VidsegError: it does.
    """
    config, experiment = parts(opened)
    groups = {group for cell in opened.cells for group in cell.fold.train}
    experiment.training(config.setting, Fold(0, tuple(sorted(groups)), ()))


def everyone(experiment: Experiment) -> Fold:
    """Return the fold that the served model is fitted on: all groups, none held out."""
    return Fold(0, tuple(sorted(set(experiment.groups.values()))), ())


def raise_failures(cells: Sequence[Cell], results: Results) -> None:
    """End a run as failed when one of its cells did; the others are kept.

    Raises:
        VidsegError: the error where all that failed have one.
        Exception: the same, where it is a bug.
        DataError: they have several; names them.
    """
    failures = [(cell, results.failures[cell.id]) for cell in cells if cell.id in results.failures]
    if not failures:
        return
    error = failures[0][1]
    if len({str(one) for _, one in failures}) == 1:
        raise error.__cause__ if type(error) is VidsegError and error.__cause__ else error
    told = "; ".join(f"fold {cell.fold.index + 1}: {one}" for cell, one in failures)
    raise DataError(f"{len(failures)} of {len(cells)} folds failed: {told}")


def finished_run(opened: OpenedSuite, results: Results) -> RunRecord:
    """Return the record of a run whose cells are all finished, with its pictures and its model.

    Args:
        opened: the opened suite of the run.
        results: its finished cells.

    Raises:
        VidsegError: what fitting the served model refuses.
    """
    config, experiment = parts(opened)
    cells = run_cells_of(opened, opened.cells, results)
    params = {**config.params(), "run.margin": experiment.margin}
    record = run_record(experiment, cells, name=config.name, config=config.mapping(), params=params)
    (scored,) = counts_by_kind(cells)[MODEL].values()
    record.notes = list(experiment.notes)
    if note := _spacing(experiment, opened.cells[0]):
        record.notes.append(note)
    if empty := empty_videos(scored):
        words = experiment.task.words
        record.notes.append(f"{words.empty} in {empty}: left out of {words.left_out}")

    @cache
    def fitted(place: int) -> FitResult:
        cell = opened.cells[place]
        return experiment.fit(cell.setting, cell.fold, cell.id)

    record.overlays = list(_overlays(experiment, opened.cells, fitted, scored))
    served = None
    if config.refit:
        served = experiment.fit(config.setting, everyone(experiment), "refit on all groups")
    elif len(opened.cells) == 1:
        served = fitted(0)
    if served is not None:
        record.model = _model(config, experiment, served)
        backbones.keep(record.model.weights, opened.store.root)
    record.notes += [note for note in opened.store.notes if note not in record.notes]
    return record


def _spacing(experiment: Experiment, cell: Cell) -> str | None:
    """Return a line where the frames of a run lie further apart than its sampler asks."""
    frames: dict[str, set[int]] = {}
    for ref in experiment.training(cell.setting, cell.fold).refs:
        frames.setdefault(ref.video, set()).add(ref.index)
    used = {video: sorted(own) for video, own in frames.items()}
    return spacing_note(f"the sampler {cell.arm.name}", cell.setting.sampler, used)


def _overlays(
    experiment: Experiment,
    cells: Sequence[Cell],
    fitted: Callable[[int], FitResult],
    scored: Sequence[Counts],
) -> Iterator[tuple[str, Image]]:
    task = experiment.task
    for rank, video, index in task.choose_frames(scored):
        material = experiment.materials[video]
        place = next(
            i for i, cell in enumerate(cells) if tests_frame(experiment, cell.fold, video, index)
        )
        fit = fitted(place)
        scores = frame_scores(
            {MODEL: experiment.model(fit)}, material, index, experiment.config.device
        )[MODEL]
        counts = next(v for v in scored if v.video == video)
        score = counts.frame_scores(task.primary)[counts.frames.index(index)]
        text = f"{video} frame {index}, {task.scores[task.primary].label} {score:.2f} ({rank})"
        threshold = experiment.threshold(fit)
        picture = task.draw(material.image(index), material.mask(index), scores, threshold, text)
        yield f"{video}_{rank}_{index:06d}", picture


def _as_used(spec: Spec, handle: object) -> Spec:
    """Return the extractor's spec with what it read from files (mean, std) as parameters."""
    return Spec(spec.name, spec.positional, {**spec.params, **used_parameters(handle)})


def _model(config: RunConfig, experiment: Experiment, fitted: FitResult) -> ModelRecord:
    first = next(iter(experiment.materials.values()))
    network, facts = trains_network(config.classifier), fitted.facts
    epoch = facts.get("best_epoch", facts.get("epochs", 0.0))
    return ModelRecord(
        classifier=str(config.classifier),
        extractor=str(_as_used(config.extractor, experiment.handle)),
        extractor_fingerprint=experiment.handle.fingerprint,
        weights=getattr(experiment.handle, "weights_info", dict)(),
        image_size=config.image_size,
        mask_size=first.mask_size,
        threshold=experiment.threshold(fitted),
        state=experiment.state(fitted),
        example=next(iter(first.video.frames([0]))),
        task=experiment.task.name,
        epoch=int(epoch) if network else None,
        curves=fitted.curves if network else [],
        checkpoints=checkpoints(experiment.ledger.folder(fitted.key)),
    )
