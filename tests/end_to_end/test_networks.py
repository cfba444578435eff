"""Networks through the engine: fitted, kept, scored, served, started from an SVM, shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiment.test_distributed import command
from tests.helpers.suites import Place
from vidseg.errors import Stopped, UsageError
from vidseg.experiment.config import make_config
from vidseg.experiment.ledger import Ledger
from vidseg.serving import predictor as served

RESNET = "timm:model=test_resnet,weights=random"
OPTIONS: dict[str, Any] = {
    "dataset": "synthetic:videos=3,frames=6,size=64x48",
    "sampler": "successive:n=3",
    "extractor": RESNET,
    "image_size": "64x48",
    "split": "fixed:test=syn00",
    "device": "cpu",
    "threads": 1,
    "epochs": 4,
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_fits_scores_and_serves_a_network(place: Place, tmp_path: Path) -> None:
    config = make_config({**OPTIONS, "classifier": "unet:widths=8,batch=2", "refit": False})
    record = place.run_one(config)
    (fold,) = record.folds
    names = {name for name, _, _ in fold.curves}
    assert {"loss", "iou", "lr", "images_per_second", "waiting_share", "peak_memory"} <= names
    losses = [(value, step) for name, value, step in fold.curves if name == "loss"]
    assert [step for _, step in losses] == [1, 2, 3]
    assert fold.facts["epochs"] == 3, "4 at one frame per video, 3 at three"
    assert fold.facts["updates"] == 3 * 3
    assert fold.facts["pixels_seen"] == 3 * 6 * 64 * 48
    assert 0 <= record.headline["iou"] <= 1
    assert record.overlays
    assert record.model is not None
    predictor = served.load(*served.save(record.model, tmp_path))
    assert predictor.mask(record.model.example).shape == (48, 64)
    assert predictor.scores(record.model.example).std() > 0


def test_a_run_on_filters_says_what_to_choose(place: Place) -> None:
    config = make_config({**OPTIONS, "extractor": "filters", "classifier": "vgg"})
    expected = "classifier vgg: the extractor filters has nothing to train; choose --extractor timm"
    with pytest.raises(UsageError, match=expected):
        place.run_one(config)


def test_a_prior_weighs_the_classes_of_a_network(place: Place) -> None:
    config = make_config(
        {**OPTIONS, "classifier": "vgg", "prior": 0.5, "refit": False, "epochs": 1}
    )
    (fold,) = place.run_one(config).folds
    share = fold.facts["train_positive_share"]
    assert fold.facts["positive_weight"] == pytest.approx((1 - share) / share)
    # an untrained network scores the prior's odds: 0
    loss = next(value for name, value, _ in fold.curves if name == "loss")
    assert loss == pytest.approx(np.log(2), rel=0.05)


PIPELINES = {
    "svm": {"extractor": RESNET, "classifier": "sgd_svm:epochs=2"},
    "net": {
        "extractor": RESNET,
        "classifier": "vgg:epochs=1,lr=1e-30,momentum=0,weight_decay=0",
        "init_from": "svm",
    },
}


def test_a_suite_s_network_starts_at_its_svm(place: Place) -> None:
    """Without a step that moves it, it has the scores of the SVM's cell."""
    changes = {"arms": {"four": {"sampler": "successive:n=4"}}, "comparisons": []}
    bench = place.bench(pipelines=PIPELINES, split="fixed:test=syn00", **changes)
    results, _ = place.run(bench)
    assert not results.failures
    counts = {
        cell.partition("/")[0]: found.scored.counts["model"]
        for cell, found in results.finished.items()
    }
    ious = {
        name: np.array([video.frame_scores("iou") for video in videos])
        for name, videos in counts.items()
    }
    np.testing.assert_allclose(ious["four net"], ious["four svm"], atol=5e-3)


def test_a_stopped_run_goes_on_from_its_checkpoint(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidseg.classifiers.networks.descent import Descent

    config = make_config({**OPTIONS, "classifier": "vgg:batch=2", "refit": False})
    step, seen = Descent.step, []

    def stop(self: Descent, pixels: float) -> None:
        if len(seen) == 5:
            raise Stopped("stopped by SIGTERM", "", 143)
        seen.append(pixels)
        step(self, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(Descent, "step", stop)
        with pytest.raises(Stopped):
            place.run_one(config)
    assert list((place.folder / "ledger").rglob("checkpoint.safetensors"))
    broken = place.run_one(config)
    whole = Place(place.folder / "again").run_one(config)
    assert broken.headline == whole.headline
    assert not list((place.folder / "ledger").rglob("checkpoint.safetensors"))


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(tmp_path: Path) -> None:
    network = ("--extractor", RESNET, "--classifier", "unet:widths=8,batch=4", "--epochs", "12")
    curves = []
    for name, world in (("one", 1), ("two", 2)):
        done = command(tmp_path, name, world, *network)
        assert done.returncode == 0, done.stderr
        ledger = Ledger(tmp_path / name)
        (file,) = ledger.root.rglob("fit.json")
        stage = ledger.read(file.parent.name, "fit")
        assert stage is not None
        assert stage.result["facts"].get("processes", 1) == world
        curves.append([row[1] for row in stage.result["curves"] if row[0] == "loss"])
    assert len(curves[0]) > 5
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)
