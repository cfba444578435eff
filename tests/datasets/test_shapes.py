"""Boxes, polygons and run-length masks: what is drawn, what covers what, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.datasets.polygons import (
    box_polygon,
    clip_polygon,
    ellipse_polygon,
    is_outside,
    rotated,
)
from vidseg.datasets.shapes import (
    Rle,
    Shape,
    ShapeTruth,
    decode_rle,
    draw_polygons,
    encode_mask,
    encode_runs,
)
from vidseg.errors import DataError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Size

SIZE = Size(48, 64)


def mask_of(*shapes: Shape) -> np.ndarray:
    labels = ShapeTruth({0: shapes}).at(0, SIZE)
    return rasterise(labels, SIZE)


def test_boxes_stay_boxes():
    labels = ShapeTruth({0: [Shape(1, (2, 3, 10, 9), track=4), Shape(0, (0, 0, 5, 5))]}).at(0, SIZE)
    assert isinstance(labels, BoxLabels)
    assert labels.boxes.tolist() == [[2, 3, 10, 9], [0, 0, 5, 5]]
    assert labels.ids.tolist() == [4, -1]
    assert labels.ignored.tolist() == [False, True]
    empty = ShapeTruth({}).at(0, SIZE)
    assert isinstance(empty, BoxLabels)
    assert empty.boxes.shape == (0, 4)


def test_the_polygon_of_a_box_is_that_box():
    as_box = mask_of(Shape(1, (2, 3, 10, 9)))
    as_polygon = mask_of(Shape(1, polygons=(box_polygon(2, 3, 10, 9),)))
    np.testing.assert_array_equal(as_box, as_polygon)


def test_a_mask_has_the_boxes_around_its_shapes():
    labels = ShapeTruth({0: [Shape(1, polygons=(box_polygon(2, 3, 10, 9),), track=1)]}).at(0, SIZE)
    assert isinstance(labels, MaskLabels)
    assert labels.boxes.tolist() == [[2, 3, 10, 9]]
    drawn = np.zeros(SIZE, bool)
    drawn[5:9, 7:20] = True
    labels = ShapeTruth({0: [Shape(1, rle=encode_mask(drawn))]}).at(0, SIZE)
    assert labels.boxes.tolist() == [[7, 5, 13, 4]]
    np.testing.assert_array_equal(labels.mask > 0, drawn)


def test_order_says_what_covers_what():
    person = Shape(1, polygons=(box_polygon(0, 0, 10, 10),))
    table = Shape(-1, polygons=(box_polygon(0, 5, 10, 10),), order=1)
    crowd = Shape(0, polygons=(box_polygon(5, 0, 20, 5),))
    mask = mask_of(table, person, crowd)
    assert mask[2, 2] == 1
    assert mask[7, 2] == -1, "the table stands before the person"
    assert mask[2, 7] == 1, "foreground wins over ignored"
    assert mask[2, 15] == 0


def test_relative_shapes_are_scaled():
    truth = ShapeTruth({0: [Shape(1, (0.25, 0.5, 0.5, 0.25))]}, relative=True)
    assert truth.at(0, SIZE).boxes.tolist() == [[16, 24, 32, 12]]


def test_polygons_are_clipped_at_any_distance():
    wide = np.array([(-1e9, 10), (1e9, 10), (1e9, 20), (-1e9, 20)], float)
    assert is_outside(wide, SIZE)
    drawn = draw_polygons([wide], SIZE)
    assert drawn[10:20].all()
    assert drawn.sum() == 10 * 64
    away = np.array([(100, 100), (200, 100), (200, 200)], float)
    assert len(clip_polygon(away, SIZE)) == 0
    assert not draw_polygons([away], SIZE).any()


def test_ellipse_and_rotation():
    drawn = draw_polygons([ellipse_polygon(32, 24, 20, 10)], SIZE)
    assert abs(drawn.sum() - np.pi * 200) < 15
    turned = rotated(box_polygon(22, 14, 20, 20), 90, (32, 24))
    np.testing.assert_allclose(
        sorted(turned.tolist()), sorted(box_polygon(22, 14, 20, 20).tolist())
    )
    right = rotated(np.array([[42.0, 24.0]]), 90, (32, 24))
    np.testing.assert_allclose(right, [[32, 34]], err_msg="clockwise on the screen")


def test_run_lengths_are_checked_before_they_are_decoded():
    mask = np.random.default_rng(0).random(SIZE) > 0.7
    rle = encode_mask(mask)
    np.testing.assert_array_equal(decode_rle(rle, SIZE, "x"), mask)
    with pytest.raises(DataError, match="the mask is 64x48, its frame is 48x64"):
        decode_rle(rle, Size(64, 48), "x")
    for counts in (b"", b"1", rle.counts[:-2], rle.counts + b"9", b"\xff\xff", b"oooooooooooo1"):
        with pytest.raises(DataError, match="do not fill the frame"):
            decode_rle(Rle(SIZE, counts), SIZE, "x")


def test_plain_run_lengths():
    rle = encode_runs([48, 48, 48 * 62], SIZE, "x")
    assert decode_rle(rle, SIZE, "x")[:, 1].all()
    for runs in ([1, 2], [-1, 48 * 64 + 1], [0.5, 48 * 64 - 0.5], ["a"]):
        with pytest.raises(DataError, match="do not fill the frame"):
            encode_runs(runs, SIZE, "x")


def test_a_large_mask_survives():
    big = Size(700, 900)
    mask = np.zeros(big, bool)
    mask[100:650, 20:880] = True
    mask[::50] = False
    np.testing.assert_array_equal(decode_rle(encode_mask(mask), big, "x"), mask)
