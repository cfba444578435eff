"""Histograms of scores: as fine as AP needs wherever scores lie, and the same in any parts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from vidseg.tasks.segmentation import histogram as module
from vidseg.tasks.segmentation.counts import Reference, VideoCounts
from vidseg.tasks.segmentation.histogram import (
    EMPTY,
    LEAVES,
    Accumulator,
    Histogram,
    exact_histogram,
    key_of,
    merge,
    score_of,
)

FLOATS = st.floats(width=32, allow_nan=False)
PIXELS = 120_000


def classes(share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return N(0, 1) scores, N(1.5, 1) where the truth is foreground, and the truth."""
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(PIXELS) < share, 1, -1).astype(np.int8)
    return rng.normal(size=PIXELS) + 1.5 * (mask > 0), mask


def two_places(scores: np.ndarray, other: float, width: float = 1.0) -> np.ndarray:
    """Return every second score as it is, and the others around another place."""
    return np.where(np.arange(PIXELS) % 2, scores * width, other + scores)


KINDS: dict[str, Any] = {
    "around 0": lambda s: s,
    "around 1000": lambda s: 1000 + s,
    "around -1000": lambda s: s - 1000,
    "around 1e5": lambda s: 1e5 + s,
    "tiny": lambda s: s * 1e-6,
    "denormal": lambda s: s * 1e-42,
    "around 0 and 1000": lambda s: two_places(s, 1000),
    "tiny and around -10000": lambda s: two_places(s, -1e4, 1e-6),
    "integers": lambda s: np.round(3 * s),
    "integers around 1000": lambda s: 1000 + np.round(3 * s),
    "ties": lambda s: 1000 + np.round(s, 2),
    "probabilities": lambda s: 1 / (1 + np.exp(-s)),
    "small probabilities": lambda s: 1 / (1 + np.exp(10 - s)),
    "every size": lambda s: s * np.exp(6 * np.random.default_rng(1).normal(size=PIXELS)),
    "all equal": lambda s: np.full(PIXELS, 1000.0),
}


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_ap_is_the_exact_one_wherever_scores_lie(kind: str, share: float) -> None:
    spread, mask = classes(share)
    scores = np.asarray(KINDS[kind](spread), np.float32)
    video = VideoCounts("a", "g")
    for frame, part in enumerate(np.split(np.arange(PIXELS), 4)):
        here = mask[part].reshape(100, -1)
        reference = Reference(here, np.zeros(here.shape, np.bool_))
        video.add(frame, scores[part].reshape(100, -1), reference, 0.0)
    exact = average_precision_score(mask > 0, scores)
    assert video.scores()["ap"] == pytest.approx(exact, abs=1e-3)
    assert len(video.histogram.lows) <= LEAVES


def test_leaves_are_never_coarser_than_the_upper_half() -> None:
    keys = np.random.default_rng(0).integers(0, 2**32, 300_000, dtype=np.uint32)
    keys = keys[np.isfinite(score_of(keys))]
    made = merge([exact_histogram(score_of(keys), np.ones(len(keys), np.int8))])
    assert len(made.lows) <= LEAVES
    np.testing.assert_array_equal(np.unique(made.lows >> 16), np.unique(keys >> 16))


@pytest.fixture
def frames() -> list[tuple[np.ndarray, np.ndarray]]:
    """More distinct scores than leaves, of several scales."""
    made = []
    for seed in range(6):
        spread, mask = classes(0.1, seed)
        scores = two_places(spread, (0.0, 1000.0, -50.0)[seed % 3], 10.0**-seed)
        made.append((scores[:40_000].astype(np.float32), mask[:40_000]))
    return made


def equal(a: Histogram, b: Histogram) -> bool:
    return np.array_equal(a.lows, b.lows) and np.array_equal(a.counts, b.counts)


def test_any_order_and_any_parts_make_the_same(
    frames: list[tuple[np.ndarray, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = [exact_histogram(*frame) for frame in frames]
    whole = merge(exact)
    assert len(whole.lows) < sum(len(part.lows) for part in exact) / 2
    assert equal(merge(exact[::-1]), whole)
    assert equal(merge([merge([*exact[3:], exact[1]]), EMPTY, merge([exact[0], exact[2]])]), whole)
    for waiting in (1, 50_000, 1 << 30):
        monkeypatch.setattr(module, "WAITING", waiting)
        made = Accumulator()
        for frame in reversed(frames):
            made.add(*frame)
        assert equal(made.histogram(), whole)
    half = Accumulator(merge(exact[:3]))
    half.histogram()
    for frame in frames[3:]:
        half.add(*frame)
    assert equal(half.histogram(), whole)


def test_what_was_returned_does_not_change(frames: list[tuple[np.ndarray, np.ndarray]]) -> None:
    made = Accumulator()
    made.add(*frames[0])
    first = made.histogram()
    kept = first.counts.copy()
    again = Accumulator(first)
    for adder in (made, again):
        adder.add(*frames[0])
        assert adder.histogram().counts.sum() == 2 * kept.sum()
    np.testing.assert_array_equal(first.counts, kept)


@settings(max_examples=50)
@given(st.lists(FLOATS, max_size=16), st.integers(0, 2**32 - 1))
def test_few_scores_are_kept_one_by_one(values: list[float], seed: int) -> None:
    scores = np.array(values, np.float32)
    mask = np.random.default_rng(seed).integers(-1, 2, len(values)).astype(np.int8)
    made = merge([exact_histogram(scores, mask)])
    assert score_of(made.lows).tolist() == np.unique(scores[mask != 0]).tolist()
    assert made.counts.sum(1).tolist() == [(mask < 0).sum(), (mask > 0).sum()]
    assert made.counts.dtype == np.int64


@given(FLOATS, FLOATS)
@example(-0.0, 0.0)
@example(-math.inf, -3.4e38)
@example(3.4e38, math.inf)
@example(-1e-45, 1e-45)
@example(-1.0, -1.0001)
def test_keys_keep_the_order(a: float, b: float) -> None:
    one, other = key_of(np.array([a, b], np.float32))
    assert (one < other, one == other) == (np.float32(a) < np.float32(b), a == b)
    assert score_of(np.array([one]))[0] == np.float32(a)


@pytest.mark.parametrize("text", ["no base64!", "AAAA", "", "eJxjAAAAAQAB"])
def test_damaged_text(text: str) -> None:
    with pytest.raises(ValueError, match="damaged histogram"):
        Histogram.from_json(text)


def test_text_reads_back(frames: list[tuple[np.ndarray, np.ndarray]]) -> None:
    made = merge([exact_histogram(*frames[1])])
    assert equal(Histogram.from_json(json.loads(json.dumps(made.to_json()))), made)
    assert equal(Histogram.from_json(EMPTY.to_json()), EMPTY)


def test_counts_of_an_earlier_version_are_refused() -> None:
    data = VideoCounts("a", "g").to_json()
    data["histogram"] = [[32768], [1], [0]]
    del data["ranking"]
    with pytest.raises(LookupError):
        VideoCounts.from_json(data)
