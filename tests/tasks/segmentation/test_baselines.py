"""Baselines: thresholds against brute force, and what each of the three predictors knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.training import TinyTraining
from vidseg.tasks.segmentation.baselines import Colour, Position, best_threshold, fit_baselines
from vidseg.types import FrameRef, Size


def iou_above(threshold, scores, positives, negatives):
    found = scores > threshold
    joined = positives.sum() + negatives[found].sum()
    return positives[found].sum() / joined if joined else 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_the_threshold_is_the_best_of_all(seed, cells, ties):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, cells) / 3 if ties else rng.random(cells)
    positives, negatives = rng.integers(0, 5, (2, cells)).astype(float)
    found = best_threshold(scores, positives, negatives)
    every = [iou_above(t, scores, positives, negatives) for t in [-1, *np.unique(scores)]]
    assert iou_above(found, scores, positives, negatives) == pytest.approx(max(every))
    assert found not in scores


def test_the_threshold_does_not_depend_on_the_shape():
    scores, weights = np.arange(12.0), np.ones(12)
    flat = best_threshold(scores, weights * (scores > 6), weights)
    square = (array.reshape(3, 4) for array in (scores, weights * (scores > 6), weights))
    assert best_threshold(*square) == flat == 6.5


def training(masks, images):
    """A training set of one video with these masks and images."""

    class Set(TinyTraining):
        def frame(self, ref):
            return images[ref.index]

        def mask(self, ref):
            return masks[ref.index]

    size = Size(*masks[0].shape)
    refs = tuple(FrameRef("a", i) for i in range(len(masks)))
    return Set(refs=refs, mask_size=size, image_size=Size(*images[0].shape[:2]))


def test_position_knows_where_and_nothing_else():
    masks = [np.full((8, 8), -1, np.int8) for _ in range(4)]
    for mask in masks:
        mask[2:4, 5:7] = 1
    masks[0][0, 0] = 1
    masks[1][2:4, 5] = 0
    images = [np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8) for i in range(4)]
    model = fit_baselines(training(masks, images))["position"]
    assert isinstance(model, Position)
    assert model.mean[2, 5] == 1.0
    assert model.mean[0, 0] == 0.25
    for image in images:
        scores = model.batch_scores([image], Size(8, 8))[0]
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(scores > 0, masks[2] > 0)
    assert model.batch_scores(images, Size(16, 24)).shape == (4, 16, 24)


def test_colour_knows_the_colour_and_nothing_else():
    rng = np.random.default_rng(0)
    masks, images = [], []
    for _ in range(3):
        mask = rng.choice([-1, 0, 1], (9, 9)).astype(np.int8)
        image = np.full((9, 9, 3), (20, 40, 60), np.uint8)
        image[mask == 1] = (200, 100, 0)
        image[mask == 0] = (1, 255, 1)
        masks.append(mask)
        images.append(image)
    model = fit_baselines(training(masks, images))["colour"]
    assert isinstance(model, Colour)
    for mask, image in zip(masks, images, strict=True):
        scores = model.batch_scores([image], Size(9, 9))[0]
        assert scores.dtype == np.float32
        np.testing.assert_array_equal((scores > 0)[mask != 0], mask[mask != 0] > 0)


def test_everything_is_foreground_for_the_first_baseline():
    models = fit_baselines(TinyTraining())
    assert list(models) == ["foreground", "position", "colour"]
    scores = models["foreground"].batch_scores([np.zeros((4, 5, 3), np.uint8)], Size(7, 6))
    assert scores.shape == (1, 7, 6)
    assert (scores > 0).all()
    assert models["foreground"].export() == {}
    for name, names in (("position", {"mean", "threshold"}), ("colour", {"share", "threshold"})):
        state = models[name].export()
        assert state.keys() == names
        assert state["threshold"] == [models[name].threshold]


def test_pixels_never_seen_do_no_harm():
    masks = [np.zeros((4, 4), np.int8)]
    masks[0][0] = [1, -1, 1, -1]
    images = [np.zeros((4, 4, 3), np.uint8)]
    for model in fit_baselines(training(masks, images)).values():
        assert np.isfinite(model.batch_scores(images, Size(4, 4))).all()
