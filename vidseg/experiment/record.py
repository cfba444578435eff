"""The record of a run, made from the counts of its finished cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vidseg.datasets.several import MemberVideo
from vidseg.experiment.config import Setting
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.records import DatasetRecord, FoldRecord, Row, RunRecord
from vidseg.experiment.splits import Fold
from vidseg.experiment.stages import MODEL, CellResult
from vidseg.experiment.training import PreparedVideo
from vidseg.extractors.base import used_parameters
from vidseg.plugins.spec import Specs
from vidseg.stats import effective_frames
from vidseg.tasks.base import Counts, Task
from vidseg.tasks.means import mean_over_groups
from vidseg.utils.hashing import digest

Scores = dict[str, float]
BySeed = dict[int, list[Counts]]
"""One count a test video for each seed."""


@dataclass(frozen=True)
class RunCell:
    """One cell of a run.

    Attributes:
        setting: what was trained, with its seed.
        fold: its training and test side.
        step: of its metrics: the fold's index, behind the folds of earlier seeds.
        result: None where it failed or was not done.
    """

    setting: Setting
    fold: Fold
    step: int
    result: CellResult | None


def counts_by_kind(cells: Sequence[RunCell]) -> dict[str, BySeed]:
    """Return counts by model name (the model's and the baselines'), then by seed.

    Seeds with a cell that is not finished are left out.
    """
    kinds = dict.fromkeys(
        kind for cell in cells if cell.result for kind in cell.result.scored.counts
    )
    return {kind: _counts(cells, kind) for kind in kinds}


def _counts(cells: Sequence[RunCell], kind: str) -> BySeed:
    found: BySeed = {}
    for seed in dict.fromkeys(cell.setting.seed for cell in cells):
        results = [cell.result for cell in cells if cell.setting.seed == seed]
        if None not in results:
            found[seed] = merged([row for one in results if one for row in one.scored.counts[kind]])
    return found


def merged(counts: Sequence[Counts]) -> list[Counts]:
    """Return one count a video: splits by frame score each video in every fold."""
    videos: dict[str, Counts] = {}
    for row in counts:
        videos[row.video] = videos[row.video].merged(row) if row.video in videos else row
    return list(videos.values())


def run_record(
    experiment: Experiment,
    cells: Sequence[RunCell],
    *,
    name: str,
    config: Row,
    params: Mapping[str, Any],
) -> RunRecord:
    """Return what MLflow and reports show of one setting: scores are averaged over its seeds.

    Args:
        experiment: where its cells were done.
        cells: of one setting, over all folds and seeds.
        name, config, params: see :class:`vidseg.experiment.records.RunRecord`.
    """
    by_kind, task = counts_by_kind(cells), experiment.task
    own = by_kind.get(MODEL, {})
    return RunRecord(
        name=name,
        config=config,
        params={**params, **_used(experiment)},
        dataset=dataset_record(experiment, next(iter(own.values()), [])),
        folds=[fold_record(experiment, cell, cell.result) for cell in cells if cell.result],
        headline=mean_scores([task.summary(videos) for videos in own.values()]),
        per_video=_per_video(by_kind, task),
        baselines=[
            {"baseline": kind, **mean_scores([_headline(videos) for videos in seeds.values()])}
            for kind, seeds in by_kind.items()
            if kind != MODEL and seeds
        ],
        task=task.name,
        pr_curve=task.curve([video for videos in own.values() for video in videos]),
    )


def _used(experiment: Experiment) -> dict[str, str]:
    """Return what the extractor took from files or its library, as parameters of a run."""
    used = used_parameters(experiment.handle)
    return {f"extractor.used.{name}": str(value) for name, value in used.items()}


def dataset_record(experiment: Experiment, scored: Sequence[Counts]) -> DatasetRecord:
    """Return the data set's videos, with the positive share of those that were scored."""
    shares = {video.video: video.positive_share for video in scored}
    specs, materials = experiment.config.dataset, experiment.materials
    whole = _dataset_record(specs, materials, shares)
    if len(specs) == 1:
        return whole
    parts = [
        {
            name: material
            for name, material in materials.items()
            if isinstance(material.video, MemberVideo) and material.video.dataset == place
        }
        for place in range(len(specs))
    ]
    found = [
        _dataset_record(Specs([spec]), part, shares)
        for spec, part in zip(specs, parts, strict=True)
    ]
    return replace(whole, parts=found)


def _dataset_record(
    specs: Specs, materials: Mapping[str, PreparedVideo], shares: Mapping[str, float | None]
) -> DatasetRecord:
    rows: list[Row] = []
    keys: list[Any] = []
    for name, material in materials.items():
        info, labelled = material.info, len(material.labelled)
        keys.append([name, material.video.image_key, material.video.label_key])
        rows.append(
            {
                "video": name,
                "group": material.group,
                "frames": info.length,
                **({"labelled": labelled} if labelled < info.length else {}),
                "width": info.size.width,
                "height": info.size.height,
                "positive_share": shares.get(name),
            }
        )
    return DatasetRecord(specs.name, str(specs), digest(keys, 16), rows)


def empty_videos(scored: Sequence[Counts]) -> str:
    """Return the names of the videos with nothing to find, ``""`` where each has something."""
    return ", ".join(video.video for video in scored if not video.positive_share)


def defined_scores(video: Counts) -> Scores:
    """Return the scores that the video defines."""
    return {name: value for name, value in video.scores().items() if not math.isnan(value)}


def mean_scores(rows: Sequence[Mapping[str, float]]) -> Scores:
    """Return the mean of each key that every row has."""
    if not rows:
        return {}
    common = [key for key in rows[0] if all(key in row for row in rows)]
    return {key: float(np.mean([row[key] for row in rows])) for key in common}


def _headline(videos: Sequence[Counts]) -> Scores:
    return mean_over_groups((video.group, video.scores()) for video in videos)


def fold_record(experiment: Experiment, cell: RunCell, result: CellResult) -> FoldRecord:
    """Return one finished cell as a fold of its run."""
    train = experiment.training_videos(cell.setting, cell.fold.train)
    return FoldRecord(
        index=cell.step,
        test_groups=list(cell.fold.test),
        train_videos=[material.video.name for material in train],
        test_videos=[material.video.name for material in experiment.members(cell.fold.test)],
        metrics=experiment.task.summary(result.scored.counts[MODEL]),
        facts=result.facts,
        curves=result.curves,
        key=result.key,
        cell={"effective": _effective(result.scored.counts[MODEL], experiment.task)},
    )


def _effective(videos: Sequence[Counts], task: Task) -> list[Row]:
    """Return how many independent frames the evenly spaced test frames of each video are worth."""
    rows: list[Row] = []
    for video in videos:
        scores, steps = video.frame_scores(task.primary), np.diff(video.frames)
        if len(scores) > 1 and (steps == steps[0]).all() and not np.isnan(scores).any():
            effective = effective_frames(scores)
            rows.append({"video": video.video, "frames": len(scores), "effective": effective})
    return rows


def _per_video(by_kind: Mapping[str, BySeed], task: Task) -> list[Row]:
    own, primary = by_kind.get(MODEL, {}), task.primary
    if not own:
        return []
    rows = []
    for place, video in enumerate(next(iter(own.values()))):
        means = {
            kind: mean_scores([defined_scores(videos[place]) for videos in seeds.values()])
            for kind, seeds in by_kind.items()
        }
        row: Row = {"video": video.video, primary: means[MODEL].get(primary)}
        row |= {name: means[MODEL].get(name) for name in task.scores if name != primary}
        row |= {f"{primary}_{kind}": means[kind].get(primary) for kind in by_kind if kind != MODEL}
        row |= {"group": video.group, "frames": len(video.frames)}
        rows.append(row | {"positive_share": video.positive_share})
    return rows
