"""Generated videos: reproducible frame by frame, exactly labelled, and as different as asked."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError, validate_call
from scipy.ndimage import binary_dilation

from vidseg.datasets.synthetic import Synthetic
from vidseg.errors import DataError, UsageError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size

SMALL = {"videos": 3, "frames": 12, "size": "128x96"}


def frames(video, indices=None) -> np.ndarray:
    indices = range(video.probe().length) if indices is None else indices
    return np.stack(list(video.frames(indices)))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1])


def neighbours(**options) -> float:
    """Mean correlation of neighbouring frames, over videos."""
    stacks = [frames(v) for v in Synthetic(4, 10, "96x64", noise=2.0, **options).videos()]
    return float(np.mean([correlation(a, b) for stack in stacks for a, b in pairwise(stack)]))


def test_videos_have_names_groups_and_true_lengths():
    data = Synthetic(**SMALL)
    videos = data.videos()
    assert [v.name for v in videos] == ["syn00", "syn01", "syn02"]
    assert len({v.group for v in videos}) == 3
    assert videos[0].probe()[:2] == (12, Size(96, 128))
    assert frames(videos[0]).shape == (12, 96, 128, 3)
    assert frames(videos[0]).dtype == np.uint8
    assert data.name == "synthetic"
    assert [v.name for v in Synthetic(videos=101).videos()][-1] == "syn100"


def test_any_frame_by_itself_equals_the_frame_in_sequence():
    for motion in (0.0, 1.0, 1.5, 2.0):
        video = Synthetic(**SMALL, motion=motion).videos()[1]
        whole = frames(video)
        again = Synthetic(**SMALL, motion=motion).videos()[1]
        for index in (11, 0, 7):
            np.testing.assert_array_equal(next(again.frames([index])), whole[index])


def test_another_process_renders_the_same_pixels():
    code = (
        "import hashlib; from vidseg.datasets.synthetic import Synthetic;"
        "v = Synthetic(3, 12, '128x96').videos()[2]; f = next(v.frames([5]));"
        "m = v.labels(5).mask; print(hashlib.sha256(f.tobytes() + m.tobytes()).hexdigest())"
    )
    run = [sys.executable, "-c", code]
    first, second = (subprocess.run(run, check=True, capture_output=True).stdout for _ in "ab")
    assert first == second


def test_seed_video_and_number_decide():
    a, b, _ = Synthetic(**SMALL).videos()
    c = Synthetic(**SMALL, seed=1).videos()[0]
    more = Synthetic(videos=9, frames=12, size="128x96").videos()[0]
    picture = frames(a, [0])
    assert correlation(picture, frames(b, [0])) < 0.9
    assert correlation(picture, frames(c, [0])) < 0.9
    np.testing.assert_array_equal(picture, frames(more, [0]))
    assert a.image_key == more.image_key
    assert len({v.image_key for v in (a, b, c)}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 5},
        {"motion": 0.5},
        {"figures": 2},
        {"noise": 1.0},
        {"frames": 11},
        {"size": "96x96"},
    ],
)
def test_every_parameter_is_in_the_keys(change):
    (one, *_), (other, *_) = Synthetic(**SMALL).videos(), Synthetic(**(SMALL | change)).videos()
    assert one.image_key != other.image_key
    assert one.label_key != other.label_key
    assert one.image_key != one.label_key


def test_motion_zero_is_one_picture_and_fresh_noise():
    video = Synthetic(videos=1, frames=6, size="128x96", motion=0, noise=4.0).videos()[0]
    stack = frames(video).astype(float)
    inner = (stack > 20).all(0) & (stack < 235).all(0)
    change = (stack[1:] - stack[:-1])[:, inner]
    assert abs(change.std() - 4.0 * np.sqrt(2)) < 0.15
    assert abs(change.mean()) < 0.1
    assert abs(correlation(change[0], change[2])) < 0.03
    masks = [video.labels(i).mask for i in range(6)]
    assert all((mask == masks[0]).all() for mask in masks)
    still = frames(Synthetic(videos=1, frames=3, size="128x96", motion=0, noise=0).videos()[0])
    assert (still == still[0]).all()


def test_neighbours_differ_the_more_the_more_motion():
    values = [neighbours(motion=motion) for motion in (0.0, 0.3, 1.0, 1.3, 1.7, 2.0)]
    assert all(a > b for a, b in pairwise(values)), values
    assert values[0] > 0.98
    assert values[-1] < 0.5


def test_at_motion_two_a_scene_is_as_new_as_another_video():
    within = frames(Synthetic(videos=1, frames=12, size="96x64", motion=2).videos()[0])
    other = [frames(v, [0])[0] for v in Synthetic(videos=12, frames=1, size="96x64").videos()]
    pairs = [(i, j) for i in range(12) for j in range(i)]
    inside = np.mean([correlation(within[i], within[j]) for i, j in pairs])
    between = np.mean([correlation(other[i], other[j]) for i, j in pairs])
    assert abs(inside - between) < 0.15


def test_cuts_of_less_motion_are_among_those_of_more():
    def cuts(motion):
        video = Synthetic(videos=1, frames=40, motion=motion).videos()[0]
        return {i for i in range(40) if video._first[i] == i}

    few, many, every = cuts(1.3), cuts(1.7), cuts(2.0)
    assert cuts(1.0) == {0}
    assert {0} < few < many < every == set(range(40))


def test_labels_are_a_mask_and_the_boxes_of_who_is_visible():
    video = Synthetic(**SMALL).videos()[0]
    for index in range(0, 12, 4):
        labels = video.labels(index)
        assert isinstance(labels, Labels)
        assert labels.mask.dtype == np.int8
        assert set(np.unique(labels.mask)) <= {-1, 1}
        assert len(labels.boxes) == len(labels.ids) == len(set(labels.ids.tolist()))
        drawn = np.zeros((96, 128), bool)
        for left, top, width, height in labels.boxes.astype(int):
            assert height > width / 3
            drawn[max(top, 0) : top + height, max(left, 0) : left + width] = True
        assert not (labels.mask[~drawn] == 1).any()


def test_boxes_are_tight_where_one_figure_stands_alone():
    checked = 0
    for video in Synthetic(videos=12, frames=1, size="160x120", figures=1).videos():
        labels = video.labels(0)
        for left, top, width, height in labels.boxes.astype(int):
            if left < 0 or top < 0 or left + width > 160 or top + height > 120:
                continue
            rows, columns = np.nonzero(labels.mask == 1)
            assert (left, top) == (columns.min(), rows.min())
            assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
            checked += 1
    assert checked >= 4


def test_the_mask_is_where_the_picture_changes():
    """With and without its figures: different in the mask; outside there are only shadows."""
    for number in range(3):
        with_, without = (
            Synthetic(videos=3, frames=1, size="160x120", noise=0, figures=n).videos()[number]
            for n in (5, 0)
        )
        change = frames(with_)[0].astype(int) - frames(without)[0]
        mask = with_.labels(0).mask == 1
        assert (np.abs(change).max(-1)[mask] > 8).mean() > 0.9
        assert change[~binary_dilation(mask, iterations=2)].max() <= 1
        assert not (without.labels(0).mask == 1).any()


def test_one_scene_at_two_sizes():
    small, large = (
        Synthetic(videos=1, frames=1, size=s).videos()[0] for s in ("160x90", "320x180")
    )
    a = small.labels(0).mask == 1
    b = rasterise(large.labels(0), Size(90, 160)) == 1
    assert (a & b).sum() / (a | b).sum() > 0.85


def test_people_leave_and_others_enter():
    video = Synthetic(videos=1, frames=400, size="96x64").videos()[0]
    seen = [set(video.labels(i).ids.tolist()) for i in (0, 200, 399)]
    assert seen[0] - seen[2]
    assert seen[2] - seen[0]


def test_foreground_is_a_sensible_share():
    shares = [
        (v.labels(0).mask == 1).mean()
        for v in Synthetic(videos=20, frames=1, size="96x64").videos()
    ]
    assert 0.04 < np.mean(shares) < 0.2


def test_no_figures_at_all():
    labels = Synthetic(videos=1, frames=1, figures=0).videos()[0].labels(0)
    assert labels.boxes.shape == (0, 4)
    assert (labels.mask == -1).all()


def test_tiny_and_narrow_sizes_render():
    for size in ("8x8", "16x200", "200x16"):
        video = Synthetic(videos=2, frames=2, size=size).videos()[1]
        assert frames(video).shape[1:3] == tuple(Size.parse(size))


def test_bad_values_are_refused():
    with pytest.raises(UsageError, match="not a size"):
        Synthetic(size="big")
    video = Synthetic(**SMALL).videos()[0]
    for bad in (12, -1):
        with pytest.raises(DataError, match=f"syn00: has no frame {bad}"):
            list(video.frames([bad]))
        with pytest.raises(DataError, match=f"syn00: has no frame {bad}"):
            video.labels(bad)
    with pytest.raises(UsageError, match="no labels 'tracked'"):
        video.labels(0, "tracked")


@pytest.mark.parametrize(
    "bad",
    [{"videos": 0}, {"frames": 0}, {"motion": 2.1}, {"motion": -0.1}, {"noise": -1}, {"seed": -1}],
)
def test_the_signature_states_the_ranges(bad):
    checked = validate_call(Synthetic.__init__)
    with pytest.raises(ValidationError, match=next(iter(bad))):
        checked(object.__new__(Synthetic), **bad)
