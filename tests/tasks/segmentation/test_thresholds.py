"""Class weights to a prior, and thresholds chosen on held-out training groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.helpers.suites import Place
from tests.labels.test_labels import opened
from vidseg.errors import DataError, UsageError, VidsegError
from vidseg.experiment.config import make_config
from vidseg.experiment.evaluate import frame_scores
from vidseg.experiment.splits import folds
from vidseg.tasks.segmentation.class_weights import positive_weight
from vidseg.tasks.segmentation.histogram import exact_histogram, merge
from vidseg.tasks.segmentation.thresholds import best_threshold


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("prior", [0.05, 0.5, 0.99])
def test_the_weight_makes_the_share_the_prior(share: float, prior: float) -> None:
    weight = positive_weight(share, prior)
    assert weight * share / (weight * share + 1 - share) == pytest.approx(prior)


def test_a_prior_of_the_share_itself_changes_nothing() -> None:
    assert positive_weight(0.2, 0.2) == pytest.approx(1)


@pytest.mark.parametrize("prior", [0, 1, -0.5, 2, "half", True, float("nan")])
def test_priors_that_are_no_share(prior: object) -> None:
    with pytest.raises(UsageError, match="prior"):
        make_config({"prior": prior})


def test_one_weight_at_a_time() -> None:
    with pytest.raises(UsageError, match=r"prior: positive_weight is given .* as well"):
        make_config({"prior": 0.3, "classifier": "sgd:positive_weight=2"})


def test_classifiers_without_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidseg.tasks.segmentation import class_weights as balance

    monkeypatch.setattr(balance, "PARAMETER", "weight_of_nothing")
    with pytest.raises(UsageError, match="the classifier sgd has no weight_of_nothing"):
        make_config({"prior": 0.3, "classifier": "sgd"})


@pytest.mark.parametrize("classifier", ["sgd:epochs=1", "pixel_svm"])
def test_a_fit_is_weighted_as_by_hand(tmp_path: Any, classifier: str) -> None:
    states = []
    experiment = opened(tmp_path, classifier=classifier, prior=0.4)
    fold = folds(experiment.config.split, experiment.groups, 0)[0]
    cell = experiment.fit(experiment.config.setting, fold, "")
    share, weight = cell.facts["train_positive_share"], cell.facts["positive_weight"]
    assert share < 0.4 < weight
    assert weight == positive_weight(share, 0.4)
    states.append(cell.state.load())
    joint = "," if ":" in classifier else ":"
    by_hand = opened(tmp_path, classifier=f"{classifier}{joint}positive_weight={weight!r}")
    cell = by_hand.fit(by_hand.config.setting, fold, "")
    assert "positive_weight" not in cell.facts
    states.append(cell.state.load())
    for name, array in states[0].items():
        assert (array == states[1][name]).all(), name


def test_more_prior_finds_more(tmp_path: Any) -> None:
    found = []
    for prior in (0.05, None, 0.6):
        experiment = opened(tmp_path, classifier="pixel_svm", prior=prior)
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        model = experiment.model(experiment.fit(experiment.config.setting, fold, ""))
        trained = experiment.members(fold.train)
        maps = [frame_scores({0: model}, material, 0)[0] for material in trained]
        found.append(sum(int((scores > 0).sum()) for scores in maps))
    assert found == sorted(found)
    assert found[0] < found[2]


def drawn(seed: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = rng.choice([-1, 0, 1], (40, 50), p=[0.7, 0.1, 0.2]).astype(np.int8)
    scores = (mask + shift + rng.normal(0, 0.8, mask.shape)).astype(np.float32)
    return scores, mask


def iou(scores: np.ndarray, mask: np.ndarray, threshold: float) -> float:
    found, true = scores > threshold, mask > 0
    return (found & true).sum() / ((found | true) & (mask != 0)).sum()


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e5])
def test_the_best_threshold_is_the_best_of_all(offset: float) -> None:
    groups = [[drawn(0, -1.0), drawn(1, -1.5)], [drawn(2, -0.5)]]
    groups = [[(s + np.float32(offset), mask) for s, mask in videos] for videos in groups]

    def mean(threshold: float) -> float:
        return float(np.mean([np.mean([iou(*v, threshold) for v in videos]) for videos in groups]))

    histograms = [[merge([exact_histogram(*video)]) for video in videos] for videos in groups]
    chosen = best_threshold(histograms)
    assert chosen.groups == 2
    assert chosen.iou == pytest.approx(mean(chosen.threshold))
    assert chosen.iou_at_0 == pytest.approx(mean(0.0))
    every = np.unique(np.concatenate([s.ravel() for videos in groups for s, _ in videos]))
    best = max(mean(float(t)) for t in every)
    assert chosen.iou == pytest.approx(best)
    assert chosen.iou > chosen.iou_at_0 + 0.05


def test_among_equals_the_nearest_to_zero() -> None:
    scores = np.array([[-2.0, 3.0]], np.float32)
    chosen = best_threshold([[exact_histogram(scores, np.array([[-1, 1]], np.int8))]])
    assert (chosen.threshold, chosen.iou, chosen.iou_at_0) == (0.0, 1.0, 1.0)


def test_videos_without_foreground_say_nothing() -> None:
    scores = np.array([[-2.0, 3.0]], np.float32)
    empty = exact_histogram(scores, np.array([[-1, -1]], np.int8))
    useful = exact_histogram(scores, np.array([[1, -1]], np.int8))
    assert best_threshold([[empty], [empty, useful]]) == best_threshold([[useful]])
    with pytest.raises(DataError, match="no held-out training group shows foreground"):
        best_threshold([[empty]])


def test_inner_thresholds_are_recorded_used_and_part_of_the_key(tmp_path: Any) -> None:
    cells = {}
    for threshold in (0.0, "inner"):
        experiment = opened(tmp_path, classifier="pixel_svm", threshold=threshold)
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        cell = experiment.fit(experiment.config.setting, fold, "")
        cells[threshold] = (experiment, cell)
    experiment, cell = cells["inner"]
    assert cell.key != cells[0.0][1].key
    facts = cell.facts
    assert facts["inner_groups"] == 2
    assert facts["inner_iou"] >= facts["inner_iou_at_0"]
    assert experiment.threshold(cell) == facts["threshold"]
    assert cells[0.0][0].threshold(cells[0.0][1]) == 0
    for name, array in cells[0.0][1].state.load().items():
        assert (array == cell.state.load()[name]).all(), "the head is the same"
    scored = experiment.score({"it": cell}, fold, "")["it"].counts["model"][0]
    (material,) = experiment.members(fold.test)
    scores, mask = frame_scores({0: experiment.model(cell)}, material, 0)[0], material.mask(0)
    assert scored.counts[0][0] == ((scores > facts["threshold"]) & (mask > 0)).sum()
    again = experiment.fit(experiment.config.setting, fold, "")
    assert again.reused
    assert experiment.threshold(again) == facts["threshold"]


def test_no_test_frame_and_no_other_label_is_looked_at(tmp_path: Any) -> None:
    experiment = opened(tmp_path, sampler="successive:n=1", threshold="inner")
    fold = folds(experiment.config.split, experiment.groups, 0)[0]
    seen: set[tuple[str, int]] = set()
    for name, material in experiment.materials.items():
        mask = material.mask

        def watched(index: int, name: str = name, mask: Any = mask) -> Any:
            seen.add((name, index))
            return mask(index)

        material.mask = watched
    experiment.fit(experiment.config.setting, fold, "")
    trained = {(m.video.name, 0) for m in experiment.members(fold.train)}
    assert seen == trained


def test_one_training_group_is_refused(tmp_path: Any) -> None:
    experiment = opened(tmp_path, dataset="synthetic:videos=2,frames=4,size=64x48")
    experiment.config = make_config({**experiment.config.mapping(), "threshold": "inner"})
    fold = folds(experiment.config.split, experiment.groups, 0)[0]
    with pytest.raises(
        VidsegError, match=r"threshold=inner holds a training group out, .*threshold=0, or train"
    ):
        experiment.fit(experiment.config.setting, fold, "")


@pytest.mark.parametrize("threshold", ["outer", True, None, float("nan")])
def test_thresholds_that_are_none(threshold: object) -> None:
    with pytest.raises(UsageError, match="threshold"):
        make_config({"threshold": threshold})


def test_the_served_model_has_the_chosen_threshold(tmp_path: Any) -> None:
    experiment = opened(tmp_path, threshold="inner")
    record = Place(tmp_path).run_one(experiment.config)
    assert record.config["threshold"] == "inner"
    assert record.model is not None
    assert all(np.isfinite(fold.facts["threshold"]) for fold in record.folds)
    everyone = {fold.facts["threshold"] for fold in record.folds}
    assert np.isfinite(record.model.threshold)
    assert isinstance(record.model.threshold, float)
    assert everyone
