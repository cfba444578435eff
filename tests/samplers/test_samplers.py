"""The samplers of whole settings: which frames, and what of videos that are too short."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vidseg import plugins
from vidseg.errors import DataError, PluginError
from vidseg.experiment.training import SamplingContext


@dataclass(frozen=True)
class Clip:
    """All that these samplers and their context see of a video."""

    name: str
    length: int
    kept: tuple[int, ...] | None = None

    @property
    def labelled(self):
        return range(self.length) if self.kept is None else self.kept


def frames(spec, *lengths, seed=0):
    """Return the frames that a sampler takes of videos of these lengths."""
    clips = {f"v{i}": Clip(f"v{i}", length) for i, length in enumerate(lengths)}
    refs = plugins.create("sampler", spec).sample(
        list(clips.values()), SamplingContext(clips, seed)
    )
    assert all(ref.variant is None for ref in refs)
    assert [ref.video for ref in refs] == sorted(ref.video for ref in refs)
    return [[ref.index for ref in refs if ref.video == name] for name in clips]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("1", [0]),
        ("20", [*range(20)]),
        ("1by20", [*range(0, 400, 20)]),
        ("400", [*range(400)]),
        ("all", [*range(525)]),
        ("successive:n=3,start=7", [7, 8, 9]),
        ("successive", [*range(20)]),
        ("strided:every=100", [0, 100, 200, 300, 400, 500]),
        ("strided:every=100,n=2,start=5", [5, 105]),
        ("strided:every=1000", [0]),
        ("strided:every=1000,start=524", [524]),
    ],
)
def test_settings_take_the_frames_of_the_paper(spec, expected):
    assert frames(spec, 525) == [expected]


def test_381_frames_are_enough_for_1by20_and_380_are_not():
    assert len(frames("1by20", 381)[0]) == 20
    with pytest.raises(DataError, match=r"video v1.*needs 381 frames, the video has 380"):
        frames("1by20", 381, 380)
    assert len(frames("1by20:short=all", 380)[0]) == 19


@pytest.mark.parametrize("spec", ["20", "400", "successive:n=20", "random:n=20", "1by20"])
def test_short_videos_are_refused_by_name_or_give_what_they_have(spec):
    with pytest.raises(DataError) as caught:
        frames(spec, 500, 7)
    for part in ("video v1", "has 7", "short=all", spec.partition(":")[0][:1]):
        assert part in str(caught.value)
    whole = spec + (",short=all" if ":" in spec else ":short=all")
    assert len(frames(whole, 500, 7)[1]) == (1 if "1by20" in spec else 7)


def test_a_start_behind_the_end_is_refused_even_with_short_all():
    for spec in ("successive:start=10,short=all", "strided:start=10,short=all"):
        with pytest.raises(DataError, match=r"needs \d+ frames, the video has 10"):
            frames(spec, 10)


def test_random_frames_are_nested_seeded_and_independent_of_other_videos():
    few, many = frames("random:n=5", 50)[0], frames("random:n=20", 50)[0]
    assert set(few) < set(many)
    assert many == sorted(set(many))
    assert all(0 <= index < 50 for index in many)
    assert frames("random:n=5", 50, seed=1)[0] != few
    assert frames("random:n=5", 50, 60)[0] == few
    assert frames("random:n=50", 50) == [[*range(50)]]
    both = frames("random:n=20", 50, 50)
    assert both[0] != both[1]


@pytest.mark.parametrize(
    "spec",
    [
        "successive:n=0",
        "successive:start=-1",
        "strided:every=0",
        "strided:n=0",
        "random:n=-3",
        "random:n=x",
        "20:short=some",
        "20:n=3",
        "1:2",
    ],
)
def test_nonsense_is_refused(spec):
    with pytest.raises(PluginError):
        plugins.resolve("sampler", spec)
