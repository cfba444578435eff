"""Which value of a grid each cell of a tuned pipeline was fitted with."""

from __future__ import annotations

from typing import Any

from vidseg.experiment.config import CHOSEN
from vidseg.experiment.records import Row, SettingRecord

Grid = tuple[str, list[Any]]


def grid_of(config: Row, pipeline: str) -> Grid | None:
    """Return parameter and values of a pipeline's grid, its own or the one it follows."""
    pipelines = config.get("pipelines", {})
    own = pipelines.get(pipeline) or {}
    tune = own.get("tune") or (pipelines.get(own.get("tune_from")) or {}).get("tune")
    return next(iter(tune.items())) if tune else None


def chosen_values(config: Row, setting: SettingRecord) -> tuple[tuple[str, int], ...]:
    """Return the values that the cells of a tuned pipeline were fitted with, and how many each."""
    grid = grid_of(config, setting.pipeline)
    if grid is None:
        return ()
    parameter, values = grid
    indices = [int(fold.facts.get(CHOSEN, -1)) for fold in setting.run.folds]
    found = [(str(value), indices.count(index)) for index, value in enumerate(values)]
    own = f"{_own(config, setting, parameter)} (not tuned)"
    return tuple(one for one in (*found, (own, indices.count(-1))) if one[1])


def _own(config: Row, setting: SettingRecord, parameter: str) -> Any:
    """Return the value that stands in the classifier, of one that follows in the other's."""
    own = config["pipelines"][setting.pipeline]
    leader = own.get("tune_from") if "tune_from" in setting.run.params else setting.pipeline
    return config["pipelines"][leader]["classifier"].get(parameter)
