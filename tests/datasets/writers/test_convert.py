"""Conversions as a whole: whole or not at all, pictures, names, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from hypothesis import given as given_by
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.given import Given, GivenVideo, boxes, given, mask
from tests.helpers.trees import davis_tree, mot_sequence
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.datasets.several import Several
from vidseg.datasets.writers.convert import WRITERS, convert
from vidseg.datasets.writers.names import safe_name
from vidseg.errors import DataError, Stopped, UsageError
from vidseg.experiment.open import create_dataset, open_dataset
from vidseg.media.image_folder import decode
from vidseg.plugins import resolve
from vidseg.types import Size
from vidseg.utils.progress import Quiet

SIZE = Size(6, 8)
ONE = boxes(SIZE, [(1, 1, 3, 3)])


def done(dataset, form, output, **more):
    return convert(dataset, form, output, progress=Quiet(), **more)


@pytest.mark.parametrize("way", ["link", "copy"])
def test_pictures_are_linked_or_copied(way, tmp_path):
    folder = mot_sequence(tmp_path / "in", "A", frames=2)
    found = done(Mot(str(tmp_path / "in")), "masks", tmp_path / "out", images=way)
    first = tmp_path / "out" / "JPEGImages" / "A" / "00000.jpg"
    source = folder / "img1" / "000001.jpg"
    assert first.samefile(source) is (way == "link")
    assert first.read_bytes() == source.read_bytes()
    assert found.pictures == {"linked" if way == "link" else "copied": 2}


def test_a_file_system_without_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    mot_sequence(tmp_path / "in", "A", frames=2)
    monkeypatch.setattr(os, "link", refuse)
    found = done(Mot(str(tmp_path / "in")), "masks", tmp_path / "out")
    assert found.pictures == {"copied": 2}


def test_pictures_are_decoded_where_they_have_no_file_or_it_is_asked_for(tmp_path):
    source = given({0: ONE, 1: ONE})
    assert done(source, "mot", tmp_path / "a").pictures == {"written as PNG": 2}
    (own,) = source.videos()[0].frames([1])
    np.testing.assert_array_equal(decode(tmp_path / "a" / "walk" / "img1" / "000002.png"), own)
    how = done(source, "mot", tmp_path / "b", images="jpg").pictures
    assert how == {"written as JPEG, not exact": 2}
    mot_sequence(tmp_path / "in", "A", frames=2)
    done(Mot(str(tmp_path / "in")), "mot", tmp_path / "c", images="png")
    decoded = decode(tmp_path / "c" / "A" / "img1" / "000001.png")
    np.testing.assert_array_equal(decoded, decode(tmp_path / "in" / "A" / "img1" / "000001.jpg"))


def test_a_video_that_ends_early_is_refused(tmp_path):
    class Short(GivenVideo):
        def frames(self, indices):
            return super().frames(indices[:-1])

    with pytest.raises(DataError, match="ends after 1 frames, 2 were found"):
        done(Given([Short("walk", SIZE, 2, {0: ONE}, "walk")]), "mot", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [DataError("broken"), KeyboardInterrupt(), Stopped("stopped")])
def test_what_does_not_end_leaves_nothing(error, tmp_path):
    class Broken(GivenVideo):
        def labels(self, index, source="truth"):
            if index == 1:
                raise error
            return super().labels(index, source)

    videos = [GivenVideo("a", SIZE, 1, {0: ONE}), Broken("b", SIZE, 2, {0: ONE, 1: ONE})]
    (tmp_path / "out").mkdir()
    for form in WRITERS:
        with pytest.raises((DataError, Stopped)) as caught:
            done(Given(videos), form, tmp_path / "out")
        if not isinstance(error, DataError):
            assert "nothing was written" in str(caught.value)
        assert list(tmp_path.iterdir()) == [tmp_path / "out"]
        assert list((tmp_path / "out").iterdir()) == []


def test_an_empty_folder_is_filled_and_another_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    done(given({0: ONE}), "mot", tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is not empty"):
        done(given({0: ONE}), "mot", tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_inside_of_the_data_is_refused(tmp_path):
    mot_sequence(tmp_path / "mot", "A")
    davis_tree(tmp_path / "DAVIS")
    members = [Mot(str(tmp_path / "mot")), Masks(str(tmp_path / "DAVIS"))]
    for output in (tmp_path / "DAVIS" / "out", tmp_path / "mot" / "A" / "out"):
        with pytest.raises(UsageError, match="is inside of the data"):
            done(Several(members), "masks", output)
        assert not output.exists()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"form": "davis"}, "choose mot, virat, masks, cvat, coco, yolo"),
        ({"images": "symlink"}, "choose link, copy, png, jpg"),
        ({"label": " "}, "is no name of a class"),
        ({"output": "absent/out"}, "its folder is not there"),
        ({"output": "file"}, "is a file"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(more, text, tmp_path):
    (tmp_path / "file").touch()
    output = tmp_path / more.pop("output", "out")
    with pytest.raises(UsageError, match=text):
        done(given({0: ONE}), more.pop("form", "mot"), output, **more)


@pytest.mark.parametrize("form", ["mot", "virat", "coco", "yolo", "cvat"])
def test_nothing_left_is_refused(form, tmp_path):
    with pytest.raises(DataError, match=f"{form} can hold none of the labels"):
        done(given({0: boxes(SIZE, [])}), form, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_only_ignored_labels_are_nothing_for_yolo(tmp_path):
    only = boxes(SIZE, [(1, 1, 2, 2)], ignored=[True])
    with pytest.raises(DataError, match="1 ignored box: left out"):
        done(given({0: only}), "yolo", tmp_path / "out")


def test_mot_columns_say_what_is_ignored(tmp_path):
    both = boxes(SIZE, [(1, 1, 3, 3), (0.5, 0, 2.25, 2)], ids=[4, 8], ignored=[False, True])
    videos = [GivenVideo("a", SIZE, 1, {0: both}), GivenVideo("b", SIZE, 1, {0: ONE}, fps=12.5)]
    done(Given(videos), "mot", tmp_path / "x")
    rows = (tmp_path / "x" / "a" / "gt" / "gt.txt").read_text()
    assert rows == "1,4,2,2,3,3,1,-1,-1,-1\n1,8,1.5,1,2.25,2,0,-1,-1,-1\n"
    assert (tmp_path / "x" / "b" / "gt" / "gt.txt").read_text() == "1,0,2,2,3,3,1,-1,-1,-1\n"
    info = (tmp_path / "x" / "b" / "seqinfo.ini").read_text()
    assert "frameRate=12.5\nseqLength=1\nimWidth=8\nimHeight=6\nimExt=.png\n" in info
    done(Given(videos[1:]), "mot", tmp_path / "y")
    assert (tmp_path / "y" / "b" / "gt" / "gt.txt").read_text() == "1,0,2,2,3,3,1,1,1\n"


def test_boxes_without_a_track_get_numbers_of_their_own(tmp_path):
    truth = {0: boxes(SIZE, [(1, 1, 2, 2), (3, 3, 2, 2), (4, 4, 1, 1)], ids=[-1, 5, 5])}
    found = done(given(truth), "mot", tmp_path / "out")
    rows = (tmp_path / "out" / "walk" / "gt" / "gt.txt").read_text().splitlines()
    assert [int(row.split(",")[1]) for row in rows] == [6, 5, 7]
    assert "2 boxes: no track of its own: its row has an id that no other frame has" in found.losses


def test_yolo_boxes_are_cut_at_the_border(tmp_path):
    rows = [(-2, -2, 4, 4), (20, 1, 2, 2), (2, 1, 4, 3)]
    found = done(given({0: boxes(SIZE, rows)}), "yolo", tmp_path / "out", label="person")
    text = (tmp_path / "out" / "labels" / "walk" / "00000.txt").read_text()
    assert text.splitlines()[1] == "0 0.5 0.4166666666666667 0.5 0.5"
    assert "1 box: cut at the border of the frame" in found.losses
    assert "1 box: has no area in the frame and is left out" in found.losses
    content = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert content == {"path": ".", "train": "images", "val": "images", "names": {0: "person"}}


def test_coco_has_videos_tracks_and_crowds(tmp_path):
    both = boxes(SIZE, [(1, 1, 3, 3), (0, 0, 2, 2)], ids=[4, -1], ignored=[False, True])
    truth = {0: mask(["##......", "##..??..", *4 * ["........"]])}
    videos = [GivenVideo("a/b", SIZE, 2, {1: both}), GivenVideo("c", SIZE, 1, truth)]
    done(Given(videos), "coco", tmp_path / "out", label="person")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [one["file_name"] for one in content["images"]] == ["a%2Fb/00001.png", "c/00000.png"]
    assert [(one["video_id"], one["frame_id"]) for one in content["images"]] == [(1, 1), (2, 0)]
    found = content["annotations"]
    assert [one.get("track_id") for one in found] == [4, None, None, None]
    assert [one["iscrowd"] for one in found] == [0, 1, 0, 1]
    assert found[2]["bbox"] == [0, 0, 2, 2]
    assert found[2]["segmentation"]["size"] == [6, 8]
    assert content["categories"] == [{"id": 1, "name": "person"}]


def test_masks_look_like_masks_and_have_the_indices_of_davis(tmp_path):
    truth = {0: mask(["##......", "##..??..", *4 * ["........"]])}
    done(given(truth, 2), "masks", tmp_path / "out")
    files = sorted((tmp_path / "out" / "Annotations" / "walk").iterdir())
    assert [file.name for file in files] == ["00000.png"]
    with Image.open(files[0]) as picture:
        assert picture.mode == "P"
        assert np.unique(np.array(picture)).tolist() == [0, 1, 255]
        assert np.unique(np.array(picture.convert("L"))).tolist() == [0, 128, 255]


def test_groups_are_a_file_beside_the_videos(tmp_path):
    size = Size(48, 64)
    one = boxes(size, [(1, 1, 3, 3)])
    videos = [
        GivenVideo(name, size, 1, {0: one}, group, seed=seed)
        for seed, (name, group) in enumerate(("aa", "bc"))
    ]
    for form in WRITERS:
        found = done(Given(videos), form, tmp_path / form)
        back = open_dataset(resolve("dataset", found.spec), Quiet(), groups=str(found.groups))
        assert list(back.groups.values()) == ["a", "c"]
    assert done(Given(videos[:1]), "mot", tmp_path / "own").groups is None
    assert not (tmp_path / "own" / "groups.csv").exists()


def test_videos_without_labels_are_left_out(tmp_path):
    videos = [
        GivenVideo("none", SIZE, 2, {}),
        GivenVideo("empty", SIZE, 2, {0: boxes(SIZE, [])}, "empty"),
        GivenVideo("a", SIZE, 1, {0: ONE}, "a"),
    ]
    for form in WRITERS:
        found = done(Given(videos), form, tmp_path / form)
        names = {video.name for video in create_dataset([resolve("dataset", found.spec)]).videos()}
        assert found.losses[0] == "1 video: no frame is labelled, left out"
        lost = {"1 video: has no box, and is left out"} & set(found.losses)
        assert len(names) == (1 if lost else 2)
        assert bool(lost) is (form == "mot")
    with pytest.raises(DataError, match="no frame of any video is labelled"):
        done(Given(videos[:1]), "coco", tmp_path / "out")


@given_by(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_names_are_safe_and_reversible(name, other):
    safe = safe_name(name)
    assert unquote(safe) == name
    assert Path(safe).name == safe
    assert safe not in (".", "..")
    assert safe.isprintable()
    assert not set(safe) & set('/\\:*?"<>|\0')
    assert (safe == safe_name(other)) == (name == other)


@pytest.mark.parametrize("name", ["", "x" * 300, "é" * 150])
def test_names_that_no_folder_can_have_are_refused(name):
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        safe_name(name)


def test_two_videos_in_one_folder_are_refused(tmp_path):
    names = (("virat-1", "1", "virat"), ("Aa", "aA", "mot"))
    for first, second, form in names:
        videos = [GivenVideo(name, SIZE, 1, {0: ONE}) for name in (first, second)]
        with pytest.raises(DataError, match="two videos would be in one folder"):
            done(Given(videos), form, tmp_path / "out")
