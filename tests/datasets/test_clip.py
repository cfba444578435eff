"""The data set of clips: truth found beside them, and refused where it does not fit."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.movies import plain_clip
from tests.helpers.trees import box, mask_values, mot_rows, picture
from vidseg.datasets.clip import Clip
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError, UsageError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size

FRAMES = 6


def clip(file: Path, frames: int = FRAMES, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return plain_clip(file, [picture(index, seed=seed) for index in range(frames)])


def boxes(file: Path, frames: int = FRAMES) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = mot_rows(frames)
    file.write_text("".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows))
    return file


def masks(file: Path, frames: int = FRAMES, size: tuple[int, int] = (64, 48)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [mask_values(index, size)[..., None].repeat(3, axis=2) for index in range(frames)]
    return plain_clip(file, pictures)


def pictures(folder: Path, numbers: Iterable[int], first: int = 0, value: int = 255) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        values = mask_values(number - first, value=value)
        Image.fromarray(values).save(folder / f"mask_{number:05d}.png")
    return folder


def truth_of(video, index: int) -> np.ndarray:
    labels = video.labels(index)
    assert isinstance(labels, Labels)
    return rasterise(labels, Size(48, 64))


@pytest.mark.parametrize("place", ["a.txt", "a/gt/gt.txt"])
def test_boxes_beside_the_clip(tmp_path, place):
    clip(tmp_path / "a.mp4")
    boxes(tmp_path / place)
    (video,) = Clip(str(tmp_path)).videos()
    assert (video.name, video.group) == ("a", "a")
    assert video.probe() == (FRAMES, Size(48, 64), 25.0)
    for index, frame in enumerate(video.frames(range(FRAMES))):
        assert np.abs(frame.astype(int) - picture(index)).mean() < 8
        np.testing.assert_array_equal(truth_of(video, index) > 0, mask_values(index) > 0)
    left, top, width, height = box(2)
    np.testing.assert_array_equal(video.labels(2).boxes, [[left + 1, top + 1, width, height]])


@pytest.mark.parametrize(("place", "truth"), [("a_mask.avi", None), ("truth/a.mp4", "truth")])
def test_a_clip_of_masks(tmp_path, place, truth):
    clip(tmp_path / "a.mp4")
    masks(tmp_path / place)
    folder = None if truth is None else str(tmp_path / truth)
    (video,) = Clip(str(tmp_path), truth=folder).videos()
    for index in (5, 0, 3):
        wrong = truth_of(video, index) != np.where(mask_values(index) > 0, 1, -1)
        assert wrong.mean() < 0.01  # the codec moves edges by less than a pixel
    strict = Clip(str(tmp_path), truth=folder, threshold=255).videos()[0]
    assert (truth_of(strict, 0) > 0).sum() < (truth_of(video, 0) > 0).sum()
    assert strict.image_key == video.image_key
    assert strict.label_key != video.label_key


def test_one_file_with_its_truth_named(tmp_path):
    file, truth = clip(tmp_path / "a.mp4"), boxes(tmp_path / "elsewhere" / "gt.txt")
    data = Clip(str(file), truth=str(truth))
    assert (data.name, [v.name for v in data.videos()]) == ("a", ["a"])
    assert Clip(str(file), truth=str(masks(tmp_path / "m.avi"))).videos()[0].labels(0).boxes is None


def test_many_clips_in_natural_order_and_by_name(tmp_path):
    for seed, name in enumerate(("cam10", "cam2", "yard")):
        clip(tmp_path / f"{name}.mp4", seed=seed)
        boxes(tmp_path / f"{name}.txt")
    assert [v.name for v in Clip(str(tmp_path)).videos()] == ["cam2", "cam10", "yard"]
    assert [v.name for v in Clip(str(tmp_path), include=("cam*",)).videos()] == ["cam2", "cam10"]
    assert [v.name for v in Clip(str(tmp_path), exclude=("cam2",)).videos()] == ["cam10", "yard"]
    with pytest.raises(UsageError, match="include=cam3 fits no sequence; did you mean 'cam2'"):
        Clip(str(tmp_path), include=("cam3",))
    with pytest.raises(DataError, match="one file cannot be the truth of 3 clips"):
        Clip(str(tmp_path), truth=str(tmp_path / "yard.txt"))


def test_label_rules_are_those_of_mot(tmp_path):
    clip(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("1,1,1,1,8,8,1,1,0.2\n1,2,20,1,8,8,1,7,1\n")
    (plain,) = Clip(str(tmp_path)).videos()
    assert plain.labels(0).ids.tolist() == [1]
    (video,) = Clip(str(tmp_path), ignore_classes=(7,), min_visibility=0.5).videos()
    assert video.labels(0).ignored.tolist() == [True, True]
    assert plain.label_key != video.label_key


def test_truth_longer_than_the_clip_is_named_by_row(tmp_path):
    clip(tmp_path / "a.mp4")
    boxes(tmp_path / "a.txt", frames=FRAMES + 2)
    (video,) = Clip(str(tmp_path)).videos()
    message = rf"a\.txt:{FRAMES + 2}: label for frame {FRAMES + 2}, but a\.mp4 has only {FRAMES}"
    for look in (video.probe, lambda: video.labels(0)):
        with pytest.raises(DataError, match=message):
            look()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"frames": FRAMES - 1}, f"the mask clip's frames {FRAMES - 1}, but {FRAMES} in a.mp4"),
        ({"frames": FRAMES + 1}, f"the mask clip's frames {FRAMES + 1}, but {FRAMES} in a.mp4"),
        ({"size": (32, 48)}, "the mask clip's size 32x48, but 64x48 in a.mp4"),
    ],
)
def test_a_mask_clip_of_another_length_or_size(tmp_path, made, message):
    clip(tmp_path / "a.mp4")
    masks(tmp_path / "a_mask.mp4", **made)
    with pytest.raises(DataError, match=message):
        Clip(str(tmp_path)).videos()[0].probe()


def test_frames_that_do_not_exist(tmp_path):
    clip(tmp_path / "a.mp4")
    boxes(tmp_path / "a.txt")
    (video,) = Clip(str(tmp_path)).videos()
    for bad in (-1, FRAMES):
        with pytest.raises(DataError, match=f"no frame {bad}"):
            video.labels(bad)
    with pytest.raises(UsageError, match="propagated"):
        video.labels(0, "propagated")


def test_truth_that_is_missing_double_or_malformed(tmp_path):
    clip(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"no ground truth for a\.mp4; put NAME\.txt"):
        Clip(str(tmp_path)).videos()
    boxes(tmp_path / "a.txt")
    masks(tmp_path / "a_mask.mp4")
    with pytest.raises(DataError, match=r"several ground truths for a\.mp4: a\.txt and a_mask"):
        Clip(str(tmp_path)).videos()
    (tmp_path / "a_mask.mp4").unlink()
    (tmp_path / "a.txt").write_text("1,1,1,1,8,8,1,1,1\n1,2,3\n")
    with pytest.raises(DataError, match=r"a\.txt:2: 3 columns"):
        Clip(str(tmp_path)).videos()


def test_folders_without_clips_and_names_that_are_there_twice(tmp_path):
    with pytest.raises(DataError, match="holds no clip"):
        Clip(str(tmp_path))
    with pytest.raises(DataError, match="no such folder"):
        Clip(str(tmp_path / "absent.mp4"))
    clip(tmp_path / "a.mp4")
    clip(tmp_path / "a.avi")
    with pytest.raises(DataError, match="two clips are called 'a'"):
        Clip(str(tmp_path))


def test_opening_decodes_nothing(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no clip at all")
    boxes(tmp_path / "a.txt")
    assert Clip(str(tmp_path)).videos()[0].name == "a"


def test_keys_follow_content_not_names(tmp_path):
    clip(tmp_path / "a.mp4")
    boxes(tmp_path / "a.txt")
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    shutil.copy(tmp_path / "a.txt", tmp_path / "b.txt")
    clip(tmp_path / "c.mp4", seed=1)
    boxes(tmp_path / "c.txt", frames=FRAMES - 1)
    a, b, c = Clip(str(tmp_path)).videos()
    assert (a.image_key, a.label_key) == (b.image_key, b.label_key)
    assert a.image_key != c.image_key
    assert a.label_key != c.label_key


def test_the_store_decodes_a_clip_as_it_does_any_video(tmp_path):
    from vidseg.store import Store

    clip(tmp_path / "a.mp4")
    boxes(tmp_path / "a.txt")
    (video,) = Clip(str(tmp_path)).videos()
    stored = Store(tmp_path / "store").frames(video, None)
    assert stored.prepare([4, 1]) == 2
    for index in (5, 1, 0, 4):
        np.testing.assert_array_equal(stored.read(index), next(video.frames([index])))


@pytest.mark.real
def test_real_clip_has_the_truth_of_its_sequence(samples: Path) -> None:
    folder = samples / "mot17-mini/train/MOT17-04-FRCNN"
    (sequence,) = Mot(str(folder)).videos()
    file, truth = samples / "video/mmtracking_demo.mp4", folder / "gt/gt.txt"
    (video,) = Clip(str(file), truth=str(truth)).videos()
    assert video.probe()[:2] == sequence.probe()[:2]
    for index in range(8):
        ours, theirs = video.labels(index), sequence.labels(index)
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)
        np.testing.assert_array_equal(ours.ids, theirs.ids)
        assert ours.origin == theirs.origin
    with pytest.raises(DataError, match="no ground truth for cctv_video_01"):
        Clip(str(samples / "video/cctv_video_01.mov")).videos()


@pytest.mark.parametrize(
    ("place", "truth"),
    [("a_masks", None), ("t/a", "t"), ("t/a_masks", "t"), ("t", "t")],
)
@pytest.mark.parametrize("first", [0, 1])
def test_mask_pictures_beside_the_clip(tmp_path, place, truth, first):
    clip(tmp_path / "a.mp4")
    pictures(tmp_path / place, range(first, FRAMES + first), first)
    more = {} if truth is None else {"truth": str(tmp_path / truth)}
    (video,) = Clip(str(tmp_path), **more).videos()
    assert list(video.labelled()) == list(range(FRAMES))
    for index in range(FRAMES):
        np.testing.assert_array_equal(truth_of(video, index) > 0, mask_values(index) > 0)


@pytest.mark.parametrize(
    ("numbers", "more", "labelled"),
    [
        ((0, 3), {}, [0, 3]),
        ((2, 6), {}, [1, 5]),
        ((2, 4), {"first": 0}, [2, 4]),
        ((2, 4), {"first": 1}, [1, 3]),
    ],
)
def test_frames_without_a_mask_picture_are_not_labelled(tmp_path, numbers, more, labelled):
    clip(tmp_path / "a.mp4")
    pictures(tmp_path / "a_masks", numbers)
    (video,) = Clip(str(tmp_path), **more).videos()
    assert list(video.labelled()) == labelled
    assert video.label_notes()[0] == "4 of 6 frames have no mask file and are not labelled"
    np.testing.assert_array_equal(truth_of(video, labelled[0]) > 0, mask_values(numbers[0]) > 0)


def test_values_of_mask_pictures_mean_what_is_told(tmp_path):
    clip(tmp_path / "a.mp4")
    pictures(tmp_path / "a_masks", range(FRAMES), value=100)
    shares = {}
    for more in ({}, {"void": (100,)}, {"threshold": 101}, {"foreground": (0,)}):
        (video,) = Clip(str(tmp_path), **more).videos()
        values, counts = np.unique(truth_of(video, 0), return_counts=True)
        shares[str(more)] = dict(zip(values.tolist(), counts.tolist(), strict=True))
    inside = int((mask_values(0) > 0).sum())
    rest = 48 * 64 - inside
    assert list(shares.values()) == [
        *({-1: rest, 1: inside}, {-1: rest, 0: inside}, {-1: 48 * 64}, {-1: inside, 1: rest}),
    ]


@pytest.mark.parametrize(
    ("numbers", "more", "text"),
    [
        ((2, 4), {}, "fit the 6 frames of a.mp4 counted from 0 and from 1; give first=0"),
        ((0, 6), {}, "mask number 6, but the frames of a.mp4 are 0 to 5"),
        ((3, 7), {}, "mask number 7, but the frames of a.mp4 are 1 to 6"),
        ((0, 3), {"first": 1}, "mask number 0, but the frames of a.mp4 are 1 to 6"),
    ],
)
def test_numbers_of_mask_pictures_that_do_not_fit_are_refused(tmp_path, numbers, more, text):
    clip(tmp_path / "a.mp4")
    pictures(tmp_path / "a_masks", numbers)
    (video,) = Clip(str(tmp_path), **more).videos()
    with pytest.raises(DataError, match=re.escape(text)):
        video.probe()


def test_mask_pictures_without_numbers_and_of_another_size_are_refused(tmp_path):
    clip(tmp_path / "a.mp4")
    folder = pictures(tmp_path / "a_masks", range(FRAMES))
    Image.new("L", (8, 8)).save(folder / "mask_00002.png")
    (video,) = Clip(str(tmp_path)).videos()
    with pytest.raises(DataError, match=r"mask_00002.png: the mask is 8x8, its frame is 64x48"):
        video.labels(2)
    (folder / "mask_00002.png").rename(folder / "person.png")
    with pytest.raises(DataError, match="no frame numbers"):
        Clip(str(tmp_path)).videos()


def test_the_key_of_mask_pictures_is_that_of_their_content_and_numbers(tmp_path):
    clip(tmp_path / "a.mp4")
    folder = pictures(tmp_path / "a_masks", (0, 3))
    keys = {Clip(str(tmp_path)).videos()[0].label_key for _ in range(2)}
    (folder / "mask_00003.png").rename(folder / "mask_00004.png")
    keys |= {Clip(str(tmp_path)).videos()[0].label_key}
    keys |= {Clip(str(tmp_path), void=(7,)).videos()[0].label_key}
    assert len(keys) == 3
