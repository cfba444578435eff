"""Which value of a grid each cell of a tuned pipeline was fitted with."""

from __future__ import annotations

from collections.abc import Sequence
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


def end_of_grid(
    config: Row, pipeline: str, tuned: Sequence[tuple[str, int]]
) -> tuple[str, str] | None:
    """Return parameter and value of the end of its own grid that most cells chose, else None.

    Args:
        config: of the suite.
        pipeline: its name; one that follows another's choices has no grid of its own.
        tuned: as of :func:`chosen_values`.
    """
    own = (config.get("pipelines", {}).get(pipeline) or {}).get("tune")
    grid = grid_of(config, pipeline) if own else None
    if grid is None or not tuned:
        return None
    value, most = max(tuned, key=lambda one: one[1])
    ends = {str(grid[1][0]), str(grid[1][-1])}
    half = sum(cells for _, cells in tuned) / 2
    return (grid[0], value) if value in ends and most > half else None


def _own(config: Row, setting: SettingRecord, parameter: str) -> Any:
    """Return the value that stands in the classifier, of one that follows in the other's."""
    own = config["pipelines"][setting.pipeline]
    leader = own.get("tune_from") if "tune_from" in setting.run.params else setting.pipeline
    return config["pipelines"][leader]["classifier"].get(parameter)
