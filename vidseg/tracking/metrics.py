"""The metrics of a run, from its record: names, values and steps."""

from __future__ import annotations

from collections.abc import Sequence

from vidseg.experiment.records import (
    FoldRecord,
    ModelRecord,
    RunRecord,
    SettingRecord,
    SuiteRecord,
)
from vidseg.tasks.means import mean_over_groups
from vidseg.tasks.registry import find_task

Point = tuple[str, float, int]
"""Name, value, step of a metric."""


def test_points(record: RunRecord) -> list[Point]:
    """Return the headline as single values: ``test/<score>``, step 0."""
    return [(f"test/{name}", value, 0) for name, value in record.headline.items()]


def baseline_points(record: RunRecord) -> list[Point]:
    """Return each baseline's primary score as ``baseline/<name>``, step 0.

    With one slash: the UI makes a section of its charts of what stands before the last one.
    """
    primary = find_task(record.task).primary
    return [(f"baseline/{row['baseline']}", row[primary], 0) for row in record.baselines]


def fold_points(fold: FoldRecord) -> list[Point]:
    """Return ``fold/<score>`` and the facts of the fit as ``fit/<fact>``; step: the fold."""
    return [(f"fold/{name}", value, fold.index) for name, value in fold.metrics.items()] + [
        (f"fit/{name}", value, fold.index) for name, value in fold.facts.items()
    ]


def path_points(record: SuiteRecord, setting: SettingRecord) -> list[Point]:
    """Return a setting's scores along the path of its pipeline: ``path/<score>``, ``path/<C>``.

    The step is the place of the value among those of the path, so that lines of several settings
    stand above each other; the value itself, where it is a number, is ``path/<parameter>``.
    """
    points: list[Point] = []
    for one in record.paths:
        if (one.arm, one.pipeline) != (setting.arm, setting.pipeline):
            continue
        step = record.config["pipelines"][one.pipeline]["path"][one.parameter].index(one.value)
        if isinstance(one.value, int | float) and not isinstance(one.value, bool):
            points.append((f"path/{one.parameter}", float(one.value), step))
        means = mean_over_groups(one.group_scores.items())
        points += [(f"path/{name}", value, step) for name, value in means.items()]
    return points


def curve_name(prefix: str, name: str, fold: int | None) -> str:
    """Return the name of a curve: ``train/loss``, or ``train/loss/fold0`` of one of several folds.

    The fold comes last so that the UI keeps the curves of one quantity side by side.
    """
    return f"{prefix}/{name}" if fold is None else f"{prefix}/{name}/fold{fold}"


def curve_points(folds: Sequence[FoldRecord], *, several: bool | None = None) -> list[Point]:
    """Return ``train/<name>``, or ``train/<name>/fold0``... when there are several folds.

    Args:
        folds: finished folds.
        several: whether the run has several; None: whether these are.
    """
    several = len(folds) > 1 if several is None else several
    return [
        (curve_name("train", name, fold.index if several else None), value, step)
        for fold in folds
        for name, value, step in fold.curves
    ]


def model_points(model: ModelRecord) -> list[Point]:
    """Return the training curves of the model that is kept as ``model/<name>``."""
    return [(f"model/{name}", value, step) for name, value, step in model.curves]
