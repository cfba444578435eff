"""From finished cells to the record of a suite: averaged over seeds, paired by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidseg import __version__
from vidseg.errors import StoreError, VidsegError
from vidseg.experiment.config import CHOSEN, Setting
from vidseg.experiment.keys import package_versions, score_inputs
from vidseg.experiment.record import (
    BySeed,
    RunCell,
    Scores,
    counts_by_kind,
    dataset_record,
    defined_scores,
    empty_videos,
    mean_scores,
    run_record,
)
from vidseg.experiment.records import (
    ComparisonRecord,
    PathRecord,
    Row,
    RunRecord,
    SettingRecord,
    SuiteRecord,
)
from vidseg.experiment.stages import MODEL, CellResult
from vidseg.suites.cells import Cell
from vidseg.suites.chances import missing_lead
from vidseg.suites.effort import arm_effort, has_boxes, used_frames
from vidseg.suites.engine import Results
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.spacing import spacing_note
from vidseg.tasks.base import Counts
from vidseg.tasks.means import mean_over_groups
from vidseg.utils.hashing import digest, plain


def suite_key(opened: OpenedSuite) -> str:
    """Return the hash of all that a suite's numbers depend on: file, data, code and versions.

    Where one of them changes the suite gets another run in MLflow, which would keep the old value
    of a metric beside the new one and show the larger.
    """
    videos = [[v.name, v.image_key, v.label_key] for v in opened.dataset.videos]
    return digest(
        [opened.suite.mapping(), videos, [_stages(opened, cell) for cell in opened.cells]]
    )


def _stages(opened: OpenedSuite, cell: Cell) -> Row | None:
    """Return what a cell's stages depend on, its key among it; None where it cannot be done."""
    experiment, key = opened.experiments[cell.pipeline], opened.key(cell)
    if key is None:
        return None
    members = experiment.members(cell.fold.test)
    return score_inputs(experiment.config, key, cell.fold, members, experiment.margin)


def suite_record(
    opened: OpenedSuite, cells: Sequence[Cell], results: Results, plan: Row
) -> SuiteRecord:
    """Return everything that MLflow and the report show of a suite.

    Args:
        opened: the opened suite.
        cells: the cells that it shows, whole settings.
        results: what they gave.
        plan: what was announced, see :mod:`vidseg.suites.plan`.
    """
    suite = opened.suite
    by_name = _by_name([cell for cell in cells if cell.at is None])
    along = _by_name([cell for cell in cells if cell.at is not None])
    settings = [_setting(opened, own, results) for own in by_name.values()]
    for setting in settings:
        setting.failures += _failures(_path_cells(along, setting), results)
    first = next(iter(opened.experiments.values()))
    scored = next(filter(None, (_counts(opened, own, results) for own in by_name.values())), {})
    done = {"cells": len(cells), "cells_reused": results.reused, "seconds": results.seconds}
    record = SuiteRecord(
        name=suite.name,
        question=suite.file.question,
        config=suite.mapping(),
        key=suite_key(opened),
        primary=suite.file.primary,
        delta=suite.file.delta,
        level=suite.file.level,
        dataset=dataset_record(first, next(iter(scored.values()), [])),
        settings=settings,
        comparisons=_comparisons(opened, settings),
        paths=[one for own in along.values() if (one := _path_record(opened, own, results))],
        axes={arm.name: dict(arm.axes) for arm in suite.arms if arm.axes},
        margin=first.margin,
        task=first.task.name,
        plan={
            **plan,
            **done,
            "forwards": results.forwards,
            "failed": len(results.failures),
            "versions": {"vidseg": __version__, **package_versions()},
        },
        notes=[
            *opened.left_out.notes,
            *missing_lead(opened.suite, {cell.arm.name for cell in cells}),
            *_spacings(opened, settings),
            *opened.dataset.notes,
            *opened.store.notes,
        ],
    )
    if empty := empty_videos(next(iter(scored.values()), [])):
        said = f"{first.task.words.empty} in {empty}"
        record.notes.append(f"{said}: left out of both arms of comparisons")
    return record


def _spacings(opened: OpenedSuite, settings: Sequence[SettingRecord]) -> list[str]:
    """Return a line for each arm whose frames lie further apart than it asks."""
    frames = {setting.arm: setting.frames for setting in settings}
    notes = [
        spacing_note(f"the arm {arm.name}", arm.sampler, frames[arm.name])
        for arm in opened.suite.arms
        if arm.name in frames
    ]
    return [note for note in notes if note is not None]


def _setting(opened: OpenedSuite, cells: Sequence[Cell], results: Results) -> SettingRecord:
    cell = cells[0]
    own = _counts(opened, cells, results)
    finished = [found for one in cells if (found := results.finished.get(one.id))]
    by_seed = {seed: _by_group(videos) for seed, videos in own.items()}
    return SettingRecord(
        name=cell.name,
        arm=cell.arm.name,
        pipeline=cell.pipeline,
        run=_run_record(opened, cells, results),
        group_scores=_averaged(by_seed),
        by_seed=by_seed,
        video_scores=_averaged(
            {seed: {v.video: defined_scores(v) for v in videos} for seed, videos in own.items()}
        ),
        facts=mean_scores([_meanable(found.facts) for found in finished]),
        frames=(frames := used_frames(opened, cells)),
        effort=_minutes(opened, cell, frames),
        failures=_failures(cells, results),
        complete=len(finished) == len(cells),
        trained=_trained(opened, cells),
    )


def _by_name(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.name, []).append(cell)
    return found


def _failures(cells: Sequence[Cell], results: Results) -> list[Row]:
    return [
        {"cell": one.id, "error": str(results.failures[one.id])}
        for one in cells
        if one.id in results.failures
    ]


def _path_cells(along: Mapping[str, Sequence[Cell]], setting: SettingRecord) -> list[Cell]:
    own = setting.arm, setting.pipeline
    return [c for cells in along.values() for c in cells if (c.arm.name, c.pipeline) == own]


def _path_record(opened: OpenedSuite, cells: Sequence[Cell], results: Results) -> PathRecord | None:
    """Return a setting at one value of its path, None where a cell is missing."""
    cell, path = cells[0], opened.suite.paths[cells[0].pipeline]
    own = _counts(opened, cells, results)
    if any(one.id not in results.finished for one in cells) or cell.at is None:
        return None
    scores = _averaged({seed: _by_group(videos) for seed, videos in own.items()})
    return PathRecord(cell.arm.name, cell.pipeline, path.parameter, cell.at, scores)


def _meanable(facts: Mapping[str, float]) -> dict[str, float]:
    """Return the facts of a fit whose mean over cells says something: not what each chose."""
    chosen = (CHOSEN, "tune_value", "tune_score_")
    return {name: value for name, value in facts.items() if not name.startswith(chosen)}


def tuned_value(setting: Setting, facts: Mapping[str, float]) -> str:
    """Return what a cell of a tuned pipeline was fitted with: ``"C=0.1"``, or that it stayed.

    Args:
        setting: has a grid.
        facts: of the fit.
    """
    assert setting.tune is not None
    parameter = setting.tune.parameter
    value = setting.fitted_classifier(facts).params.get(parameter)
    return f"{parameter}={value}" + ("" if facts.get(CHOSEN, -1) >= 0 else " (not tuned)")


def _tuned_params(cells: Sequence[RunCell]) -> dict[str, str]:
    """Return the grid of a setting, and by the step of its metrics what each cell chose."""
    grid = cells[0].setting.tune
    if grid is None:
        return {}
    chosen = {
        f"tuned.{cell.step}": tuned_value(cell.setting, cell.result.facts)
        for cell in cells
        if cell.result
    }
    leader = cells[0].setting.follow
    return {"tune": str(grid), **({"tune_from": leader.name} if leader else {}), **chosen}


def _minutes(opened: OpenedSuite, cell: Cell, frames: Mapping[str, Sequence[int]]) -> Scores:
    """Return what a human does for the labels of a setting; nothing where it is not counted."""
    price = opened.suite.price
    if not frames:
        return {}
    try:
        if price is None and not (cell.setting.labelling.plain and has_boxes(opened, cell)):
            return {"of_masks": 1.0} if cell.setting.labelling.plain else {}
        effort = arm_effort(opened, cell, frames)
    except StoreError:
        raise
    except VidsegError:  # what makes the labels is anybody's; the fit says why
        return {}
    return {
        "boxes": float(effort.boxes),
        "looks": float(effort.looks),
        **({} if price is None else {"seconds": price.seconds(effort)}),
        "of_masks": float(effort.of_masks),
    }


def _run_record(opened: OpenedSuite, cells: Sequence[Cell], results: Results) -> RunRecord:
    cell = cells[0]
    config = opened.suite.pipelines[cell.pipeline]
    mapping = config.mapping() | {"sampler": cell.setting.sampler.mapping()}
    mapping |= {"split": cell.arm.split.mapping(), "seed": cell.seed}
    labelling = cell.setting.labelling
    mapping |= labelling.mapping()
    given = ("sampler.", "train_labels.")
    params = {k: v for k, v in config.params().items() if not k.startswith(given)}
    params |= {"setting": cell.name, "arm": cell.arm.name, "pipeline": cell.pipeline}
    params |= {"sampler": str(cell.setting.sampler), "suite": opened.suite.name}
    params |= {"train_labels": str(labelling.source), "run.refine": labelling.refine}
    params["run.prior"] = "null" if labelling.prior is None else labelling.prior
    params["videos"] = cell.arm.videos or "all"
    params["run.seed"] = ",".join(str(seed) for seed in opened.suite.seeds(cell.arm))
    run_cells = run_cells_of(opened, cells, results)
    params |= _tuned_params(run_cells)
    if (path := opened.suite.path(cell.arm, cell.pipeline)) is not None:
        params["path"] = str(path)
    return run_record(
        opened.experiments[cell.pipeline],
        run_cells,
        name=cell.name,
        config=mapping,
        params=params,
    )


def run_cells_of(opened: OpenedSuite, cells: Sequence[Cell], results: Results) -> list[RunCell]:
    """Return cells of one setting as the record of a run takes them."""
    seeds = list(opened.suite.seeds(cells[0].arm))
    count = 1 + max(cell.fold.index for cell in cells)
    return [
        RunCell(
            cell.setting,
            cell.fold,
            seeds.index(cell.seed) * count + cell.fold.index,
            results.finished.get(cell.id),
        )
        for cell in cells
    ]


def _counts(opened: OpenedSuite, cells: Sequence[Cell], results: Results) -> BySeed:
    return counts_by_kind(run_cells_of(opened, cells, results)).get(MODEL, {})


def cell_content(cell: Cell, found: CellResult) -> Row:
    """Return a finished cell as plain data, from which a ledger elsewhere can be filled again."""
    counts = found.scored.counts
    return {
        "key": found.key,
        "id": cell.id,
        "name": cell.name,
        "fold": cell.fold.index,
        "seed": cell.seed,
        "train_groups": list(cell.fold.train),
        "test_groups": list(cell.fold.test),
        "facts": plain(found.facts),
        "curves": [list(row) for row in found.curves],
        "score_inputs": plain(found.scored.inputs),
        "counts": {kind: [row.to_json() for row in rows] for kind, rows in counts.items()},
    }


def _by_group(videos: Sequence[Counts]) -> dict[str, Scores]:
    groups = dict.fromkeys(video.group for video in videos)
    return {
        group: mean_over_groups((v.group, v.scores()) for v in videos if v.group == group)
        for group in groups
    }


def _averaged(by_seed: Mapping[int, Mapping[str, Scores]]) -> dict[str, Scores]:
    """Return for each group (or video) the mean over seeds of the scores all seeds define."""
    names = dict.fromkeys(name for scores in by_seed.values() for name in scores)
    return {name: mean_scores([scores[name] for scores in by_seed.values()]) for name in names}


def _trained(opened: OpenedSuite, cells: Sequence[Cell]) -> dict[str, str]:
    """Return by test group a hash of what its models were trained on, over folds and seeds."""
    parts: dict[str, list[str]] = {}
    for cell in cells:
        if (train := opened.training(cell)) is None:
            continue
        refs = [[ref.video, ref.index, repr(ref.variant)] for ref in train.refs]
        own = digest(
            [plain(refs), cell.arm.split.mapping(), cell.arm.labelling.mapping(), cell.seed]
        )
        for group in cell.fold.test:
            parts.setdefault(group, []).append(own)
    return {group: digest(found) for group, found in parts.items()}


def _comparisons(opened: OpenedSuite, settings: Sequence[SettingRecord]) -> list[ComparisonRecord]:
    by_parts = {(setting.arm, setting.pipeline): setting for setting in settings}
    records = []
    for pipeline in opened.suite.pipelines:
        for a, b, question in opened.suite.comparisons:
            left, right = by_parts.get((a, pipeline)), by_parts.get((b, pipeline))
            if left is None or right is None:
                continue
            plain_arms = _plain_arms(opened, a, b)
            same = [
                video
                for video, frames in left.frames.items()
                if plain_arms and right.frames.get(video) == frames
            ]
            lead = opened.suite.lead == (a, b, pipeline)
            records.append(
                ComparisonRecord(left.name, right.name, a, b, pipeline, question, same, lead)
            )
    return records


def _plain_arms(opened: OpenedSuite, a: str, b: str) -> bool:
    """Return whether two arms can only differ in their frames: no changed copies, one split."""
    arms = {arm.name: arm for arm in opened.suite.arms}
    trains = [
        train
        for cell in opened.cells
        if cell.arm.name in (a, b) and (train := opened.training(cell)) is not None
    ]
    return (
        arms[a].split == arms[b].split
        and arms[a].videos == arms[b].videos
        and arms[a].labelling == arms[b].labelling
        and all(ref.variant is None for train in trains for ref in train.refs)
    )
