"""Outlines: drawn by COCO's rule they are the mask again, with holes and parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vidseg.datasets.shapes import draw_polygons
from vidseg.datasets.writers.outline import outline
from vidseg.types import Size

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


def drawn(polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return draw_polygons([polygon], Size(*shape))


@given(MASKS)
def test_an_outline_that_is_drawn_is_the_mask(inside):
    np.testing.assert_array_equal(drawn(outline(inside), inside.shape), inside)


@given(MASKS)
def test_an_outline_in_shares_is_the_mask_as_well(inside):
    height, width = inside.shape
    shares = outline(inside) / (width, height)
    np.testing.assert_array_equal(drawn(shares * (width, height), inside.shape), inside)


@pytest.mark.parametrize(
    ("rows", "corners"),
    [
        (["##", "##"], 4),
        (["#.", "##"], 6),
        (["###", "#.#", "###"], 4 + 4 + 3),
        (["#..", "..#"], 11),
    ],
)
def test_corners_are_those_of_the_region_and_of_seams(rows, corners):
    inside = np.array([[one == "#" for one in row] for row in rows])
    assert outline(inside).shape == (corners, 2)
