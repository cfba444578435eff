"""Random features and heads, and pairs of sizes, for tests of what works on a pyramid."""

from __future__ import annotations

import numpy as np

from vidseg.classifiers.linear.head import LinearHead
from vidseg.types import Features, Size

PAIRS = [
    (Size(5, 8), Size(18, 26)),
    (Size(24, 32), Size(11, 13)),
    (Size(24, 10), Size(7, 33)),
    (Size(7, 33), Size(24, 10)),
    (Size(9, 9), Size(9, 9)),
    (Size(9, 9), Size(9, 20)),
    (Size(1, 1), Size(6, 7)),
    (Size(101, 67), Size(3, 1)),
    (Size(89, 159), Size(180, 320)),
]


def random_features(seed: int, shapes: list[tuple[int, Size]]) -> Features:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(1, 2, (c, *size)).astype(np.float16) for c, size in shapes)


def random_head(seed: int, features: Features, bias: float = 0.3) -> LinearHead:
    rng = np.random.default_rng(seed)
    weights = tuple(rng.standard_normal(len(level)).astype(np.float32) for level in features)
    return LinearHead(weights, bias, tuple(range(len(features))), "abc", {})
