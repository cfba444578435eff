"""How many frames, and how a total is shared among videos."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.curate.choose import shares, with_count, without_count
from vidseg.errors import UsageError
from vidseg.plugins.spec import parse


@pytest.mark.parametrize(
    ("given", "n", "expected"),
    [
        ("k-center", None, "k-center:n=20,short=all"),
        ("k-center", 5, "k-center:n=5,short=all"),
        ("random:7", None, "random:n=7,short=all"),
        ("random:n=7,short=error", None, "random:n=7,short=error"),
        ("per-second:rate=2,fps=25", 8, "per-second:rate=2,most=8,fps=25"),
        ("1by20", None, "1by20:short=all"),
        ("all", None, "all"),
    ],
)
def test_the_number_goes_where_the_sampler_has_it(given: str, n: int | None, expected: str):
    assert str(with_count(parse(given), n, where="by")) == expected


@pytest.mark.parametrize(
    ("given", "n", "message"),
    [
        ("all", 5, "takes no number of frames"),
        ("random:7", 5, "has n already"),
        ("foreground-random", None, "chooses by labels, and there are none"),
    ],
)
def test_numbers_that_contradict_and_oracles_are_refused(given: str, n: int | None, message: str):
    with pytest.raises(UsageError, match=message):
        with_count(parse(given), n, where="by")


def test_a_total_is_given_to_samplers_that_take_a_number():
    assert str(without_count(parse("random"), where="by")) == "random"
    for spec in ("all", "random:3"):
        with pytest.raises(UsageError):
            without_count(parse(spec), where="by")


def test_a_total_is_shared_by_length():
    assert shares([100, 300], 8) == [2, 6]
    assert shares([10, 10, 10], 4) == [2, 1, 1]
    assert shares([5, 1000], 3) == [0, 3]
    assert shares([2, 3], 99) == [2, 3]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=12), st.integers(1, 900))
def test_a_total_is_reached_and_no_video_gives_more_than_it_has(lengths: list[int], total: int):
    parts = shares(lengths, total)
    assert sum(parts) == min(total, sum(lengths))
    assert all(0 <= part <= length for part, length in zip(parts, lengths, strict=True))
