"""Counts and scores against scikit-learn, and what may be added up against the sum."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt
from sklearn import metrics as sk

from vidseg.tasks.means import mean_over_groups
from vidseg.tasks.segmentation.counts import (
    COUNTS,
    Reference,
    VideoCounts,
    frame_counts,
    near_band,
    summarise,
)
from vidseg.tasks.segmentation.histogram import exact_histogram, merge
from vidseg.tasks.segmentation.scores import (
    SCORES,
    average_precision,
    iou,
    mean_precision_recall,
    precision_recall,
    scores_of,
)

SEEDS = st.integers(0, 2**32 - 1)


def frame(seed: int, shape=(12, 17)):
    """Scores with ties, masks with ignored pixels, any class balance down to none."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.001, 1.0, 1e6])
    scores = (rng.normal(0, spread, shape) + rng.choice([-spread, 0, spread])).astype(np.float32)
    scores[rng.random(shape) < 0.2] = rng.choice([0.0, -0.0, 1.0, np.inf, -np.inf])
    balance = rng.dirichlet([1, 1, 1]) if seed % 5 else [1, 0, 0]
    mask = rng.choice([-1, 0, 1], shape, p=balance).astype(np.int8)
    return scores, mask, near_band(mask, 2.0)


@given(SEEDS, st.sampled_from([0.0, -0.5, 3.0]))
def test_scores_equal_scikit_learns(seed, threshold):
    scores, mask, near = frame(seed)
    counted = mask != 0
    truth, found = mask[counted] > 0, scores[counted] > threshold
    ours = scores_of(frame_counts(scores, mask, near, threshold))
    if counted.any():
        assert ours["accuracy"] == pytest.approx(sk.accuracy_score(truth, found))
    else:
        assert math.isnan(ours["accuracy"])
    if not truth.any():
        assert all(math.isnan(ours[name]) for name in SCORES if name not in ("accuracy", "ap"))
        return
    precision = sk.precision_score(truth, found, zero_division=0)
    recall = sk.recall_score(truth, found)
    assert ours["precision"] == pytest.approx(precision)
    assert ours["recall"] == pytest.approx(recall)
    assert ours["gscore"] == pytest.approx(precision * recall)
    assert ours["f1"] == pytest.approx(sk.f1_score(truth, found))
    assert ours["iou"] == pytest.approx(sk.jaccard_score(truth, found))
    close = counted & (near | (mask > 0))
    biased = sk.accuracy_score(mask[close] > 0, scores[close] > threshold)
    assert ours["biased_accuracy"] == pytest.approx(biased)


@given(SEEDS, st.sampled_from([0.0, 1.5]))
def test_counts_equal_the_confusion_matrix(seed, threshold):
    scores, mask, near = frame(seed)
    counts = frame_counts(scores, mask, near, threshold)
    for keep, places in ((mask != 0, "tp fp fn tn"), ((mask < 0) & near, "- near_fp - near_tn")):
        # two pixels more, because scikit-learn refuses none at all
        truth = np.append(mask[keep] > 0, [False, True])
        found = np.append(scores[keep] > threshold, [False, True])
        (tn, fp), (fn, tp) = sk.confusion_matrix(truth, found, labels=[False, True])
        for name, value in zip(places.split(), (tp - 1, fp, fn, tn - 1), strict=True):
            assert name == "-" or counts[COUNTS.index(name)] == value
    assert counts.dtype == np.int64


@given(SEEDS)
def test_average_precision_equals_scikit_learns(seed):
    scores, mask, _ = frame(seed)
    counted = mask != 0
    ours = average_precision(exact_histogram(scores, mask).counts)
    if not (mask > 0).any():
        assert math.isnan(ours)
        return
    # ranks, because scikit-learn refuses infinite scores
    ranks = np.unique(scores[counted], return_inverse=True)[1]
    assert ours == pytest.approx(sk.average_precision_score(mask[counted] > 0, ranks))


@given(SEEDS)
def test_the_precision_recall_curve_equals_scikit_learns(seed):
    scores, mask, _ = frame(seed)
    counted = mask != 0
    precision, recall = precision_recall(exact_histogram(scores, mask).counts)
    if not (mask > 0).any():
        assert len(precision) == len(recall) == 0
        return
    ranks = np.unique(scores[counted], return_inverse=True)[1]
    theirs = sk.precision_recall_curve(mask[counted] > 0, ranks)
    np.testing.assert_allclose(precision[::-1], theirs[0][:-1])
    np.testing.assert_allclose(recall[::-1], theirs[1][:-1])


@given(hnp.arrays(np.int64, 4, elements=st.integers(0, 10**12)))
@example(np.array([0, 0, 1, 0]))
@example(np.array([1, 0, 0, 0]))
def test_gscore_bounds_iou(counts):
    """PR <= IoU <= 1 / (2 / sqrt(PR) - 1), for every confusion table (DESIGN section 2)."""
    scores = scores_of(np.append(counts, [0, 0]))
    if counts[0] + counts[2] == 0:
        assert math.isnan(scores["gscore"])
        assert math.isnan(scores["iou"])
        return
    product, iou = scores["gscore"], scores["iou"]
    assert product <= iou + 1e-12
    assert iou <= (1 / (2 / math.sqrt(product) - 1) if product else 0) + 1e-9


@given(SEEDS, st.sampled_from([0.0, 1.0, math.sqrt(2), 2.0, 3.7, 5.0, 13.0, 1e3]))
def test_the_near_band_equals_scipys_distance(seed, margin):
    rng = np.random.default_rng(seed)
    mask = rng.choice([-1, 0, 1], (40, 31), p=[0.9, 0.09, 0.01]).astype(np.int8)
    near = near_band(mask, margin)
    if not (mask > 0).any():
        assert not near.any()
        return
    squares = np.rint(distance_transform_edt(mask <= 0) ** 2)
    np.testing.assert_array_equal(near, squares <= np.rint(margin**2 * 1e6) / 1e6)


def video(seed: int, name="a", group="g", frames=3) -> VideoCounts:
    made = VideoCounts(name, group)
    for index in range(frames):
        scores, mask, near = frame(seed + index)
        made.add(5 * index, scores, Reference(mask, near), 0.0)
    return made


@given(SEEDS)
def test_frames_add_up_to_the_whole(seed):
    made = video(seed)
    parts = [frame(seed + index) for index in range(3)]
    scores, mask, near = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    np.testing.assert_array_equal(made.total, frame_counts(scores, mask, near))
    for added, whole in zip(made.histogram, merge([exact_histogram(scores, mask)]), strict=True):
        np.testing.assert_array_equal(added, whole)
    assert made.frames == [0, 5, 10]
    assert made.positives == (mask > 0).sum()
    for place, part in enumerate(parts):
        alone = scores_of(frame_counts(*part))["iou"]
        assert made.frame_scores("iou")[place] == pytest.approx(alone, nan_ok=True)


@given(SEEDS)
def test_counts_survive_json(seed):
    made = video(seed)
    read = VideoCounts.from_json(json.loads(json.dumps(made.to_json())))
    assert (read.video, read.group, read.frames) == (made.video, made.group, made.frames)
    np.testing.assert_array_equal(read.counts, made.counts)
    for back, kept in zip(read.histogram, made.histogram, strict=True):
        np.testing.assert_array_equal(back, kept)
    assert read.scores() == pytest.approx(made.scores(), nan_ok=True)


def test_an_empty_video_has_no_scores():
    empty = VideoCounts("a", "g")
    assert empty.positives == 0
    assert all(math.isnan(value) for value in empty.scores().values())
    assert VideoCounts.from_json(empty.to_json()).total.tolist() == [0] * 6


def test_nothing_found_is_zero_not_undefined():
    scores = scores_of(np.array([0, 0, 5, 5, 0, 0]))
    assert (scores["iou"], scores["gscore"], scores["precision"], scores["f1"]) == (0, 0, 0, 0)


def test_iou_is_undefined_without_a_positive_only():
    found = iou([3, 0, 0, 0], [1, 2, 2, 0], [5, 4, 0, 0])
    np.testing.assert_array_equal(found, [3 / 6, 0, np.nan, np.nan])
    assert iou(np.ones((2, 3)), 1, 1).shape == (2, 3)


def test_groups_weigh_the_same_whatever_their_videos():
    rows = [("a", 0.2), ("a", 0.4), ("a", math.nan), ("b", 0.9), ("c", math.nan)]
    table = [(group, {**dict.fromkeys(SCORES, math.nan), "iou": iou}) for group, iou in rows]
    assert mean_over_groups(table) == {"iou": pytest.approx((0.3 + 0.9) / 2)}
    assert mean_over_groups([]) == {}


def test_the_summary_holds_three_readings_of_gscore():
    first, second = VideoCounts("a", "g"), VideoCounts("b", "h")
    first.counts = [np.array([10, 10, 0, 80, 0, 0])]
    second.counts = [np.array([10, 0, 30, 60, 0, 0])]
    found = summarise([first, second])
    assert found["gscore"] == pytest.approx((0.5 * 1 + 1 * 0.25) / 2)
    assert found["gscore_of_means"] == pytest.approx((1.5 / 2) * (1.25 / 2))
    assert found["gscore_pooled"] == pytest.approx((20 / 30) * (20 / 50))
    assert found["iou_pooled"] == pytest.approx(20 / 60)
    assert found["iou"] == pytest.approx((10 / 20 + 10 / 40) / 2)


def test_the_mean_curve_takes_the_best_precision_from_each_recall_on():
    histogram = np.zeros((2, 60), np.int64)
    histogram[1, [50, 40, 30]] = [1, 1, 2]
    histogram[0, [50, 30]] = [3, 4]
    # from the highest score: 1/4 at recall 1/4, 2/5 at 1/2, 4/11 at 1
    empty = np.zeros((2, 60), np.int64)
    recall, precision = mean_precision_recall([histogram, empty], points=5)
    np.testing.assert_allclose(recall, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(precision, [2 / 5, 2 / 5, 2 / 5, 4 / 11, 4 / 11])
    perfect = np.zeros((2, 60), np.int64)
    perfect[1, 9] = 7
    recall, mean = mean_precision_recall([histogram, perfect], points=5)
    np.testing.assert_allclose(mean, (precision + 1) / 2)
    assert mean_precision_recall([empty]) is None
