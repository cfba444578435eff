"""One scene under several names: merged when frames are shared, listed when they look alike."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import mot_sequence
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.datasets.scenes import check_scenes
from vidseg.datasets.synthetic import Synthetic
from vidseg.errors import DataError
from vidseg.types import Size, VideoInfo


@dataclass
class Clip:
    """A video of given pictures that counts what is decoded."""

    name: str
    pictures: Sequence[np.ndarray]
    group: str = ""
    image_key: str = ""
    label_key: str = ""
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = self.group or self.name
        self.image_key = self.image_key or self.name

    def probe(self) -> VideoInfo:
        return VideoInfo(len(self.pictures), Size(*self.pictures[0].shape[:2]))

    def frames(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        self.asked += indices
        return (self.pictures[index] for index in indices)

    def labels(self, index: int, source: str = "truth"):
        raise AssertionError("labels say nothing about scenes")


def scene(seed: int, count: int = 20, size: str = "96x64") -> list[np.ndarray]:
    """Return frames of a scene of its own."""
    video = Synthetic(videos=1, frames=count, size=size, seed=seed).videos()[0]
    return list(video.frames(range(count)))


BLACK = np.zeros((64, 96, 3), np.uint8)


def test_different_scenes_stay_apart_in_silence():
    report = check_scenes([Clip(f"v{i}", scene(i)) for i in range(5)])
    assert report.groups == {f"v{i}": f"v{i}" for i in range(5)}
    assert report.lines == ()


def test_a_shorter_copy_is_merged_with_one_warning():
    pictures = scene(0)
    videos = [Clip("other", scene(1)), Clip("long", pictures), Clip("short", pictures[:3])]
    report = check_scenes(videos)
    assert report.groups == {"other": "other", "long": "long", "short": "long"}
    assert report.copies == (
        "short shows the same pictures as long (identical frames: 3 of 3 compared): "
        "both are in group long",
    )
    assert report.notes == ()


def test_merging_is_transitive_and_keeps_given_groups():
    a, b = scene(0), scene(1)
    videos = [
        Clip("a1", a, group="A"),
        Clip("b1", b, group="B"),
        Clip("b2", scene(2), group="B"),
        Clip("bridge", [a[0], b[0]], group="C"),
        Clip("apart", scene(3), group="D"),
        Clip("c2", scene(4), group="C"),
    ]
    groups = check_scenes(videos).groups
    assert [groups[v.name] for v in videos] == ["A", "A", "A", "A", "D", "A"]


def test_videos_of_one_group_need_no_warning():
    pictures = scene(0)
    report = check_scenes([Clip(f"M-{d}", pictures, group="M") for d in ("DPM", "SDP")])
    assert set(report.groups.values()) == {"M"}
    assert report.lines == ()


def test_equal_image_keys_are_enough():
    report = check_scenes([Clip("a", scene(0), image_key="k"), Clip("b", scene(1), image_key="k")])
    assert report.groups["b"] == "a"
    assert "all frames are identical" in report.copies[0]


def test_black_frames_prove_nothing():
    videos = [Clip("a", [BLACK, *scene(0)]), Clip("b", [BLACK, *scene(1)]), Clip("c", [BLACK] * 3)]
    report = check_scenes(videos)
    assert len(set(report.groups.values())) == 3
    assert report.lines == ()


def test_few_frames_are_decoded():
    long = Clip("long", scene(0) * 50)
    check_scenes([long, Clip("one", scene(1)[:1])])
    assert len(long.asked) <= 11
    assert long.asked[:8] == [0, 1, 2, 4, 8, 16, 32, 64]


def test_a_decoder_may_be_given():
    def decode(video, indices):
        return [pictures[video.name][index] for index in indices]

    pictures = {"a": scene(0), "b": scene(0)}
    videos = [Clip(name, [BLACK] * 20) for name in pictures]
    assert check_scenes(videos, decode).groups["b"] == "a"
    assert not videos[0].asked


def test_two_videos_with_one_name_are_refused():
    with pytest.raises(DataError, match="two videos are called 'a'"):
        check_scenes([Clip("a", scene(0)), Clip("a", scene(1))])


def test_no_videos_and_one_video():
    assert check_scenes([]).groups == {}
    assert check_scenes([Clip("a", [BLACK])]).groups == {"a": "a"}


def test_one_shared_file_anywhere_merges(tmp_path):
    a = mot_sequence(tmp_path, "A", frames=30, size=(96, 64))
    b = mot_sequence(tmp_path, "B", frames=30, size=(96, 64), seed=1)
    videos = Mot(str(tmp_path)).videos()
    assert len(set(check_scenes(videos).groups.values())) == 2
    shutil.copy(a / "img1" / "000028.jpg", b / "img1" / "000023.jpg")
    report = check_scenes(Mot(str(tmp_path)).videos())
    assert report.groups == {"A": "A", "B": "A"}
    assert "identical frame files: 1 of 30" in report.copies[0]


def test_a_shared_black_file_does_not_merge(tmp_path):
    for seed, name in enumerate("AB"):
        folder = mot_sequence(tmp_path, name, frames=6, size=(96, 64), seed=seed)
        Image.fromarray(BLACK).save(folder / "img1" / "000004.jpg")
    report = check_scenes(Mot(str(tmp_path)).videos())
    assert report.groups == {"A": "A", "B": "B"}
    assert report.copies == ()


def test_generated_scenes_are_never_confused():
    report = check_scenes(Synthetic(videos=8, frames=4, size="96x64").videos())
    assert len(set(report.groups.values())) == 8
    assert report.notes == ()


@pytest.mark.real
def test_real_duplicate_is_merged_and_nothing_else(samples: Path) -> None:
    folders = ("mot", "mot-duplicate", "mot17-mini")
    videos = [video for name in folders for video in Mot(str(samples / name)).videos()]
    videos += Masks(str(samples / "davis")).videos()
    report = check_scenes(videos)
    alone = {v.name: v.group for v in videos if v.name != "ADL-Rundle-6-quarter"}
    assert report.groups == alone | {"ADL-Rundle-6-quarter": "MOT16-09-quarter"}
    assert len(set(report.groups.values())) == 7
    (warning,) = report.copies
    assert "ADL-Rundle-6-quarter shows the same pictures as MOT16-09-quarter" in warning
    assert report.notes == ()
