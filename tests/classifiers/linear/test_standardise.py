"""Standardisation, against means and deviations of materialised hypercolumns."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.standardise import Standardisation, frame_moments, inverse_sigma
from vidseg.errors import DataError
from vidseg.types import Features, FrameRef, Size

NAMES = TinyHandle().levels


def rows_of(train: TinyTraining) -> np.ndarray:
    parts = [hypercolumns(train.features(ref), train.mask_size) for ref in train.refs]
    return np.concatenate(parts).astype(np.float64)


def sigma_of(found: Standardisation) -> np.ndarray:
    """Undo 1 / sigma; a dead channel's sigma is 0."""
    return np.divide(1, found.scale, out=np.zeros(15), where=found.scale > 0)


def test_moments_equal_those_of_all_pixels() -> None:
    train = TinyTraining()
    found = Standardisation.compute(train, FitContext(), NAMES, floor=0)
    rows = rows_of(train)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(sigma_of(found), rows.std(axis=0), rtol=1e-5)
    z = found.apply(rows.astype(np.float32))
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), found.scale > 0, atol=1e-4)


def test_frames_count_as_often_as_they_appear() -> None:
    refs = (FrameRef("a", 0), FrameRef("b", 0), FrameRef("a", 0))
    train = TinyTraining(refs=refs)
    found = Standardisation.compute(train, FitContext(), NAMES, floor=0)
    np.testing.assert_allclose(sigma_of(found), rows_of(train).std(axis=0), rtol=1e-5)
    once = TinyTraining(refs=refs[:2])
    assert not np.allclose(found.mean, rows_of(once).mean(axis=0), rtol=1e-3)


def test_labels_play_no_role() -> None:
    few, many = TinyTraining(ignored=0.0), TinyTraining(ignored=0.8)
    first, second = (Standardisation.compute(t, FitContext(), NAMES) for t in (few, many))
    np.testing.assert_array_equal(first.mean, second.mean)


def test_processes_sum_to_the_same_transform() -> None:
    train = TinyTraining(refs=tuple(FrameRef("a", i) for i in range(5)))
    barrier, parts = threading.Barrier(2), {}

    def process(rank: int) -> Standardisation:
        def reduce(array: np.ndarray) -> np.ndarray:
            parts[rank] = array
            barrier.wait(10)
            total = parts[0] + parts[1]
            barrier.wait(10)
            return total

        return Standardisation.compute(train.shard(rank, 2), FitContext(reduce=reduce), NAMES)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(process, (0, 1))
    alone = Standardisation.compute(train, FitContext(), NAMES)
    np.testing.assert_array_equal(first.scale, second.scale)
    np.testing.assert_allclose(first.mean, alone.mean, rtol=1e-12)
    np.testing.assert_allclose(first.scale, alone.scale, rtol=1e-12)


def test_rare_and_dead_channels() -> None:
    mean = np.array([1.0, 1.0, 1.0, 1.0, 5.0, 0.0])
    sigma = np.array([2.0, 4.0, 1e-3, 0.0, 1e-8, 10.0])
    scale = inverse_sigma(mean, sigma, (4, 2), floor=0.1)
    np.testing.assert_allclose(scale, [1 / 2, 1 / 4, 1 / 0.2, 0, 0, 1 / 10])
    np.testing.assert_allclose(inverse_sigma(mean, sigma, (4, 2), floor=0.0)[2], 1e3)


def test_a_level_of_constants_stays_dead() -> None:
    def constant(ref: FrameRef, features: Features) -> Features:
        return (features[0], np.full_like(features[1], 7), features[2])

    train = TinyTraining(spoil=constant)
    found = Standardisation.compute(train, FitContext(), NAMES)
    assert (found.scale[5:8] == 0).all()
    weights, _ = found.fold(np.ones(15), 0.0)
    assert not weights[1].any()


def test_folding_equals_standardising_the_points() -> None:
    train = TinyTraining()
    found = Standardisation.compute(train, FitContext(), NAMES)
    rng = np.random.default_rng(0)
    weights, bias = rng.standard_normal(15), 0.7
    head = found.head(weights, bias, (0, 1, 2), "abc")
    for ref in train.refs:
        features = train.features(ref)
        z = found.apply(hypercolumns(features, train.mask_size))
        scores = head.scores(features, train.mask_size)
        np.testing.assert_allclose(scores.ravel(), z @ weights + bias, atol=1e-4)
        direct = hypercolumns(found.levels(features), train.mask_size)
        np.testing.assert_allclose(direct, z, atol=1e-4)


def test_a_head_is_restated_for_another_transform() -> None:
    one = TinyTraining(refs=(FrameRef("a", 0),))
    both = TinyTraining()
    small, large = (Standardisation.compute(t, FitContext(), NAMES) for t in (one, both))
    weights = np.random.default_rng(1).standard_normal(15)
    head = small.head(weights, -0.4, (0, 1, 2), "abc")
    restated = large.restate(head.warm)
    assert restated is not None
    again = large.head(*restated, (0, 1, 2), "abc")
    for old, new in zip(head.weights, again.weights, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5)
    assert again.bias == pytest.approx(head.bias, rel=1e-9)
    assert large.restate({}) is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_levels_are_standardised_in_float32_and_left_alone(dtype: type[np.generic]) -> None:
    train = TinyTraining()
    found = Standardisation.compute(train, FitContext(), NAMES)
    # channels last, as a float32 level needs no other order: its memory must not be lent out
    features = tuple(
        np.ascontiguousarray(level.transpose(1, 2, 0)).transpose(2, 0, 1).astype(dtype)
        for level in train.features(train.refs[0])
    )
    before = [level.copy() for level in features]
    levels = found.levels(features)
    means, scales = (
        [part.astype(np.float32)[:, None, None] for part in np.split(values, [5, 8])]
        for values in (found.mean, found.scale)
    )
    for level, raw, mean, scale in zip(levels, before, means, scales, strict=True):
        np.testing.assert_array_equal(level, (raw.astype(np.float32) - mean) * scale)
        assert level.transpose(1, 2, 0).flags.c_contiguous
    for level, raw in zip(features, before, strict=True):
        np.testing.assert_array_equal(level, raw)


def test_identity_changes_nothing() -> None:
    points = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(Standardisation.identity((1, 2)).apply(points.copy()), points)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_features_name_frame_and_level(value: float) -> None:
    def spoil(ref: FrameRef, features: Features) -> Features:
        bad = [level.copy() for level in features]
        if ref == FrameRef("b", 1):
            bad[2][3, 1, 1] = value
        return tuple(bad)

    with pytest.raises(DataError, match="video b, frame 1, level tiny2"):
        Standardisation.compute(TinyTraining(spoil=spoil), FitContext(), NAMES)


def test_moments_are_computed_once_by_content() -> None:
    frame_moments.cache_clear()
    train = TinyTraining(refs=(FrameRef("a", 0), FrameRef("a", 1)))
    one, other = (train.features(ref) for ref in train.refs)
    first = frame_moments(one, Size(18, 26))
    assert frame_moments(tuple(level.copy() for level in one), Size(18, 26)) is first
    assert not np.allclose(frame_moments(one, Size(9, 26)), first)
    assert not np.allclose(frame_moments(other, Size(18, 26)), first)
    frame_moments.cache_clear()
    again = frame_moments(one, Size(18, 26))
    assert again is not first
    np.testing.assert_array_equal(again, first)
