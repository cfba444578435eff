"""SGD over a stream of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

from tests.helpers.training import TinyHandle, TinyNoise, TinyTraining
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.sgd import Sgd
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import DataError, Stopped
from vidseg.types import Features, FrameRef, Mask

HANDLE = TinyHandle()


def points_of(train: TinyTraining) -> tuple[np.ndarray, np.ndarray]:
    transform = Standardisation.compute(train, FitContext(), HANDLE.levels)
    return PointSet(train, transform, HANDLE.levels).gather(FitContext())


def objective(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, c: float, square: bool, weight: float = 1
) -> float:
    hinge = np.maximum(0, 1 - y * (x.astype(float) @ w + b))
    factor = np.where(y > 0, weight, 1)
    size = w @ w + b * b
    return float(np.average(hinge**2 if square else hinge, weights=factor) + size / (2 * c))


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_comes_near_the_optimum(loss: str, weight: float) -> None:
    train = TinyTraining()
    classifier = Sgd(loss=loss, C=20.0, epochs=40, positive_weight=weight)
    head = classifier.fit(train, HANDLE, FitContext(budget=Budget("equal-epochs")))
    x, y = points_of(train)
    square = loss == "squared_hinge"

    def value(v: np.ndarray) -> float:
        return objective(x, y, v[:-1], v[-1], 20.0, square, weight)

    best = scipy.optimize.minimize(value, np.zeros(16), options={"maxiter": 300}).fun
    found = objective(x, y, head.warm["weight"], float(head.warm["bias"][0]), 20.0, square, weight)
    assert best * (1 - 1e-4) < found < best * 1.003
    assert found < 0.7 * value(np.zeros(16))


def test_predicts_an_unseen_frame() -> None:
    train = TinyTraining()
    head = Sgd().fit(train, HANDLE, FitContext())
    ref = FrameRef("a", 5)
    mask, scores = train.mask(ref), head.scores(train.features(ref), train.mask_size)
    hit, miss = scores[mask > 0], scores[mask < 0]
    # the chance that a foreground pixel scores above a background one
    assert (hit[:, None] > miss[None, :]).mean() > 0.8


def test_scores_equal_the_weights_on_points() -> None:
    train = TinyTraining(ignored=0.0)
    head = Sgd().fit(train, HANDLE, FitContext())
    x, _ = points_of(train)
    scores = [head.scores(train.features(ref), train.mask_size).ravel() for ref in train.refs]
    flat = x @ head.warm["weight"] + head.warm["bias"][0]
    np.testing.assert_allclose(np.concatenate(scores), flat, atol=1e-4)


def test_is_repeatable_by_seed(tmp_path: Path) -> None:
    def fit(seed: int) -> LinearHead:
        return Sgd(epochs=2).fit(TinyTraining(), HANDLE, FitContext(seed=seed))

    np.testing.assert_array_equal(fit(3).warm["weight"], fit(3).warm["weight"])
    assert not np.array_equal(fit(3).warm["weight"], fit(4).warm["weight"])


def test_epochs_follow_the_budget_and_are_logged() -> None:
    curve: list[tuple[str, float, int]] = []
    refs = tuple(FrameRef(video, i) for video in "ab" for i in range(20))
    ctx = FitContext(log=lambda *row: curve.append(row))
    train = TinyTraining(refs=refs)
    Sgd(epochs=12).fit(train, HANDLE, ctx)
    points = sum(int((train.mask(ref) != 0).sum()) for ref in refs)
    assert ctx.facts["epochs"] == 3  # 12 / 4 at 20 images a video
    assert ctx.facts["updates"] == ctx.facts["pixels_seen"] == 3 * points
    assert [(name, step) for name, _, step in curve] == [("loss", 0), ("loss", 1), ("loss", 2)]
    assert curve[2][1] < curve[0][1]


def test_pixels_per_frame_limits_the_updates() -> None:
    ctx = FitContext()
    Sgd(epochs=4, pixels_per_frame=50).fit(TinyTraining(), HANDLE, ctx)
    assert ctx.facts["updates"] == 50 * 4 * ctx.facts["epochs"]


def test_fresh_variants_are_seen_in_every_epoch() -> None:
    refs = tuple(FrameRef("a", 0, TinyNoise(seed=seed)) for seed in (0, 1))
    train = TinyTraining(refs=refs)
    epochs: list[int] = []

    class Watched(TinyTraining):
        def with_epoch(self, epoch: int) -> TinyTraining:
            epochs.append(epoch)
            return super().with_epoch(epoch)

    watched = Watched(refs=train.refs)
    Sgd(epochs=5).fit(watched, HANDLE, FitContext(budget=Budget("equal-epochs")))
    assert epochs == [0, 1, 2, 3, 4]


def test_max_time_ends_with_what_there_is() -> None:
    ctx = FitContext(budget=Budget("equal-epochs", max_time=1e-6))
    head = Sgd(epochs=50).fit(TinyTraining(), HANDLE, ctx)
    assert ctx.facts["out_of_time"] == 1
    assert ctx.facts["epochs"] == 0
    assert ctx.facts["updates"] > 0
    assert np.abs(head.warm["weight"]).max() > 0


def test_stopping() -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 15:
            raise Stopped("stopped by the user")

    with pytest.raises(Stopped):
        Sgd().fit(TinyTraining(), HANDLE, FitContext(stop=stop))


def test_bad_input() -> None:
    class AllForeground(TinyTraining):
        def mask(self, ref: FrameRef) -> Mask:
            return np.abs(super().mask(ref))

    def spoil(ref: FrameRef, features: Features) -> Features:
        return (*features[:2], features[2] + np.float16(np.inf))

    with pytest.raises(DataError, match="no background pixel"):
        Sgd().fit(AllForeground(), HANDLE, FitContext())
    with pytest.raises(DataError, match="video a, frame 0, level tiny2"):
        Sgd(standardise=False).fit(TinyTraining(spoil=spoil), HANDLE, FitContext())


def test_constant_features_give_a_constant() -> None:
    def flat(ref: FrameRef, features: Features) -> Features:
        return tuple(np.ones_like(level) for level in features)

    train = TinyTraining(spoil=flat)
    head = Sgd(epochs=2).fit(train, HANDLE, FitContext())
    scores = head.scores(train.features(train.refs[0]), train.mask_size)
    assert np.isfinite(scores).all()
    assert np.ptp(scores) == 0


def test_raw_features_and_literal_scale_train_too() -> None:
    train = TinyTraining()
    for options in ({"standardise": False}, {"C_mode": "sum", "C": 0.01}, {"average": False}):
        head = Sgd(**options).fit(train, HANDLE, FitContext())
        ref = train.refs[0]
        scores, mask = head.scores(train.features(ref), train.mask_size), train.mask(ref)
        assert scores[mask > 0].mean() > scores[mask < 0].mean()
