"""Words in messages."""

from __future__ import annotations

import pytest

from vidseg.utils.suggest import did_you_mean, nearest
from vidseg.utils.text import plural


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
