"""Sampler window: nested windows around a random frame."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.clips import ClipContext, random_clip, sampler
from vidseg.errors import DataError, PluginError


def window(n: int, every: int, length: int, seed: int, short: str = "all") -> list[int]:
    clip = random_clip(length=length, size=(4, 4))
    refs = sampler(f"window:n={n},every={every},short={short}").sample([clip], ClipContext(seed))
    assert all(ref.variant is None and ref.video == clip.name for ref in refs)
    return [ref.index for ref in refs]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 50))
def test_windows_of_one_seed_are_nested_and_whole(length: int, every: int, seed: int) -> None:
    before: set[int] = set()
    everything = window(length, every, length, seed)
    for n in range(1, len(everything) + 2):
        frames = window(n, every, length, seed)
        assert len(frames) == min(n, len(everything))
        assert frames == sorted(set(frames))
        assert 0 <= frames[0] <= frames[-1] < length
        assert {b - a for a, b in itertools.pairwise(frames)} <= {every}
        assert before <= set(frames)
        before = set(frames)
    assert len(everything) in (length // every, -(-length // every))


def test_one_frame_is_the_random_one_whatever_the_step() -> None:
    for seed in range(20):
        assert window(1, 1, 30, seed) == window(1, 5, 30, seed)
        assert set(window(1, 1, 30, seed)) <= set(window(3, 5, 30, seed))


def test_seeds_spread_over_the_whole_video() -> None:
    starts = {window(1, 1, 10, seed)[0] for seed in range(200)}
    assert starts == set(range(10))


def test_it_grows_to_the_end_and_then_to_the_beginning() -> None:
    for seed in range(30):
        (start,) = window(1, 1, 10, seed)
        for n in range(1, 11):
            first = min(start, 10 - n)
            assert window(n, 1, 10, seed) == list(range(first, first + n))


def test_short_videos() -> None:
    assert window(20, 1, 6, 0) == list(range(6))
    with pytest.raises(DataError, match=r"finds 6 frames 1 apart around frame \d, the video has 6"):
        window(20, 1, 6, 0, "error")
    assert window(6, 1, 6, 0, "error") == list(range(6))
    with pytest.raises(DataError, match=r"window:n=3,every=5 finds 1 frames 5 apart"):
        window(3, 5, 5, 1, "error")


@pytest.mark.parametrize("params", ["n=0", "every=0", "n=1.5", "short=some", "step=2"])
def test_bad_parameters(params: str) -> None:
    with pytest.raises(PluginError):
        sampler(f"window:{params}")
