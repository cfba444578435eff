"""The box and mask rule, against definitions written out pixel by pixel."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.errors import DataError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Size

sides = st.integers(1, 13)


def labels_of(boxes, size, *, ignored=None, origin=0.0):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    ignored = np.zeros(len(boxes), bool) if ignored is None else np.asarray(ignored, bool)
    return BoxLabels(Size(*size), boxes, origin, np.arange(len(boxes)), ignored)


def boxes_by_definition(labels, size):
    mask = np.full(size, -1, np.int8)
    for row, column in np.ndindex(*size):
        x = (column + 0.5) * labels.size[1] / size[1]
        y = (row + 0.5) * labels.size[0] / size[0]
        for (left, top, width, height), ignored in zip(labels.boxes, labels.ignored, strict=True):
            left, top = left - labels.origin, top - labels.origin
            if left <= x < left + width and top <= y < top + height:
                mask[row, column] = max(mask[row, column], 0 if ignored else 1)
    return mask


def mask_by_definition(mask, size):
    """Overlap every native pixel with every mask pixel, in exact fractions."""
    out = np.empty(size, np.int8)
    for row, column in np.ndindex(*size):
        top, bottom = (Fraction((row + d) * mask.shape[0], size[0]) for d in (0, 1))
        left, right = (Fraction((column + d) * mask.shape[1], size[1]) for d in (0, 1))
        area = {-1: Fraction(0), 0: Fraction(0), 1: Fraction(0)}
        for i, j in np.ndindex(*mask.shape):
            high = max(Fraction(0), min(bottom, Fraction(i + 1)) - max(top, Fraction(i)))
            wide = max(Fraction(0), min(right, Fraction(j + 1)) - max(left, Fraction(j)))
            area[int(mask[i, j])] += high * wide
        valid = area[1] + area[-1]
        if 2 * valid < valid + area[0]:
            out[row, column] = 0
        else:
            out[row, column] = 1 if 2 * area[1] >= valid else -1
    return out


@given(st.data(), sides, sides, sides, sides, st.sampled_from([0.0, 1.0]))
def test_boxes_equal_the_definition(data, native_h, native_w, h, w, origin):
    quarter = st.integers(-20, 60).map(lambda v: v / 4)
    length = st.integers(0, 60).map(lambda v: v / 4)
    box = st.tuples(quarter, quarter, length, length)
    boxes = data.draw(st.lists(box, max_size=4))
    ignored = data.draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes)))
    labels = labels_of(boxes, (native_h, native_w), ignored=ignored, origin=origin)
    np.testing.assert_array_equal(
        rasterise(labels, Size(h, w)), boxes_by_definition(labels, (h, w))
    )


@given(st.data(), *[st.integers(1, 7)] * 4)
def test_masks_equal_exact_areas(data, native_h, native_w, h, w):
    values = st.lists(
        st.sampled_from([-1, 0, 1]), min_size=native_h * native_w, max_size=native_h * native_w
    )
    mask = np.array(data.draw(values), np.int8).reshape(native_h, native_w)
    got = rasterise(MaskLabels(Size(native_h, native_w), mask), Size(h, w))
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, mask_by_definition(mask, (h, w)))


def test_a_mot_box_starts_at_pixel_one():
    mask = rasterise(labels_of([[1, 1, 2, 3]], (8, 8), origin=1.0), Size(8, 8))
    assert mask.dtype == np.int8
    np.testing.assert_array_equal(np.argwhere(mask == 1).min(0), [0, 0])
    np.testing.assert_array_equal(np.argwhere(mask == 1).max(0), [2, 1])
    assert (mask == 1).sum() == 6


def test_foreground_wins_over_ignored_in_either_order():
    boxes = [[0, 0, 4, 4], [2, 0, 4, 4]]
    for ignored in ([True, False], [False, True]):
        mask = rasterise(labels_of(boxes, (4, 8), ignored=ignored), Size(4, 8))
        assert (mask == 1).sum() == 16
        assert (mask == 0).sum() == 8


def test_boxes_over_the_border_and_outside():
    mask = rasterise(labels_of([[-5, -5, 7, 100], [20, 0, 5, 5]], (10, 10)), Size(10, 10))
    assert (mask[:, :2] == 1).all()
    assert (mask[:, 2:] == -1).all()


def test_no_box_is_all_background():
    assert (rasterise(labels_of([], (4, 4)), Size(3, 5)) == -1).all()


def test_half_covered_is_foreground_at_any_ratio():
    mask = np.tile(np.array([1, -1], np.int8), (540, 960))
    assert (rasterise(MaskLabels(Size(540, 1920), mask), Size(135, 480)) == 1).all()


def test_labels_need_no_class_of_ours():
    labels = SimpleNamespace(
        size=(4, 4), boxes=[[0, 0, 2, 2]], origin=0, ids=None, ignored=None, mask=None
    )
    assert (rasterise(labels, Size(4, 4)) == 1).sum() == 4


def test_same_size_mask_is_a_copy():
    mask = np.ones((4, 4), np.int8)
    got = rasterise(MaskLabels(Size(4, 4), mask), Size(4, 4))
    got[:] = 0
    assert (mask == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [[0, 0, np.nan, 1]]}, "box 0 .*not finite"),
        ({"boxes": [[0, 0, 1, 1], [0, 0, np.inf, 1]]}, "box 1 .*not finite"),
        ({"boxes": [[0, 0, -1, 1]]}, "box 0 .*negative"),
        ({"boxes": [[0, 0, 1]]}, "shape"),
        ({"boxes": None}, "neither boxes nor a mask"),
        ({"ignored": [True, False]}, "1 boxes, but ignored"),
        ({"mask": np.ones((3, 4), np.int8)}, "shape"),
        ({"mask": np.full((4, 4), 2)}, "holds 2"),
        ({"mask": np.full((4, 4), 0.5)}, "holds 0.5"),
        ({"size": (0, 4)}, "positive"),
    ],
)
def test_bad_labels_are_refused_in_one_line(change, message):
    facts = {"size": (4, 4), "boxes": [[0, 0, 1, 1]], "origin": 0, "ignored": None, "mask": None}
    with pytest.raises(DataError, match=message) as caught:
        rasterise(SimpleNamespace(**(facts | change)), Size(4, 4), where="gt.txt:7")
    assert str(caught.value).startswith("gt.txt:7: ")


def test_bad_size_is_refused():
    with pytest.raises(DataError, match="mask size"):
        rasterise(labels_of([], (4, 4)), Size(0, 4))
