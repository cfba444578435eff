"""A suite's record as JSON, so that a report can be made again from what MLflow holds.

The pictures of a run, models, arrays and training curves stay behind. Of a cell's counts per frame
only what the report says of them is kept: how many effective frames each test video is worth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vidseg.errors import DataError
from vidseg.experiment.records import FoldRecord, Row, SettingRecord, SuiteRecord
from vidseg.report.effective import effective_rows

FORMAT = 1

_LEFT_BEHIND = {"dataset", "overlays", "pr_curve", "model"}
"""Of each run; its data set is the suite's."""


@cache
def _adapter() -> TypeAdapter[SuiteRecord]:
    return TypeAdapter(SuiteRecord)


def suite_to_json(record: SuiteRecord) -> Row:
    """Return plain data (strict JSON, undefined numbers None) that a report can be made from."""
    small = replace(record, settings=[_without_counts(one) for one in record.settings])
    text = _adapter().dump_json(
        small,
        exclude={"settings": {"__all__": {"run": _LEFT_BEHIND}}},
        fallback=lambda value: value.item(),  # scalars of numpy
        warnings=False,
    )
    return {"format": FORMAT, **json.loads(text)}


def suite_from_json(data: Mapping[str, Any]) -> SuiteRecord:
    """Return the record that :func:`suite_to_json` wrote, without what it left behind.

    Undefined numbers by name are absent.

    Raises:
        DataError: the data is of another format, or lacks a part.
    """
    if data.get("format") != FORMAT:
        raise DataError(
            f"suite.json has format {data.get('format')!r}, this vidseg reads {FORMAT}",
            hint="make the report with the version that ran the suite, or run the suite again",
        )
    try:
        settings = [
            {**one, "run": {**one["run"], "dataset": data["dataset"]}} for one in data["settings"]
        ]
        return _adapter().validate_python({**data, "settings": settings})
    except ValidationError as error:
        raise _not_whole(_first(error)) from error
    except (KeyError, TypeError) as error:
        raise _not_whole(f"{type(error).__name__} {error}") from error


def _not_whole(what: str) -> DataError:
    return DataError(
        f"suite.json is not whole: {what}",
        hint="run the suite again; finished cells are not done twice",
    )


def _first(error: ValidationError) -> str:
    """Return the first fault in one line: ``"settings.0.run.name: Field required"``."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _without_counts(setting: SettingRecord) -> SettingRecord:
    folds = [_fold_without_counts(fold) for fold in setting.run.folds]
    return replace(setting, run=replace(setting.run, folds=folds))


def _fold_without_counts(fold: FoldRecord) -> FoldRecord:
    return replace(fold, curves=[], cell={"effective": effective_rows(fold)})
