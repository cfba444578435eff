"""Which pictures are of one video: names that exporters give them, and the user's own pattern."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from vidseg.datasets.picture_names import VideoPattern, describe, find_videos


def found(names: list[str], pattern: str = "name") -> dict[str, list[str]]:
    videos = find_videos(names, pattern, default="set")
    return {video.name: [names[place] for place in video.pictures] for video in videos}


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("cam1_000123.jpg", "cam1"),
        ("cam1-frame-12.png", "cam1"),
        ("000123_left.png", "left"),
        ("cam1/frame_12.jpg", "cam1"),
        ("images/train/cam1/img1/000012.jpg", "cam1"),
        ("cam1_mp4-12_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg", "cam1"),
        ("MOT16-02_000001.jpg", "MOT16-02"),
        ("20240101_120000.jpg", "20240101"),
        ("a/b/7.jpg", "a_b"),
        ("000012.jpg", "set"),
        ("frame12.jpg", "set"),
        ("poster.jpg", "poster"),
        ("0f3a5b7c9d1e2f4a6b8c.jpg", "0f3a5b7c9d1e2f4a6b8c"),
    ],
)
def test_names(name, video):
    assert list(found([name])) == [video]


def test_frames_are_in_the_order_of_their_numbers():
    assert found(["a_10.jpg", "b_1.jpg", "a_2.jpg"]) == {
        "a": ["a_2.jpg", "a_10.jpg"],
        "b": ["b_1.jpg"],
    }


def test_a_video_that_a_split_tore_apart_is_one():
    names = ["train/cam_1.jpg", "val/cam_2.jpg", "train/cam_3.jpg"]
    assert found(names) == {"cam": ["train/cam_1.jpg", "val/cam_2.jpg", "train/cam_3.jpg"]}


def test_the_same_numbers_in_two_splits_are_two_videos():
    names = ["train/1.jpg", "train/2.jpg", "val/1.jpg"]
    assert found(names) == {"train": names[:2], "val": names[2:]}


def test_copies_of_a_frame_stay_in_its_video_and_are_counted():
    names = [f"cam_mp4-{n}_jpg.rf.{h}{h}{h}.jpg" for n, h in ((1, "0a"), (1, "0b"), (2, "0c"))]
    videos = find_videos(names, default="set")
    assert [video.name for video in videos] == ["cam"]
    assert videos[0].frames == (1, 1, 2)
    assert any("same video: 1" in note for note in describe(videos, "name"))


def test_folder_picture_and_pattern():
    names = ["a/x_1.jpg", "a/y_2.jpg", "b/z_3.jpg"]
    assert found(names, "folder") == {"a": names[:2], "b": names[2:]}
    assert list(found(names, "picture")) == ["a_x_1", "a_y_2", "b_z_3"]
    names = ["t7-camA.jpg", "t8-camB.jpg", "t10-camA.jpg", "other.jpg"]
    assert found(names, r"t(?P<frame>\d+)-(?P<video>\w+)\.") == {
        "camA": ["t7-camA.jpg", "t10-camA.jpg"],
        "camB": ["t8-camB.jpg"],
        "other": ["other.jpg"],
    }


def test_single_pictures_are_pointed_out():
    names = ["red.jpg", "green.jpg", "cam_1.jpg", "cam_2.jpg"]
    (first, second) = describe(find_videos(names, default="set"), "name")
    assert first == "3 videos in 4 pictures, found by the number at the end of their names"
    assert second.startswith("2 of the videos have one picture only")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?P<frame>[0-9]+)", "has no group"),
        ("(", "no regular expression"),
        ("(?P<video>(a+)+)$", "for ever"),
        ("(?P<video>(a|a)*)$", "for ever"),
        ("(?P<video>x)" + "a" * 200, "at most 200"),
    ],
)
def test_patterns_that_are_refused(pattern, why):
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(VideoPattern).validate_python(pattern)
