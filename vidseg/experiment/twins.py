"""A cell at one value of a path that is fitted as the tuned cell beside it: fitted once.

Their keys differ, because a tuned cell's key is known before it has chosen. Once it has, all that a
fit depends on may be the same: then the cell of the path takes the fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from vidseg.experiment.config import Setting
from vidseg.experiment.ledger import Ledger, Stage
from vidseg.experiment.options import INNER
from vidseg.experiment.stages import read_facts
from vidseg.types import State

CHOICE = frozenset({"classifier", "tune", "tune_from", "tune_threshold", "sources"})
"""Inputs of a fit that say how the classifier was found."""
CHOOSING = ("tune_", "tune/")
"""Beginnings of the names of facts and curves that are of the choice, not of the fit."""


def twin_fit(
    ledger: Ledger, setting: Setting, inputs: Mapping[str, Any], key: Callable[[Setting], str]
) -> tuple[dict[str, Any], State] | None:
    """Return result and arrays of the fit of a cell's twin, None where it is not the same.

    Args:
        ledger: where finished stages are kept.
        setting: what is to be fitted.
        inputs: what its fit depends on.
        key: returns the key of the twin.

    Raises:
        StoreError: the ledger cannot be read.
    """
    # a threshold that is chosen as well has been chosen by the inner fits of the grid
    if setting.twin is None or inputs["threshold"] == INNER:
        return None
    stage = ledger.read(key(setting.twin), "fit")
    if stage is None or stage.model is None or not _same(stage, setting.twin, setting, inputs):
        return None
    state = stage.model.load()
    return None if state is None else (_without_choice(stage.result), state)


def _same(stage: Stage, twin: Setting, setting: Setting, inputs: Mapping[str, Any]) -> bool:
    chosen = twin.fitted_classifier(read_facts(stage.result["facts"]))
    mine = json.loads(json.dumps(inputs))
    names = (mine.keys() | stage.inputs.keys()) - CHOICE
    return str(chosen) == str(setting.classifier) and all(
        mine.get(name) == stage.inputs.get(name) for name in names
    )


def _without_choice(result: Mapping[str, Any]) -> dict[str, Any]:
    facts = {k: v for k, v in result["facts"].items() if not k.startswith(CHOOSING)}
    curves = [row for row in result["curves"] if not row[0].startswith(CHOOSING)]
    return {"facts": facts, "curves": curves}
