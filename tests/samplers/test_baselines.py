"""What people do without an experiment, and what knowing the labels would be worth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.helpers.clips import Clip, ClipContext, grey_clip, sampler
from vidseg.datasets.base import MaskLabels
from vidseg.errors import DataError, PluginError
from vidseg.samplers.cache import measure_once
from vidseg.samplers.foreground_random import drawn
from vidseg.types import Size, VideoInfo


@dataclass(eq=False)
class Filmed(Clip):
    """A clip with a frame rate, and masks whose left columns are foreground."""

    fps: float | None = 25.0
    columns: list[int] = field(default_factory=list)

    @property
    def label_key(self) -> str:
        return f"{self.name} {self.columns}"

    def probe(self) -> VideoInfo:
        return VideoInfo(len(self.images), Size(*self.images.shape[1:3]), self.fps)

    def labels(self, index: int, source: str = "truth") -> MaskLabels:
        mask = np.full(self.images.shape[1:3], -1, np.int8)
        mask[:, : self.columns[index]] = 1
        return MaskLabels(Size(*mask.shape), mask)


@dataclass
class Sparse(ClipContext):
    """Every so many frames of a clip are labelled."""

    every: int = 1

    def labelled(self, video: Clip) -> range:
        return range(0, self.length(video), self.every)


def filmed(length: int, fps: float | None = 25.0, columns: list[int] | None = None) -> Filmed:
    images = grey_clip([90] * length).images
    return Filmed("a", images, fps=fps, columns=columns or [0] * length)


def chosen(spec: str, clip: Clip, ctx: ClipContext | None = None) -> list[int]:
    return [ref.index for ref in sampler(spec).sample([clip], ctx or ClipContext())]


@pytest.fixture(autouse=True)
def forget() -> None:
    measure_once.cache_clear()


def test_a_frame_a_second():
    assert chosen("per-second", filmed(76)) == [0, 25, 50, 75]
    assert chosen("per-second", filmed(75)) == [0, 25, 50]
    assert chosen("per-second:rate=2", filmed(60, 10.0)) == list(range(0, 60, 5))
    assert chosen("per-second", filmed(100, 29.97)) == [0, 30, 60, 90]
    assert chosen("per-second", filmed(1)) == [0]


def test_more_a_second_than_there_are_frames_is_every_frame_once():
    assert chosen("per-second:rate=50", filmed(7)) == list(range(7))


def test_at_most_so_many_of_a_video_are_spread_over_it():
    assert chosen("per-second:rate=1,most=3", filmed(250)) == [25, 125, 200]
    assert len(chosen("per-second", filmed(300, 1.0))) == 100


def test_a_video_without_a_frame_rate_needs_to_be_told():
    with pytest.raises(DataError, match=r"video a: .*not known; give them \(per-second:fps=25\)"):
        chosen("per-second", filmed(60, None))
    assert chosen("per-second:fps=20", filmed(60, None)) == [0, 20, 40]
    assert chosen("per-second:fps=20", filmed(60, 30.0)) == [0, 30], "what it states itself counts"


def test_labelled_frames_nearest_in_time():
    assert chosen("per-second", filmed(76), Sparse(every=10)) == [0, 20, 50, 70]
    assert chosen("per-second:rate=25", filmed(30), Sparse(every=10)) == [0, 10, 20]


@pytest.mark.parametrize("params", ["rate=0", "most=0", "fps=0", "n=3"])
def test_bad_parameters(params: str):
    with pytest.raises(PluginError):
        sampler(f"per-second:{params}")


def test_frames_with_foreground_come_first():
    columns = [0, 0, 4, 0, 8, 0, 2, 0]
    clip = filmed(8, columns=columns)
    for seed in range(5):
        assert chosen("foreground-random:n=3", clip, ClipContext(seed)) == [2, 4, 6]
        assert {2, 4, 6} < set(chosen("foreground-random:n=5", clip, ClipContext(seed)))


def test_foreground_weighs():
    weights = np.array([1.0, 3.0, 0.0])
    rng = np.random.default_rng(0)
    first = [int(drawn(weights, rng)[0]) for _ in range(4000)]
    assert 2 not in first
    assert np.mean(first) == pytest.approx(0.75, abs=0.03)


def test_the_oracle_draws_labelled_frames_nested():
    clip = filmed(20, columns=[1 + i % 7 for i in range(20)])
    ctx = Sparse(every=2)
    few, many = (set(chosen(f"foreground-random:n={n}", clip, ctx)) for n in (3, 7))
    assert few < many < set(range(0, 20, 2))
    assert sampler("foreground-random:n=3").oracle


def test_the_oracle_takes_what_there_is():
    clip = filmed(4, columns=[1, 2, 3, 0])
    assert chosen("foreground-random:n=9,short=all", clip) == [0, 1, 2, 3]
    with pytest.raises(DataError, match="needs 9 frames"):
        chosen("foreground-random:n=9", clip)
