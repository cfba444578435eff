"""Cells: fitted models stay in files, and are read when they are scored, a few at a time."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import networks, suites
from vidseg import plugins
from vidseg.experiment.config import Setting, make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger, StateFile
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.score import batches
from vidseg.experiment.splits import Fold, folds
from vidseg.experiment.stages import FitResult
from vidseg.store import Store
from vidseg.utils.progress import Quiet


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    suites.install(monkeypatch)
    networks.forget()


def opened(folder: Path, classifier: str = "tinynet", **options: Any) -> tuple[Experiment, Fold]:
    config = make_config(
        {
            "dataset": "synthetic:videos=3,frames=6,size=64x48",
            "image_size": "32x24",
            "sampler": "successive:n=2",
            "extractor": "filters:octaves=1",
            "classifier": classifier,
            "threads": 1,
            **options,
        }
    )
    experiment = open_experiment(
        config,
        open_dataset(config.dataset, Quiet()),
        store=Store(folder / "store"),
        ledger=Ledger(folder / "ledger"),
        progress=Quiet(),
    )
    return experiment, folds(config.split, experiment.groups, 0)[0]


def settings(experiment: Experiment, *specs: str) -> dict[str, Setting]:
    return {
        spec: replace(experiment.config.setting, classifier=plugins.resolve("classifier", spec))
        for spec in specs
    }


def plain_counts(scored: Any) -> dict[str, Any]:
    return {kind: [row.to_json() for row in rows] for kind, rows in scored.counts.items()}


def test_a_network_goes_the_whole_way(tmp_path: Path) -> None:
    experiment, fold = opened(tmp_path)
    fitted = experiment.fit(experiment.config.setting, fold, "")
    assert not fitted.reused
    assert [name for name, _, _ in fitted.curves] == ["loss"] * 4
    scored = experiment.score({"it": fitted}, fold, "")["it"]
    assert list(scored.counts) == ["foreground", "position", "colour", "model"]
    (counts,) = scored.counts["model"]
    assert counts.frames == list(range(6))
    assert networks.BATCHES == [(6, "cpu")]
    again = experiment.fit(experiment.config.setting, fold, "")
    assert again == replace(fitted, reused=True)
    assert experiment.score({"it": again}, fold, "")["it"].reused
    forwards = next(iter(experiment.materials.values())).extractor.forwards
    assert forwards == 0, "a network needs no features"


def test_nothing_reads_a_model_before_it_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, fold = opened(tmp_path)
    setting = experiment.config.setting
    assert not experiment.is_fitted(setting, fold)
    experiment.score({"it": experiment.fit(setting, fold, "")}, fold, "")
    monkeypatch.setattr(StateFile, "load", lambda self: pytest.fail("the model was read"))
    assert experiment.is_fitted(setting, fold)
    fitted = experiment.fit(setting, fold, "")
    assert fitted.reused
    assert experiment.finished(setting, fold) is not None
    experiment.score({"it": fitted}, fold, "")


def test_two_networks_at_most_are_in_memory(tmp_path: Path) -> None:
    experiment, fold = opened(tmp_path)
    specs = [f"tinynet:steps={steps}" for steps in range(5)]
    cells = {
        name: experiment.fit(setting, fold, "")
        for name, setting in settings(experiment, *specs).items()
    }
    gc.collect()
    assert not networks.ALIVE
    networks.forget()
    together = experiment.score(cells, fold, "")
    gc.collect()
    assert networks.COUNTS["most"] == 2
    assert networks.COUNTS["loads"] == 5
    assert not networks.ALIVE
    assert len({str(plain_counts(scored)["model"]) for scored in together.values()}) == 5
    for name, cell in cells.items():
        for file in experiment.ledger.folder(cell.key).glob("score-*.json"):
            file.unlink()
        alone = experiment.score({name: cell}, fold, "")[name]
        assert plain_counts(alone) == plain_counts(together[name])


def test_heads_share_one_read_of_each_test_frame(tmp_path: Path) -> None:
    experiment, fold = opened(tmp_path)
    heads = settings(experiment, "quick", "quick:reading=2", "tinynet", "pixel_svm")
    cells = {name: experiment.fit(setting, fold, "") for name, setting in heads.items()}
    (material,) = experiment.members(fold.test)
    read: list[int] = []
    plain = material.features
    material.features = lambda index: (read.append(index), plain(index))[1]  # type: ignore[method-assign]
    experiment.score(cells, fold, "")
    assert read == list(range(6))


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
@pytest.mark.parametrize("classifier", ["tinynet", "quick"])
def test_an_altered_model_is_fitted_again(tmp_path: Path, classifier: str, change: str) -> None:
    experiment, fold = opened(tmp_path, classifier)
    setting = experiment.config.setting
    fitted = experiment.fit(setting, fold, "")
    whole = fitted.state.path.read_bytes()
    file = fitted.state.path
    if change == "flip":
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif change == "cut":
        file.write_bytes(whole[:-1])
    else:
        file.unlink()
    assert experiment.is_fitted(setting, fold) == (change == "flip")
    scored = experiment.score({"it": fitted}, fold, "")["it"]
    assert file.read_bytes() == whole, "the same fit"
    other, _ = opened(tmp_path / "other", classifier)
    other.score({"it": (sound := other.fit(setting, fold, ""))}, fold, "")
    assert plain_counts(other.score({"it": sound}, fold, "")["it"]) == plain_counts(scored)


def result(name: str, classifier: str, nbytes: int) -> FitResult:
    setting = Setting(plugins.resolve("sampler", 1), plugins.resolve("classifier", classifier))
    state = StateFile(Path(name), "", nbytes)
    return FitResult(name, setting, Fold(0, (), ()), state, {}, [], reused=False)


def test_models_that_are_scored_together_stay_within_the_budget() -> None:
    given = {
        "n1": result("n1", "tinynet", 100),
        "a": result("a", "quick", 600),
        "n2": result("n2", "tinynet", 100),
        "b": result("b", "quick", 400),
        "c": result("c", "quick", 1),
        "n3": result("n3", "tinynet", 100),
        "n4": result("n4", "tinynet", 5000),
    }
    found = [list(group) for group in batches(given, 4000)]
    assert found == [["a", "b"], ["c"], ["n1", "n2"], ["n3"], ["n4"]]
    assert batches({}, 4000) == []


def test_a_head_is_the_same_before_and_after_its_file(tmp_path: Path) -> None:
    experiment, fold = opened(tmp_path, "pixel_svm")
    fitted = experiment.fit(experiment.config.setting, fold, "")
    state = experiment.model(fitted).export()
    assert state.keys() == experiment.state(fitted).keys()
    for name, array in experiment.state(fitted).items():
        np.testing.assert_array_equal(array, state[name])
