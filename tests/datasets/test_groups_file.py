"""A groups file decides which likely scenes are one; identical frames stay together even so."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._versions import mirrored
from tests.datasets.test_scenes import Clip, scene
from vidseg.datasets.groups_file import read_groups
from vidseg.datasets.scenes import check_scenes
from vidseg.errors import DataError, UsageError
from vidseg.experiment.open import open_dataset
from vidseg.plugins.spec import Spec
from vidseg.utils.progress import Quiet

NAMES = ("a", "b", "c")


def written(folder: Path, text: str) -> str:
    file = folder / "groups.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


@pytest.mark.parametrize("head", ["", "video,group\n", "\ufeffvideo,group\r\n", "\n"])
def test_rows_are_read(tmp_path, head: str):
    groups = read_groups(written(tmp_path, f'{head}a,x\n b , x\n"c","y, z"\n\n'), NAMES)
    assert groups == ({"a": "x", "b": "x", "c": "y, z"}, ())


def test_a_file_in_the_data_folder_is_found(tmp_path, monkeypatch):
    written(tmp_path, "a,x\n")
    monkeypatch.setenv("VIDSEG_DATA", str(tmp_path))
    monkeypatch.chdir(Path(__file__).parent)
    assert read_groups("groups.csv", ["a"]).by_video == {"a": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,x\n", "no group for b, c; add a row"),
        ("a,x\nb\nc,y\n", "row 2 is 'b', not video,group"),
        ("a,x\nb,\nc,y\n", "row 2 is 'b,'"),
        ("a,x\nb,y,z\nc,y\n", "row 2 .*in quotes"),
        ("a,x\nb,y\nc,y\na,y\n", "row 4: a is in group x and in y"),
        ('a,x\n"b,y\n', "cannot be read as CSV"),
        ("", "no group for a, b, c"),
    ],
)
def test_bad_files_are_refused_with_a_line(tmp_path, text: str, message: str):
    with pytest.raises(DataError, match=message):
        read_groups(written(tmp_path, text), NAMES)


def test_a_misspelt_video_is_named(tmp_path):
    with pytest.raises(DataError, match="no group for street1; did you mean 'street'"):
        read_groups(written(tmp_path, "a,x\nstreet,y\n"), ["a", "street1"])


def test_what_is_no_text_file_is_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "binary.csv", tmp_path / "absent.csv", tmp_path):
        with pytest.raises(DataError):
            read_groups(str(path), NAMES)
    with pytest.raises(UsageError):
        read_groups(" ", NAMES)


def test_a_name_that_is_no_video_is_noted(tmp_path):
    _, notes = read_groups(written(tmp_path, "a,x\nb,x\nc,x\nd,x\n"), NAMES)
    (note,) = notes
    assert note.endswith("there is no video d")


def test_a_file_keeps_likely_scenes_apart_and_merges_others():
    clips = [Clip("a", scene(0)), Clip("b", mirrored(scene(0))), Clip("c", scene(1))]
    assert check_scenes(clips).groups == {"a": "a", "b": "a", "c": "c"}
    groups = {"a": "x", "b": "y", "c": "y"}
    report = check_scenes(clips, groups=groups)
    assert report.groups == groups
    assert report.copies == report.likely == ()
    (note,) = report.notes
    assert "left in two groups, as the groups file says" in note


def test_identical_frames_stay_together():
    clips = [Clip("a", scene(0)), Clip("b", scene(0)[:3])]
    report = check_scenes(clips, groups={"a": "x", "b": "y"})
    assert report.groups == {"a": "x", "b": "x"}
    (line,) = report.copies
    assert "both are in group x" in line


def test_a_data_set_is_opened_with_a_file(tmp_path):
    spec = Spec("synthetic", None, {"videos": 3, "frames": 2, "size": "64x48"})
    path = written(tmp_path, "syn00,x\nsyn01,x\nsyn02,y\nsyn03,y\n")
    opened = open_dataset(spec, Quiet(), groups=path)
    assert opened.groups == {"syn00": "x", "syn01": "x", "syn02": "y"}
    assert any("there is no video syn03" in note for note in opened.notes)
