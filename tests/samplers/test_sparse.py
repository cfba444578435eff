"""Samplers on videos of which some frames are labelled: labelled ones only, true spacings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.clips import Clip, ClipContext, random_clip, sampler
from vidseg.errors import UnlabelledError
from vidseg.samplers.base import usual_spacing
from vidseg.samplers.cache import measure_once

FIFTHS = tuple(range(0, 60, 5))
LATE = tuple(range(4, 60, 10))
ODD = (3, 7, 19, 20, 44, 58)

ANY = (
    "1",
    "all",
    "first:n=3",
    "middle:n=3",
    "uniform:n=3",
    "random:n=3",
    "frame-difference:n=3",
    "k-center:n=3",
    "successive:n=20,short=all",
    "strided:every=20,n=3,short=all",
    "noised:base=[uniform:n=2],copies=3",
    "augmented:base=1,copies=2",
    "per-second:fps=25,rate=5",
)


@pytest.fixture(autouse=True)
def forget() -> None:
    measure_once.cache_clear()


def clip(kept: tuple[int, ...] | None) -> Clip:
    made: Any = random_clip(length=60, size=(6, 8))
    made.kept = kept
    made.probe = lambda: type("Info", (), {"fps": 25.0})
    return made


def chosen(spec: str, kept: tuple[int, ...] | None, seed: int = 0) -> list[int]:
    refs = sampler(spec).sample([clip(kept)], ClipContext(seed))
    return [ref.index for ref in refs]


@pytest.mark.parametrize("spec", ANY)
@pytest.mark.parametrize("kept", [FIFTHS, LATE, ODD, (31,)])
def test_every_sampler_takes_labelled_frames_only(spec: str, kept: tuple[int, ...]) -> None:
    if kept == (31,) and ":n=" in spec and "short" not in spec:
        spec = spec.replace("n=3", "n=1").replace("n=2", "n=1")
    frames = chosen(spec, kept)
    assert frames
    assert set(frames) <= set(kept)
    assert frames == sorted(frames)


@pytest.mark.parametrize("spec", ["uniform:n=3", "random:n=3", "middle:n=3", "k-center:n=3"])
def test_labelled_frames_are_drawn_as_frames_of_a_video_of_these_alone(spec: str) -> None:
    whole, ctx = clip(FIFTHS), ClipContext()
    alone = Clip(whole.name, whole.images[list(FIFTHS)])
    places = [ref.index for ref in sampler(spec).sample([alone], ctx)]
    assert chosen(spec, FIFTHS) == [FIFTHS[place] for place in places]


def test_successive_and_strided_count_frames_of_the_video() -> None:
    assert chosen("1", LATE) == [4]
    assert chosen("first:n=3", LATE) == [4, 14, 24]
    assert chosen("strided:every=20,n=3", LATE) == [4, 24, 44]
    assert chosen("strided:every=10", FIFTHS) == list(range(0, 60, 10))
    assert chosen("successive:n=20,short=all", FIFTHS) == [0, 5, 10, 15]
    assert chosen("successive:n=20,start=7,short=all", FIFTHS) == [10, 15, 20, 25]
    assert chosen("strided:every=3,short=all", FIFTHS) == [0, 15, 30, 45]


@pytest.mark.parametrize(
    ("spec", "kept", "said", "possible"),
    [
        ("20", FIFTHS, "needs 20 frames 1 apart from frame 0 on, 4", "strided:every=5,n=12"),
        ("strided:every=7,n=4", FIFTHS, "needs 4 frames 7 apart", "strided:every=10,n=4"),
        ("strided:every=3", LATE, "3 apart from frame 4 on, 2 of them", "strided:every=10,n=6"),
        ("successive:n=5", ODD, "needs 5 frames 1 apart from frame 3 on, 2", "uniform:n=5"),
        ("successive:n=2", (31,), "1 of them are labelled (1 of 60 are)", "only frame 31 is"),
        ("window:n=5,every=1", FIFTHS, "needs 5 frames 1 apart", "window:n=5,every=5"),
        ("window:n=5,every=1,short=all", FIFTHS, "needs 5 frames 1 apart", "window:n=5,every=5"),
        ("uniform:n=13", FIFTHS, "needs 13 labelled frames, the video has 12 of 60", "short=all"),
        ("uniform:n=2,short=all", (), "the video has 0 of 60", ""),
        ("window:n=1,short=all", (), "0 of them are labelled", "label some frames first"),
        ("1", (), "0 of them are labelled", "label some frames first"),
    ],
)
def test_what_the_labels_do_not_have_is_refused_with_what_they_have(
    spec: str, kept: tuple[int, ...], said: str, possible: str
) -> None:
    with pytest.raises(UnlabelledError) as caught:
        chosen(spec, kept)
    assert said in caught.value.what
    assert possible in caught.value.hint


def test_the_spacing_that_is_offered_can_be_had() -> None:
    with pytest.raises(UnlabelledError) as caught:
        chosen("strided:every=7,n=40", FIFTHS)
    offer = caught.value.hint.partition("use ")[2].partition(", or")[0]
    assert offer == "strided:every=10,n=6"
    assert chosen(offer, FIFTHS) == list(range(0, 60, 10))


@pytest.mark.parametrize("seed", range(5))
def test_windows_lie_on_the_labels_and_stay_nested(seed: int) -> None:
    before: set[int] = set()
    for n in (1, 2, 4, 6):
        frames = chosen(f"window:n={n},every=10,short=all", FIFTHS, seed)
        assert len(frames) == n
        assert usual_spacing(frames) in (None, 10)
        assert set(frames) <= set(FIFTHS)
        assert before <= set(frames)
        before = set(frames)


def test_noise_is_measured_over_unlabelled_frames_too() -> None:
    made = clip(FIFTHS)
    (ref, *_) = sampler("noised:base=1,copies=2,window=4").sample([made], ClipContext())
    assert ref.variant is not None
    ref.variant.render(made, ref.index, 0)
    assert {1, 2, 3} <= set(made.reads)


def test_k_center_looks_at_labelled_frames_only() -> None:
    ctx = ClipContext()
    sampler("k-center:n=3").sample([clip(LATE)], ctx)
    assert {index for _, index in ctx.features_read} == set(LATE)


def test_k_center_remembers_which_frames_were_labelled() -> None:
    assert set(chosen("k-center:n=3", FIFTHS)) <= set(FIFTHS)
    other = tuple(range(0, 60, 4))
    assert set(chosen("k-center:n=3", other)) <= set(other)


def test_spacings_that_are_asked_for() -> None:
    asked = {
        spec: getattr(sampler(spec), "spacing", None)
        for spec in ("1", "20", "1by20", "1x20", "20x20", "window:n=3,every=4", "uniform", "all")
    }
    assert asked == {
        "1": None,
        "20": 1,
        "1by20": 20,
        "1x20": None,
        "20x20": 20,
        "window:n=3,every=4": 4,
        "uniform": None,
        "all": None,
    }
