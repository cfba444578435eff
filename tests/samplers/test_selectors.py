"""Selectors: middle, uniform, frame-difference and k-center."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from tests.helpers.clips import Clip, ClipContext, grey_clip, random_clip, sampler
from vidseg import plugins
from vidseg.errors import DataError, PluginError
from vidseg.samplers.cache import CACHE_BYTES, measure_once
from vidseg.samplers.frame_difference import changes, halfway
from vidseg.samplers.k_center import farthest_first, pooled

SELECTORS = ("first", "middle", "uniform", "frame-difference", "k-center")


@pytest.fixture(autouse=True)
def forget() -> None:
    measure_once.cache_clear()


def chosen(spec: str, clip: Clip, ctx: ClipContext | None = None) -> list[int]:
    refs = sampler(spec).sample([clip], ctx or ClipContext())
    assert {ref.video for ref in refs} == {clip.name}
    assert all(ref.variant is None for ref in refs)
    return [ref.index for ref in refs]


@pytest.mark.parametrize("name", SELECTORS)
def test_n_distinct_frames_in_the_order_of_time(name: str) -> None:
    clip = random_clip(length=17, size=(8, 10))
    for n in (1, 2, 5, 16, 17):
        frames = chosen(f"{name}:n={n}", clip)
        assert len(frames) == n
        assert frames == sorted(set(frames))
        assert 0 <= frames[0] <= frames[-1] < 17
    assert chosen(f"{name}:17", clip) == list(range(17))


@pytest.mark.parametrize("name", SELECTORS)
def test_short_videos(name: str) -> None:
    clip = random_clip(length=6, size=(8, 10))
    with pytest.raises(DataError, match=f"{name}:n=7 needs 7 frames, the video has 6"):
        chosen(f"{name}:n=7", clip)
    assert chosen(f"{name}:n=7,short=all", clip) == list(range(6))


@pytest.mark.parametrize("name", SELECTORS)
def test_one_frame_videos(name: str) -> None:
    clip = random_clip(length=1, size=(8, 10))
    assert chosen(f"{name}:n=1", clip) == [0]


@pytest.mark.parametrize("name", SELECTORS)
def test_a_still_video_gives_n_frames(name: str) -> None:
    assert len(chosen(f"{name}:n=4", grey_clip([90] * 12))) == 4


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("params", ["n=0", "n=1.5", "short=some", "k=3"])
def test_bad_parameters(name: str, params: str) -> None:
    with pytest.raises(PluginError):
        plugins.create("sampler", f"{name}:{params}")


@pytest.mark.parametrize("name", SELECTORS)
def test_each_video_by_itself(name: str) -> None:
    clips = [random_clip(c, 12 + i, (8, 10), seed=i) for i, c in enumerate("abc")]
    refs = sampler(f"{name}:n=3").sample(clips, ClipContext())
    together = [(ref.video, ref.index) for ref in refs]
    alone = [(c.name, i) for c in clips for i in chosen(f"{name}:n=3", c)]
    assert together == alone


def test_middle() -> None:
    assert chosen("middle:n=1", grey_clip(range(5))) == [2]
    assert chosen("middle:n=1", grey_clip(range(6))) == [2]
    assert chosen("middle:n=2", grey_clip(range(6))) == [2, 3]
    assert chosen("middle:n=3", grey_clip(range(6))) == [1, 2, 3]


def test_uniform_takes_the_middle_of_equal_parts() -> None:
    assert chosen("uniform:n=1", grey_clip(range(9))) == [4]
    assert chosen("uniform:n=3", grey_clip(range(9))) == [1, 4, 7]
    assert chosen("uniform:n=4", grey_clip(range(10))) == [1, 3, 6, 8]


def test_uniform_covers_a_video_as_well_as_any_choice() -> None:
    length, n = 11, 3

    def gap(frames: tuple[int, ...]) -> int:
        return max(min(abs(i - f) for f in frames) for i in range(length))

    best = min(gap(frames) for frames in combinations(range(length), n))
    assert gap(tuple(chosen(f"uniform:n={n}", grey_clip(range(length))))) == best


def test_changes_are_mean_absolute_differences() -> None:
    levels = [10, 10, 13, 40, 39]
    np.testing.assert_allclose(changes(grey_clip(levels), ClipContext()), [0, 3, 27, 1])


def test_frames_go_where_the_change_is() -> None:
    still, moving = [100] * 40, list(range(100, 140))
    frames = chosen("frame-difference:n=8", grey_clip(still + moving))
    assert frames[0] >= 40
    np.testing.assert_array_equal(np.diff(frames), 5)


def test_equal_change_gives_even_spacing() -> None:
    levels = [100 + 3 * (i % 2) for i in range(31)]
    assert chosen("frame-difference:n=5", grey_clip(levels)) == [3, 9, 15, 21, 27]
    assert chosen("frame-difference:n=5", grey_clip([7] * 31)) == [3, 9, 15, 21, 27]


def test_a_cut_gives_the_frames_that_follow_it() -> None:
    frames = chosen("frame-difference:n=3", grey_clip([0] * 10 + [250] * 10))
    assert frames == [9, 10, 11]
    assert chosen("frame-difference:n=3", grey_clip([0] * 10 + [250])) == [8, 9, 10]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=0, max_size=40), st.data())
def test_halfway_is_distinct_and_near_the_targets(steps: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(steps) + 1))
    found = halfway(np.array(steps), count)
    assert len(found) == count
    assert found == sorted(set(found))
    assert 0 <= found[0] <= found[-1] <= len(steps)
    total = np.concatenate([[0], np.cumsum(steps if any(steps) else np.ones(len(steps)))])
    targets = (np.arange(count) + 0.5) / count * total[-1]
    nearest = np.abs(total - targets[:, None]).min(1)
    if len({int(np.abs(total - t).argmin()) for t in targets}) == count:
        np.testing.assert_allclose(np.abs(total[found] - targets), nearest, atol=1e-9)


def test_noise_weighs_less_than_motion() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, (30, 96, 128, 3)).astype(np.uint8)
    for i in range(30):
        images[i, 20:60, 3 * i : 3 * i + 30] = 250
    steps = changes(Clip("a", images), ClipContext())
    quiet = changes(Clip("b", rng.integers(90, 110, (30, 96, 128, 3)).astype(np.uint8)),
                    ClipContext())  # fmt: skip
    assert steps.min() > 1.5 * quiet.max()


def test_pooled_levels_have_unit_length() -> None:
    rng = np.random.default_rng(1)
    features = tuple(rng.random((c, 5, 6)).astype(np.float16) for c in (4, 7))
    point = pooled(features)
    for part, level in zip(np.split(point, [4]), features, strict=True):
        mean = level.astype(np.float64).reshape(len(level), -1).mean(1)
        np.testing.assert_allclose(part, mean / np.sqrt((mean**2).sum()), rtol=1e-12)
    assert not pooled((np.zeros((3, 2, 2), np.float16),)).any()


def test_farthest_first_against_its_definition() -> None:
    points = np.random.default_rng(2).normal(size=(40, 6))
    order = farthest_first(points, 12)
    distances = cdist(points, points)
    assert order[0] == cdist(points, points.mean(0)[None]).argmin()
    for k in range(1, 12):
        assert order[k] == distances[:, order[:k]].min(1).argmax()


def test_farthest_first_is_within_twice_the_best_radius() -> None:
    points = np.random.default_rng(3).normal(size=(14, 2))
    distances = cdist(points, points)
    best = min(distances[:, list(c)].min(1).max() for c in combinations(range(14), 3))
    greedy = distances[:, farthest_first(points, 3)].min(1).max()
    assert greedy <= 2 * best


def test_k_center_is_nested() -> None:
    clip = random_clip(length=25, size=(8, 10))
    few, many = (set(chosen(f"k-center:n={n}", clip)) for n in (4, 11))
    assert few < many


def test_k_center_finds_the_odd_frames() -> None:
    levels = np.full((30, 8, 8, 3), 100, np.uint8)
    levels += np.random.default_rng(0).integers(0, 3, levels.shape, dtype=np.uint8)
    levels[7, ..., 0] = 250
    levels[21, ..., 2] = 250
    assert {7, 21} < set(chosen("k-center:n=3", Clip("a", levels)))


def test_equal_frames_are_chosen_from_the_first_on() -> None:
    assert farthest_first(np.ones((6, 3)), 4) == [0, 1, 2, 3]


def test_features_are_read_once_for_all_settings_and_folds() -> None:
    clip, ctx = random_clip(length=20, size=(8, 10)), ClipContext()
    for n in (2, 5, 5):
        chosen(f"k-center:n={n}", clip, ctx)
    assert ctx.features_read["a", 7] == 1
    assert ctx.prepared == [("a", True)], "one pass over the video, in order"
    chosen("frame-difference:n=2", clip, ctx)
    assert ctx.prepared == [("a", True), ("a", False)]


def test_another_size_or_extractor_is_measured_anew() -> None:
    class Other(ClipContext):
        def features(self, video: Clip, index: int) -> tuple[np.ndarray, ...]:
            level = np.zeros((2, 1, 1), np.float16)
            level[0], level[1] = 1, index in (3, 4)
            return (level,)

    clip = random_clip(length=9, size=(8, 10))
    before = chosen("k-center:n=2", clip)
    after = chosen("k-center:n=2", clip, Other())
    assert after == [0, 3]
    assert before == chosen("k-center:n=2", clip)


def test_measures_do_not_pile_up() -> None:
    made = []

    def measure(key: str, values: int = CACHE_BYTES // 8 // 4) -> None:
        measure_once("x", key, [], lambda: made.append(key) or np.zeros(values))

    for key in "abcadabce":  # e displaces d, the least recently used; zeros take no memory
        measure(key)
    assert "".join(made) == "abcde"
    for key in "abced":
        measure(key)
    assert "".join(made) == "abcded"


@pytest.mark.real
def test_real_frames(samples: Path) -> None:
    dataset = plugins.create("dataset", f"mot:{samples / 'mot' / 'TUD-Campus'}")
    (video,) = dataset.videos()
    clip = Clip(video.name, np.stack([f[::4, ::4] for f in video.frames(range(71))]))
    assert chosen("uniform:n=2", clip) == [17, 53]
    moved = chosen("frame-difference:n=8", clip)
    assert 6 <= min(np.diff(moved)) <= max(np.diff(moved)) <= 12
    few, many = (set(chosen(f"k-center:n={n}", clip)) for n in (3, 8))
    assert few < many
