"""One run: one pipeline on one frame setting, tested on held-out videos, as a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidseg.experiment.config import RunConfig
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.record import RunCell, counts_by_kind, empty_videos, run_record
from vidseg.experiment.records import FoldRecord, ModelRecord, RunRecord
from vidseg.experiment.splits import Fold, folds
from vidseg.experiment.stages import MODEL, CellResult, FitResult, ScoreResult
from vidseg.experiment.training import PreparedVideo
from vidseg.store import Store
from vidseg.store import weights as backbones
from vidseg.tasks.base import Counts
from vidseg.types import Image
from vidseg.utils.hashing import plain
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop


def run(
    config: RunConfig,
    *,
    store: Store,
    ledger: Ledger,
    progress: Progress,
    stop: Callable[[], None] = check_stop,
    fresh: bool = False,
    on_fold: Callable[[FoldRecord], None] = lambda record: None,
) -> RunRecord:
    """Do one run, or what is left of it, and return its record.

    Args:
        config: what to do.
        store, ledger: where frames, features and finished stages are kept.
        progress: where to tell how far it is.
        stop: raises :class:`vidseg.errors.Stopped` when the user asked to stop.
        fresh: do finished stages again.
        on_fold: called with each finished fold.

    Raises:
        VidsegError: what the data, a plugin or the disk refuses.
    """
    dataset = open_dataset(config.dataset, progress, store.fact_cache)
    experiment = open_experiment(
        config, dataset, store=store, ledger=ledger, progress=progress, stop=stop, fresh=fresh
    )
    plan = folds(config.split, experiment.groups, config.seed)
    _check_lengths(experiment, plan)
    records: list[FoldRecord] = []
    fits: list[FitResult] = []
    cells: list[RunCell] = []
    for fold in plan:
        label = f"fold {fold.index + 1}/{len(plan)}"
        fitted = experiment.fit(config.setting, fold, label)
        scored = experiment.score({MODEL: fitted}, fold, label)[MODEL]
        records.append(_fold_record(experiment, fold, fitted, scored))
        fits.append(fitted)
        found = CellResult(fitted.key, fitted.facts, fitted.curves, scored)
        cells.append(RunCell(config.setting, fold, fold.index, found))
        on_fold(records[-1])
    record = _record(experiment, cells, records)
    record.overlays = _overlays(experiment, plan, fits, _counts(cells))
    served = _refit(experiment) if config.refit else fits[0] if len(plan) == 1 else None
    if served is not None:
        record.model = _model(experiment, served)
        backbones.keep(record.model.weights, store.root)
    record.notes += [note for note in store.notes if note not in record.notes]
    return record


def _check_lengths(experiment: Experiment, plan: Sequence[Fold]) -> None:
    """Let the sampler refuse a short video before any fold is fitted."""
    groups = sorted({group for fold in plan for group in fold.train})
    experiment.training(experiment.config.setting, Fold(0, tuple(groups), ()))


def _fold_record(
    experiment: Experiment, fold: Fold, fitted: FitResult, scored: ScoreResult
) -> FoldRecord:
    cell = {
        "key": fitted.key,
        "name": experiment.config.name,
        "fold": fold.index,
        "train_groups": list(fold.train),
        "test_groups": list(fold.test),
        "facts": fitted.facts,
        "curves": [list(row) for row in fitted.curves],
        "score_inputs": scored.inputs,
        "counts": {name: [row.to_json() for row in rows] for name, rows in scored.counts.items()},
    }
    return FoldRecord(
        index=fold.index,
        test_groups=list(fold.test),
        train_videos=[material.video.name for material in experiment.members(fold.train)],
        test_videos=[video.video for video in scored.counts[MODEL]],
        metrics=experiment.task.summary(scored.counts[MODEL]),
        facts=fitted.facts,
        curves=fitted.curves,
        key=fitted.key,
        cell=plain(cell),
    )


def _record(experiment: Experiment, cells: list[RunCell], records: list[FoldRecord]) -> RunRecord:
    config = experiment.config
    record = run_record(
        experiment,
        cells,
        name=config.name,
        config=config.mapping(),
        params={**config.params(), "run.margin": experiment.margin},
    )
    record.folds, record.notes = records, list(experiment.notes)
    if empty := empty_videos(_counts(cells)):
        record.notes.append(
            f"{experiment.task.words.empty} in {empty}: left out of every mean but accuracy's"
        )
    return record


def _counts(cells: list[RunCell]) -> list[Counts]:
    return next(iter(counts_by_kind(cells)[MODEL].values()))


def _overlays(
    experiment: Experiment,
    plan: Sequence[Fold],
    fits: Sequence[FitResult],
    scored: Sequence[Counts],
) -> list[tuple[str, Image]]:
    pictures = []
    task = experiment.task
    for rank, video, index in task.choose_frames(scored):
        material = experiment.materials[video]
        place = next(i for i, fold in enumerate(plan) if _tests(fold, material, index))
        scores = frame_scores(
            {MODEL: experiment.model(fits[place])}, material, index, experiment.config.device
        )[MODEL]
        counts = next(v for v in scored if v.video == video)
        score = counts.frame_scores(task.primary)[counts.frames.index(index)]
        label = task.scores[task.primary].label
        text = f"{video} frame {index}, {label} {score:.2f} ({rank})"
        threshold = experiment.threshold(fits[place])
        picture = task.draw(material.image(index), material.mask(index), scores, threshold, text)
        pictures.append((f"{video}_{rank}_{index:06d}", picture))
    return pictures


def _tests(fold: Fold, material: PreparedVideo, index: int) -> bool:
    held_out = fold.part is None or fold.part.holds(index, material.length)
    return material.group in fold.test and held_out


def _refit(experiment: Experiment) -> FitResult:
    """Fit on all groups, for serving."""
    everyone = Fold(0, tuple(sorted(set(experiment.groups.values()))), ())
    return experiment.fit(experiment.config.setting, everyone, "refit on all groups")


def _model(experiment: Experiment, fitted: FitResult) -> ModelRecord:
    config = experiment.config
    first = next(iter(experiment.materials.values()))
    return ModelRecord(
        classifier=str(config.classifier),
        extractor=str(config.extractor),
        extractor_fingerprint=experiment.handle.fingerprint,
        weights=getattr(experiment.handle, "weights_info", dict)(),
        image_size=config.image_size,
        mask_size=first.mask_size,
        threshold=experiment.threshold(fitted),
        state=experiment.state(fitted),
        example=next(iter(first.video.frames([0]))),
        task=experiment.task.name,
    )
