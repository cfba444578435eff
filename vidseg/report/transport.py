"""A suite's record as JSON, so that a report can be made again from what MLflow holds.

Pictures, models, arrays and training curves stay behind. Of a cell's counts per frame only what
the report says of them is kept: how many effective frames each test video is worth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vidseg.errors import DataError
from vidseg.experiment.records import (
    ComparisonRecord,
    DatasetRecord,
    FoldRecord,
    Row,
    RunRecord,
    SettingRecord,
    SuiteRecord,
)
from vidseg.report.effective import effective_rows
from vidseg.report.facts import finite

FORMAT = 1


def suite_to_json(record: SuiteRecord) -> Row:
    """Return plain data (strict JSON, undefined numbers None) that a report can be made from."""
    shallow = {
        one.name: getattr(record, one.name)
        for one in dataclasses.fields(record)
        if one.name not in ("dataset", "settings", "comparisons")
    }
    data: Row = finite(
        {
            "format": FORMAT,
            **shallow,
            "dataset": dataclasses.asdict(record.dataset),
            "settings": [_setting_to_json(setting) for setting in record.settings],
            "comparisons": [dataclasses.asdict(one) for one in record.comparisons],
        }
    )
    return data


def suite_from_json(data: Mapping[str, Any]) -> SuiteRecord:
    """Return the record that :func:`suite_to_json` wrote, without what it left behind.

    Raises:
        DataError: the data is of another format, or lacks a part.
    """
    if data.get("format") != FORMAT:
        raise DataError(
            f"suite.json has format {data.get('format')!r}, this vidseg reads {FORMAT}",
            hint="make the report with the version that ran the suite, or run the suite again",
        )
    try:
        return _suite(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"suite.json is not whole: {type(error).__name__} {error}",
            hint="run the suite again; finished cells are not done twice",
        ) from error


def _suite(data: Mapping[str, Any]) -> SuiteRecord:
    dataset = DatasetRecord(**data["dataset"])
    rest = {key: value for key, value in data.items() if key != "format"}
    return SuiteRecord(
        **rest
        | {
            "dataset": dataset,
            "settings": [_setting(one, dataset) for one in data["settings"]],
            "comparisons": [ComparisonRecord(**one) for one in data["comparisons"]],
        }
    )


def _setting_to_json(setting: SettingRecord) -> Row:
    run = setting.run
    own = {
        one.name: getattr(setting, one.name)
        for one in dataclasses.fields(setting)
        if one.name != "run"
    }
    return {
        **own,
        "run": {
            "name": run.name,
            "config": run.config,
            "params": run.params,
            "headline": run.headline,
            "per_video": run.per_video,
            "baselines": run.baselines,
            "notes": run.notes,
            "folds": [_fold_to_json(fold) for fold in run.folds],
        },
    }


def _fold_to_json(fold: FoldRecord) -> Row:
    return {
        "index": fold.index,
        "test_groups": fold.test_groups,
        "train_videos": fold.train_videos,
        "test_videos": fold.test_videos,
        "metrics": fold.metrics,
        "facts": fold.facts,
        "curves": [],
        "key": fold.key,
        "cell": {"effective": effective_rows(fold)},
    }


def _setting(data: Mapping[str, Any], dataset: DatasetRecord) -> SettingRecord:
    run = data["run"]
    folds = [FoldRecord(**fold) for fold in run["folds"]]
    by_seed = {int(seed): groups for seed, groups in data["by_seed"].items()}
    return SettingRecord(
        **{**data, "run": RunRecord(**{**run, "dataset": dataset, "folds": folds})}
        | {"by_seed": by_seed}
    )
