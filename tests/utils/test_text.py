"""Words in messages."""

from __future__ import annotations

import pytest

from vidseg.utils.suggest import did_you_mean, nearest
from vidseg.utils.text import escaped, is_printable, plural


def test_the_nearest_known_name_is_offered() -> None:
    assert did_you_mean("uniformm", ["random", "uniform"]) == "did you mean 'uniform'? "
    assert did_you_mean("xyz", ["random", "uniform"]) == ""
    assert nearest("vgg1", ["vgg16", "vgg11", "resnet18"], 3) == ["vgg16", "vgg11"]


@pytest.mark.parametrize(
    ("count", "noun"),
    [(1, "frame"), (1.0, "frame"), ("1", "frame"), (0, "frames"), (0.5, "frames"), (21, "frames")],
)
def test_one_is_singular(count: float | str, noun: str) -> None:
    assert plural("frame", count) == noun


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[31m", "a\u2028b", "a\udcff", "\x7f"])
def test_names_that_cannot_stand_on_a_line(name: str) -> None:
    assert not is_printable(name)


@pytest.mark.parametrize("name", ["", "a b", "caf\u00e9", "\u65e5\u672c\u3000", "<&>'\"[],="])
def test_names_that_can(name: str) -> None:
    assert is_printable(name)


def test_a_name_is_shown_with_what_it_hides() -> None:
    assert escaped("caf\u00e9 a\nb\x1b") == "caf\u00e9 a\\nb\\x1b"
