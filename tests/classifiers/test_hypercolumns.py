"""Hypercolumns of chosen pixels, against a sparse product."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tests.helpers.pyramids import PAIRS, random_features
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.pyramid import axis_matrix
from vidseg.types import Size


def test_hypercolumns_of_chosen_pixels() -> None:
    features = random_features(4, [(4, Size(24, 32)), (3, Size(5, 8))])
    target = Size(18, 26)
    pixels = np.random.default_rng(0).permutation(18 * 26)[:50]
    some = hypercolumns(features, target, pixels)
    np.testing.assert_array_equal(some, hypercolumns(features, target)[pixels])
    out = np.empty((50, 7), np.float32)
    assert hypercolumns(features, target, pixels, out) is out
    np.testing.assert_array_equal(out, some)
    with pytest.raises(ValueError, match="not among 468"):
        hypercolumns(features, target, pixels + 450)
    with pytest.raises(ValueError, match=r"\(50, 7\)"):
        hypercolumns(features, target, pixels, out[:, :6])


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_hypercolumns_equal_a_sparse_product_bit_by_bit(source: Size, target: Size) -> None:
    (level,) = random_features(5, [(13, source)])
    rows, columns = (
        axis_matrix(source.height, target.height),
        axis_matrix(source.width, target.width),
    )
    # float32 weights, products before sums, sources in ascending order
    matrix = csr_matrix(
        np.einsum("yi,xj->yxij", rows.astype("f4"), columns.astype("f4")).reshape(
            target.height * target.width, -1
        )
    )
    expected = matrix @ np.ascontiguousarray(level.reshape(13, -1).T, np.float32)
    np.testing.assert_array_equal(hypercolumns([level], target), expected)
