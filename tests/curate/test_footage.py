"""Unlabelled videos: which paths are videos, how they are called, what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.movies import plain_clip
from tests.helpers.trees import davis_tree, mot_sequence, picture
from vidseg.curate.footage import find_footage
from vidseg.errors import DataError, UsageError


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(picture(i)).save(folder / f"{i:04d}.png")
    return folder


def found(*paths: Path, fps: float | None = None) -> dict[str, Path]:
    videos, faults = find_footage(paths, fps)
    assert not faults
    return {video.name: video.path for video in videos}


def test_clips_and_folders_of_pictures_below_a_path(tmp_path: Path):
    plain_clip(tmp_path / "cam2.mp4", [picture(i) for i in range(3)])
    plain_clip(tmp_path / "cam2_mask.mp4", [picture(i) for i in range(3)])
    pictures(tmp_path / "day" / "yard")
    pictures(tmp_path / "day" / "gate" / "frames")
    pictures(tmp_path / ".thumbs")
    (tmp_path / "notes.txt").touch()
    assert found(tmp_path) == {
        "cam2": tmp_path / "cam2.mp4",
        "gate": tmp_path / "day" / "gate" / "frames",
        "yard": tmp_path / "day" / "yard",
    }
    assert [*found(tmp_path / "cam2_mask.mp4")] == ["cam2_mask"], "what is named itself is taken"


def test_labelled_layouts_give_their_frames_and_rates(tmp_path: Path):
    for name in ("A", "B"):
        mot_sequence(tmp_path / "train", name, frames=3)
    davis_tree(tmp_path / "DAVIS", frames=2)
    assert [*found(tmp_path / "train")] == ["A", "B"]
    assert [*found(tmp_path / "DAVIS")] == ["bear", "camel"]
    (video,), _ = find_footage([tmp_path / "train" / "A" / "img1"])
    assert video.name == "A"
    (tmp_path / "train" / "A" / "seqinfo.ini").write_text("[Sequence]\nframeRate=14\n")
    assert find_footage([tmp_path / "train" / "A"])[0][0].probe().fps == 14
    (tmp_path / "train" / "A" / "seqinfo.ini").write_text("frameRate of 14")
    assert find_footage([tmp_path / "train" / "A"], 5.0)[0][0].probe().fps == 5


def test_names_are_unique_and_each_video_is_there_once(tmp_path: Path):
    for place in ("a/cam", "b/cam", "c/a-cam"):
        pictures(tmp_path / place)
    assert [*found(tmp_path)] == ["a-cam", "b-cam", "a-cam-2"]
    assert len(found(tmp_path / "a", tmp_path / "a" / "cam", tmp_path)) == 3


def test_links_in_a_circle_end(tmp_path: Path):
    pictures(tmp_path / "a")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [*found(tmp_path)] == ["a"]


def test_what_is_no_footage(tmp_path: Path):
    folder = pictures(tmp_path / "a")
    with pytest.raises(DataError, match="no such file or folder"):
        find_footage([tmp_path / "b"])
    with pytest.raises(UsageError, match="is no clip; give its folder"):
        find_footage([folder / "0000.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds neither clips nor pictures"):
        find_footage([folder, tmp_path / "empty"])


def test_frames_have_places_and_no_labels(tmp_path: Path):
    folder = pictures(tmp_path / "a")
    clip = tmp_path / "b.mp4"
    plain_clip(clip, [picture(i) for i in range(3)])
    (a, b), _ = find_footage([folder, clip])
    assert a.place(2) == str(folder / "0002.png")
    assert b.place(2) == f"{clip}#2"
    assert b.file(2) == clip
    with pytest.raises(UsageError, match="video a: has no labels"):
        a.labels(0)


def test_a_name_that_breaks_a_list_is_refused(tmp_path: Path):
    pictures(tmp_path / "yard")
    pictures(tmp_path / "a\nb")
    videos, (fault,) = find_footage([tmp_path])
    assert [video.name for video in videos] == ["yard"]
    assert "a b: the name holds a line break" in str(fault)
