"""Training points: draws, streams and the memory rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.training import TinyHandle, TinyNoise, TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.levels import PAPER_LEVELS, choose_levels
from vidseg.classifiers.linear.points import PointSet, require_memory, visits
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import DataError, ResourceError, UsageError
from vidseg.types import Features, FrameRef, Size

NAMES = TinyHandle().levels


def point_set(train: TinyTraining, per_frame: int | None = None, seed: int = 0) -> PointSet:
    standardisation = Standardisation.compute(train, FitContext(), NAMES)
    return PointSet(train, standardisation, NAMES, seed, per_frame)


def expected(points: PointSet, train: TinyTraining) -> tuple[np.ndarray, np.ndarray]:
    x, y = [], []
    for ref in train.refs:
        mask = train.mask(ref).ravel()
        rows = hypercolumns(train.features(ref), train.mask_size)
        x.append(points.standardisation.apply(rows)[mask != 0])
        y.append(mask[mask != 0])
    return np.concatenate(x), np.concatenate(y)


def in_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows = np.column_stack([x, y]).round(3)
    return rows[np.lexsort(rows.T)]


def test_all_points_are_the_labelled_pixels() -> None:
    train = TinyTraining()
    points = point_set(train)
    x, y = points.gather(FitContext())
    right_x, right_y = expected(points, train)
    np.testing.assert_allclose(x, right_x, atol=1e-4)
    np.testing.assert_array_equal(y, right_y)
    assert points.counts(FitContext()) == ((right_y > 0).sum(), (right_y < 0).sum())


@pytest.mark.parametrize("share", [1, 40_000, 2**30])
def test_a_stream_gives_every_point_once(share: int) -> None:
    points = point_set(TinyTraining())
    x, y = points.gather(FitContext())
    blocks = [(a.copy(), b) for a, b in points.stream(FitContext(), share)]
    assert all(len(a) == len(b) for a, b in blocks)
    streamed = np.concatenate([a for a, _ in blocks]), np.concatenate([b for _, b in blocks])
    np.testing.assert_allclose(in_order(*streamed), in_order(x, y), atol=2e-3)
    if share == 2**30:
        assert len(blocks) == 1
    else:
        assert len(blocks) > 4


def test_streams_are_seeded() -> None:
    def blocks(points: PointSet) -> list[np.ndarray]:
        return [x.copy() for x, _ in points.stream(FitContext(), 40_000)]

    train = TinyTraining()
    first, again = blocks(point_set(train)), blocks(point_set(train))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (blocks(point_set(train, seed=1)), blocks(point_set(train).at(1))):
        assert not np.array_equal(first[0][:50], other[0][:50])


def test_draws_depend_on_seed_frame_copy_and_epoch_only() -> None:
    refs = (FrameRef("a", 0), FrameRef("a", 1), FrameRef("a", 0))
    points = point_set(TinyTraining(refs=refs), per_frame=40)
    first, other, copy = (points.labels(visit)[0] for visit in visits(refs))
    assert len(first) == len(set(first)) == 40
    assert not np.array_equal(first, copy)
    assert not np.array_equal(first, other)
    alone = point_set(TinyTraining(refs=refs[:1]), per_frame=40)
    np.testing.assert_array_equal(alone.labels(visits(refs)[0])[0], first)
    assert not np.array_equal(points.at(1).labels(visits(refs)[0])[0], first)
    mask = points.train.mask(refs[0]).ravel()
    np.testing.assert_array_equal(points.labels(visits(refs)[0])[1], mask[first])
    assert (mask[first] != 0).all()


def test_epochs_render_fresh_variants_anew() -> None:
    def rows(noise: TinyNoise) -> tuple[np.ndarray, np.ndarray]:
        points = point_set(TinyTraining(refs=(FrameRef("a", 0, noise),)))
        return points.gather(FitContext())[0], points.at(3).gather(FitContext())[0]

    first, third = rows(TinyNoise(fresh=True))
    assert not np.allclose(first, third, atol=1e-2)
    np.testing.assert_array_equal(*rows(TinyNoise(fresh=False)))


def test_memory_rule_gives_the_draw_that_fits() -> None:
    assert require_memory(100, 10, 24, 24_000, 4, "liblinear") == 24_000
    with pytest.raises(ResourceError, match=r"liblinear: 1,000 points x 10 values x 24") as found:
        require_memory(1000, 10, 24, 24_000, 4, "liblinear")
    assert "pixels_per_frame=25" in str(found.value)
    assert "sgd" in str(found.value)
    assert "pixel_svm" in str(found.value)
    require_memory(4 * 25, 10, 24, 24_000, 4, "liblinear")
    with pytest.raises(ResourceError, match="fewer frames"):
        require_memory(1000, 10, 24, 500, 4, "liblinear")


def test_bad_frames_are_named() -> None:
    def infinite(ref: FrameRef, features: Features) -> Features:
        bad = tuple(level.copy() for level in features)
        if ref.index == 1:
            bad[0][0, 0, 0] = np.inf
        return bad

    spoilt = replace(point_set(TinyTraining()), train=TinyTraining(spoil=infinite))
    with pytest.raises(DataError, match="video a, frame 1, level tiny0"):
        spoilt.gather(FitContext())
    narrow = replace(point_set(TinyTraining()), train=TinyTraining(levels=(0, 2)))
    with pytest.raises(DataError, match=r"video a, frame 0.*\(5, 7\) channels, not \(5, 3, 7\)"):
        narrow.gather(FitContext())

    class Wrong(TinyTraining):
        def mask(self, ref: FrameRef) -> np.ndarray:
            return np.ones((3, 4), np.int8)

    with pytest.raises(DataError, match="the mask is 4x3, not 26x18"):
        replace(point_set(TinyTraining()), train=Wrong()).counts(FitContext())


def test_default_levels() -> None:
    six = TinyHandle((64, 128, 256, 512, 512, 512), tuple(Size(8, 8) for _ in range(6)))
    assert choose_levels(six) == PAPER_LEVELS == (0, 1, 2, 3, 5)
    assert choose_levels(TinyHandle()) == (0, 1, 2)
    assert choose_levels(TinyHandle(), [2, 0]) == (0, 2)
    for wrong in ([], [0, 0], [3], [-1]):
        with pytest.raises(UsageError, match="levels="):
            choose_levels(TinyHandle(), wrong)
