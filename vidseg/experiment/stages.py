"""What a cell's two stages leave behind, and its plain form in the ledger.

Neither holds a model: that is read from its file when it is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vidseg.experiment.config import Setting
from vidseg.experiment.ledger import Stage, StateFile
from vidseg.experiment.splits import Fold
from vidseg.tasks.base import Counts, Task

MODEL = "model"
"""Name of the fitted model among the models of a cell; the others are baselines."""
CellCounts = dict[str, list[Counts]]
"""Counts by model name (the model's and the baselines'), one a test video."""
Curves = list[tuple[str, float, int]]
"""Training curves, rows of (name, value, step)."""


@dataclass(frozen=True)
class FitResult:
    """The result of a fit stage.

    Attributes:
        key: the cell's key.
        setting: what was trained.
        fold: on whose training side.
        state: the file of the fitted model.
        facts: frames, positive share, epochs, seconds, ... of the fit.
        curves: training curves.
        reused: it was read from the ledger.
    """

    key: str
    setting: Setting
    fold: Fold
    state: StateFile
    facts: dict[str, float]
    curves: Curves
    reused: bool


@dataclass(frozen=True)
class ScoreResult:
    """The result of a score stage.

    Attributes:
        inputs: what its key was made of.
        counts: by model name (the model's and the baselines'), one a test video.
        reused: it was read from the ledger.
    """

    inputs: dict[str, Any]
    counts: CellCounts
    reused: bool


@dataclass(frozen=True)
class CellResult:
    """A cell whose two stages were found in the ledger.

    Attributes:
        key: the cell's key.
        facts, curves: of the fit.
        scored: its scores.
    """

    key: str
    facts: dict[str, float]
    curves: Curves
    scored: ScoreResult


def read_curves(rows: Any) -> Curves:
    """Return training curves from plain data; values that JSON cannot hold are left out."""
    return [(str(name), float(value), int(step)) for name, value, step in rows if value is not None]


def read_facts(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return the facts of a fit from plain data; values that JSON cannot hold are left out."""
    return {str(name): float(value) for name, value in facts.items() if value is not None}


def read_counts(result: Mapping[str, Any], task: Task) -> CellCounts:
    """Return the counts of every model from plain data."""
    return {model: [task.read_counts(row) for row in rows] for model, rows in result.items()}


def fit_result(
    key: str, setting: Setting, fold: Fold, stage: Stage, *, reused: bool
) -> FitResult | None:
    """Return a fit stage as a result, None where its model was not kept."""
    if stage.model is None:
        return None
    facts, curves = read_facts(stage.result["facts"]), read_curves(stage.result["curves"])
    return FitResult(key, setting, fold, stage.model, facts, curves, reused)
