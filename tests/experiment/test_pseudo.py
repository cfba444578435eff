"""Pseudo-labels: what the pipeline makes of a video's key frames."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import suites
from tests.helpers.suites import Place
from vidseg import plugins
from vidseg.errors import UsageError
from vidseg.experiment.config import Setting, make_config, make_label_config
from vidseg.labels.effort import Effort, by_hand
from vidseg.plugins.spec import parse

DATA = "synthetic:videos=2,frames=12,size=64x48,motion=0.3"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    suites.install(monkeypatch)
    return Place(tmp_path).bench(dataset=DATA)


def setting(given: str, classifier: str = "quick") -> Setting:
    labelling = make_label_config({"train_labels": given, "refine": "box", "prior": None})
    return Setting(parse("all"), parse(classifier), labelling=labelling)


def labels(opened: Any, given: str, classifier: str = "quick") -> Any:
    return opened.experiments["q"].labels_of(setting(given, classifier), "syn00")


def test_key_frames_have_their_boxes_and_others_what_the_model_is_sure_of(opened: Any) -> None:
    video = opened.dataset.videos[0]
    boxes = plugins.create("label", "boxes").of(video)
    sure, all_ = (labels(opened, f"pseudo:every=5,margin={m}") for m in (0.05, 0))
    task, size = opened.experiments["q"].task, sure.material.mask_size
    assert list(sure.frames) == list(range(12))
    assert (sure.mask(5) == task.target(boxes.labels(5), size)).all()
    assert set(np.unique(all_.mask(7))) == {-1, 1}
    assert set(np.unique(sure.mask(7))) == {-1, 0, 1}
    kept = sure.mask(7) != 0
    assert (sure.mask(7)[kept] == all_.mask(7)[kept]).all()
    assert sure.labels.effort(range(12)) == by_hand(video, [0, 5, 10])
    assert suites.COUNTS["fits"] == 2


def test_one_fit_a_video_and_classifier_and_none_after_pickling(opened: Any) -> None:
    one = labels(opened, "pseudo:every=5,margin=0")
    mask = one.mask(7)
    assert labels(opened, "pseudo:every=5,margin=0") is one
    there = pickle.loads(pickle.dumps(one.labels))  # noqa: S301
    assert (there.mask(7) == mask).all()
    assert suites.COUNTS["fits"] == 1
    other = labels(opened, "pseudo:every=5,margin=0", "quick:reading=2")
    assert other is not one


def test_what_the_labels_depend_on_is_in_their_key(opened: Any) -> None:
    keys = {labels(opened, f"pseudo:{s}").labels.key for s in ("every=5", "every=6", "margin=2")}
    assert len(keys) == 3
    experiment, fold = opened.experiments["q"], opened.cells[0].fold
    cells = {
        experiment.key(setting("pseudo:every=5", classifier), fold)
        for classifier in ("quick", "quick:reading=2")
    }
    assert len(cells) == 2


def test_nothing_is_learnt_of_key_frames_without_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites.install(monkeypatch)
    opened = Place(tmp_path).bench(dataset="synthetic:videos=2,frames=4,size=64x48,figures=0")
    found = labels(opened, "pseudo:every=2")
    assert (found.mask(0) == -1).all()
    assert (found.mask(1) == 0).all()
    assert found.labels.effort(range(4)) == Effort(0, 2)
    assert suites.COUNTS["fits"] == 0


def test_without_a_pipeline_there_are_none(opened: Any) -> None:
    with pytest.raises(UsageError, match="made in a run or a suite"):
        plugins.create("label", "pseudo").of(opened.dataset.videos[0])


def test_a_run_trains_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites.install(monkeypatch)
    config = make_config(
        {
            "dataset": DATA,
            "sampler": "all",
            "train_labels": "pseudo:every=5,margin=0.05",
            "extractor": "filters:octaves=1",
            "classifier": "quick",
            "image_size": "32x24",
            "device": "cpu",
            "threads": 1,
            "refit": False,
        }
    )
    first, again = (Place(tmp_path / name).run_one(config) for name in ("a", "b"))
    assert first.headline == again.headline
    assert first.headline["iou"] > 0
