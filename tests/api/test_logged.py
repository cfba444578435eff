"""Which experiment of MLflow is filled."""

from __future__ import annotations

import pytest

from vidseg.api.logged import experiment_name
from vidseg.errors import TrackingError
from vidseg.tracking.run import ensure_experiment, open_run


def test_the_experiment_by_option_name_or_number(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert experiment_name(None) == "vidseg"
    number = ensure_experiment(tracking, "mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    assert experiment_name(None) == "mine"
    with open_run(experiment_name(None), "a run") as run:
        assert run.experiment_id == number
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    assert experiment_name(None) == "named"
    assert experiment_name("given") == "given"


@pytest.mark.parametrize("number", ["4711", "no number"])
def test_a_number_that_is_not_there(
    tracking: str, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    with pytest.raises(TrackingError, match=f"no experiment {number!r}, which MLFLOW_"):
        experiment_name(None)
