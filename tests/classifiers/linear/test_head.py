"""The linear head: scores, state, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.pyramids import random_features, random_head
from vidseg.classifiers.linear.head import LinearHead, score_heads
from vidseg.errors import DataError
from vidseg.types import Size


def test_many_heads_score_as_each_alone() -> None:
    features = random_features(5, [(16, Size(24, 32)), (32, Size(5, 8))])
    heads = [random_head(seed, features, bias=seed) for seed in range(5)]
    together = score_heads(heads, features, Size(18, 26))
    assert together.shape == (5, 18, 26)
    assert together.dtype == np.float32
    for head, scores in zip(heads, together, strict=True):
        np.testing.assert_allclose(scores, head.scores(features, Size(18, 26)), atol=1e-4)


def test_scores_are_repeatable_and_leave_features_alone() -> None:
    features = random_features(6, [(16, Size(18, 26))])
    before = [level.copy() for level in features]
    for level in features:
        level.setflags(write=False)
    head = random_head(0, features)
    first, second = (head.scores(features, Size(18, 26)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(features[0], before[0])


def test_head_round_trip_and_foreign_extractor() -> None:
    features = random_features(7, [(4, Size(6, 7)), (3, Size(3, 4))])
    warm = {"weight": np.arange(7.0), "bias": np.array([2.0])}
    head = LinearHead(random_head(0, features).weights, -1.25, (0, 2), "abc", warm)
    state = head.export()
    again = LinearHead.load(state, "abc")
    np.testing.assert_array_equal(
        again.scores(features, Size(9, 9)), head.scores(features, Size(9, 9))
    )
    assert (again.levels, again.bias) == ((0, 2), -1.25)
    np.testing.assert_array_equal(again.warm["weight"], warm["weight"])
    with pytest.raises(DataError, match="trained on extractor abc, not on xyz"):
        LinearHead.load(state, "xyz")
    del state["bias"]
    with pytest.raises(DataError, match="no array 'bias'"):
        LinearHead.load(state, "abc")


def test_head_refuses_other_channels() -> None:
    features = random_features(8, [(4, Size(6, 7))])
    with pytest.raises(DataError, match=r"\[4\] channels, the features have \[5\]"):
        random_head(0, features).scores(random_features(8, [(5, Size(6, 7))]), Size(9, 9))
