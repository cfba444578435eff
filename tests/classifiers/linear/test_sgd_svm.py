"""SGD on whole frames, against the optimum of a general optimiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize
import torch
from pydantic import ValidationError, validate_call

from tests.helpers.training import TinyHandle, TinyNoise, TinyTraining
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.sgd_svm import Folded, FrameLoss, SgdSvm
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.classifiers.pyramid import Pyramid
from vidseg.errors import DataError, Stopped, UsageError
from vidseg.types import Features, FrameRef, Mask

HANDLE = TinyHandle()
EQUAL = Budget("equal-epochs")


@dataclass(frozen=True)
class Mixed(TinyTraining):
    """Every channel of a level has the level's mean in it, ``stretch`` times."""

    stretch: float = 1.0

    def features(self, ref: FrameRef) -> Features:
        return tuple(
            (f + self.stretch * f.mean(axis=0, keepdims=True)).astype(f.dtype)
            for f in super().features(ref)
        )


def points_of(train: TinyTraining) -> tuple[np.ndarray, np.ndarray]:
    transform = Standardisation.compute(train, FitContext(), HANDLE.levels)
    return PointSet(train, transform, HANDLE.levels).gather(FitContext())


def objective(
    v: np.ndarray, x: np.ndarray, y: np.ndarray, c: float, square: bool, weight: float
) -> float:
    slack = np.maximum(0, 1 - y * (x.astype(float) @ v[:-1] + v[-1]))
    factor = np.where(y > 0, weight, 1)
    return float(np.average(slack**2 if square else slack, weights=factor) + v @ v / (2 * c))


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_comes_near_the_optimum(loss: str, weight: float) -> None:
    train, square = TinyTraining(), loss == "squared_hinge"
    classifier = SgdSvm(loss=loss, C=20.0, epochs=400, positive_weight=weight)
    head = classifier.fit(train, HANDLE, FitContext(budget=EQUAL))
    x, y = points_of(train)
    args = (x, y, 20.0, square, weight)
    best = scipy.optimize.minimize(objective, np.zeros(16), args, options={"maxiter": 300}).fun
    found = objective(np.append(head.warm["weight"], head.warm["bias"]), *args)
    assert best * (1 - 1e-4) < found < best * 1.001
    assert found < 0.7 * objective(np.zeros(16), *args)


@pytest.mark.parametrize("stretch", [1.0, 30.0])
def test_correlated_channels_cost_no_accuracy(stretch: float) -> None:
    """Channels that are nearly one another: one direction is far steeper than the others."""
    train = Mixed(stretch=stretch)
    head = SgdSvm(C=10.0).fit(train, HANDLE, FitContext(budget=EQUAL))
    x, y = points_of(train)
    args = (x, y, 10.0, True, 1.0)
    best = scipy.optimize.minimize(objective, np.zeros(16), args, options={"maxiter": 500}).fun
    found = objective(np.append(head.warm["weight"], head.warm["bias"]), *args)
    assert found < best * 1.005


def test_a_small_cost_does_not_overshoot() -> None:
    train = TinyTraining()
    head = SgdSvm(C=1e-5, C_mode="sum", epochs=400).fit(train, HANDLE, FitContext(budget=EQUAL))
    x, y = points_of(train)
    args = (x, y, 1e-5 * len(y), True, 1.0)
    best = scipy.optimize.minimize(objective, np.zeros(16), args).fun
    assert objective(np.append(head.warm["weight"], head.warm["bias"]), *args) < 1.01 * best


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_gradient_is_that_of_all_pixels(loss: str) -> None:
    train = TinyTraining()
    ref = train.refs[0]
    transform = Standardisation.compute(train, FitContext(), HANDLE.levels)
    x, y = PointSet(train.subset(["a"]), transform, HANDLE.levels).gather(FitContext())
    mask = train.mask(ref)
    x, y = x[: np.count_nonzero(mask)].astype(float), y[: np.count_nonzero(mask)].astype(float)
    v = np.random.default_rng(0).normal(0, 0.2, 16)
    slack = np.maximum(0, 1 - y * (x @ v[:-1] + 2 * v[-1]))
    factor = np.where(y > 0, 3.0, 1.0) * 0.5
    pull = factor * y * (slack > 0) * (2 * slack if loss == "squared_hinge" else 1)
    expected = -np.append(pull @ x, 2 * pull.sum())

    features = train.features(ref)
    maps = [torch.from_numpy(level.astype(np.float32)) for level in features]
    folded, pyramid = Folded(transform, "cpu"), Pyramid.of(features, train.mask_size)
    scores = folded.scores(maps, pyramid, torch.from_numpy(v), 2.0)
    value, residual = FrameLoss(loss, 3.0, 0.5, 2.0).residual(
        scores, torch.from_numpy(mask.astype(np.float32))
    )
    found = folded.gradient(maps, pyramid, residual, 2.0).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    total = factor @ (slack**2 if loss == "squared_hinge" else slack)
    assert value == pytest.approx(total, rel=1e-4)


def test_scores_equal_the_weights_on_points() -> None:
    train = TinyTraining(ignored=0.0)
    head = SgdSvm(epochs=3).fit(train, HANDLE, FitContext())
    x, _ = points_of(train)
    scores = [head.scores(train.features(ref), train.mask_size).ravel() for ref in train.refs]
    flat = x @ head.warm["weight"] + head.warm["bias"][0]
    np.testing.assert_allclose(np.concatenate(scores), flat, atol=1e-4)


def test_is_repeatable_by_seed_and_without_bias_has_none() -> None:
    def fit(seed: int, **options: object) -> LinearHead:
        return SgdSvm(**{"epochs": 2, **options}).fit(  # type: ignore[arg-type]
            TinyTraining(), HANDLE, FitContext(seed=seed)
        )

    np.testing.assert_array_equal(fit(3).warm["weight"], fit(3).warm["weight"])
    assert not np.array_equal(fit(3).warm["weight"], fit(4).warm["weight"])
    longer = [fit(3, epochs=9, average=average).warm["weight"] for average in (True, False)]
    assert not np.array_equal(*longer)
    assert fit(3, bias=-1.0, standardise=False).bias == 0


def test_epochs_follow_the_budget_and_are_logged() -> None:
    curve: list[tuple[str, float, int]] = []
    refs = tuple(FrameRef(video, i) for video in "ab" for i in range(20))
    ctx = FitContext(log=lambda *row: curve.append(row))
    train = TinyTraining(refs=refs)
    classifier = SgdSvm(epochs=12, batch=3)
    classifier.fit(train, HANDLE, ctx)
    points = sum(np.count_nonzero(train.mask(ref)) for ref in refs)
    assert ctx.facts["epochs"] == 3  # 12 / 4 at 20 images a video
    assert ctx.facts["updates"] == 3 * 14
    assert ctx.facts["frames_seen"] == 120
    assert ctx.facts["pixels_seen"] == 3 * points
    assert [(name, step) for name, _, step in curve] == [("loss", 0), ("loss", 1), ("loss", 2)]
    assert curve[2][1] < curve[0][1]
    assert classifier.reads(20, ctx.budget) * len(refs) == len(train.visits)


def test_fresh_variants_are_seen_in_every_epoch() -> None:
    made: list[int] = []

    class Watched(TinyTraining):
        def features(self, ref: FrameRef) -> Features:
            made.append(self.epoch)
            return super().features(ref)

    refs = tuple(FrameRef("a", i, TinyNoise()) for i in range(2))
    SgdSvm(epochs=3).fit(Watched(refs=refs), HANDLE, FitContext(budget=EQUAL))
    assert made == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]  # two readings before the first step


def test_stops_in_time_and_on_demand() -> None:
    ctx = FitContext(budget=Budget(max_time=0.0))
    head = SgdSvm().fit(TinyTraining(), HANDLE, ctx)
    assert ctx.facts["out_of_time"] == 1
    assert ctx.facts["updates"] == 1
    assert np.isfinite(head.warm["weight"]).all()
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise Stopped("stopped by the user")

    with pytest.raises(Stopped):
        SgdSvm().fit(TinyTraining(), HANDLE, FitContext(stop=stop))


def test_refuses_one_class_bad_features_and_huge_steps() -> None:
    class AllBackground(TinyTraining):
        def mask(self, ref: FrameRef) -> Mask:
            return -np.abs(super().mask(ref))

    def spoil(ref: FrameRef, features: Features) -> Features:
        return (features[0] * np.float16(np.nan), *features[1:])

    with pytest.raises(DataError, match="no foreground pixel"):
        SgdSvm().fit(AllBackground(), HANDLE, FitContext())
    with pytest.raises(DataError, match="video a, frame 0, level tiny0"):
        SgdSvm().fit(TinyTraining(spoil=spoil), HANDLE, FitContext())
    with pytest.raises(UsageError, match="overflow with step=1000; choose less"):
        SgdSvm(step=1000.0, epochs=2000).fit(TinyTraining(), HANDLE, FitContext(budget=EQUAL))


def test_round_trip() -> None:
    train = TinyTraining(levels=(0, 2))
    classifier = SgdSvm(levels=[2, 0], epochs=2)
    head = classifier.fit(train, HANDLE, FitContext())
    assert head.levels == (0, 2)
    again = classifier.load(head.export(), HANDLE)
    features = train.features(train.refs[0])
    np.testing.assert_array_equal(
        again.scores(features, train.mask_size), head.scores(features, train.mask_size)
    )
    with pytest.raises(DataError, match="trained on extractor"):
        classifier.load(head.export(), TinyHandle(seed=1))


@pytest.mark.parametrize("wrong", [{"C": 0}, {"loss": "log"}, {"batch": 0}, {"momentum": 1.0}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        validate_call(SgdSvm.__init__)(object.__new__(SgdSvm), **wrong)
