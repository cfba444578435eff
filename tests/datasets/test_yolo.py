"""YOLO folders: data.yaml and its splits, rows, label states, and paths that lead elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.label_trees import save_picture, yolo_polygon, yolo_row, yolo_tree
from tests.helpers.trees import box
from vidseg.datasets.base import BoxLabels, ClassCount, MaskLabels
from vidseg.datasets.checks import examine
from vidseg.datasets.yolo import Yolo
from vidseg.errors import BadRowsError, DataError, UsageError
from vidseg.types import Size


def test_boxes_of_two_videos(tmp_path):
    data = Yolo(str(yolo_tree(tmp_path / "road")))
    assert data.name == "road"
    assert [video.name for video in data.videos()] == ["cam1", "cam2"]
    video = data.videos()[1]
    assert video.probe() == (5, Size(48, 64), None)
    assert list(video.labelled()) == [0, 1, 2, 3, 4]
    labels = video.labels(3)
    assert isinstance(labels, BoxLabels)
    np.testing.assert_allclose(labels.boxes, [box(3)], atol=1e-3)
    assert data.classes() == [ClassCount("person", 0, 10, 10, "foreground")]


def test_polygons_are_masks(tmp_path):
    video = Yolo(str(yolo_tree(tmp_path, polygons=True))).videos()[0]
    labels = video.labels(2)
    assert isinstance(labels, MaskLabels)
    left, top, width, height = box(2)
    expected = np.full((48, 64), -1)
    expected[top : top + height, left : left + width] = 1
    np.testing.assert_array_equal(labels.mask, expected)


def test_classes_by_name_and_number(tmp_path):
    yolo_tree(tmp_path, {"cam": range(2)}, names=("person", "car", "crowd"))
    (tmp_path / "labels" / "train" / "cam_000001.txt").write_text(
        yolo_row(1) + yolo_row(0, 1) + yolo_row(0, 2)
    )

    def counted(**options) -> list[str]:
        data = Yolo(str(tmp_path), **options)
        labels = data.videos()[0].labels(1)
        assert len(labels.boxes) == sum(c.use != "background" for c in data.classes())
        return [f"{one.name} {one.boxes} {one.use}" for one in data.classes()]

    everything = ["person 2 foreground", "car 1 foreground", "crowd 1 foreground"]
    assert counted() == everything
    for wanted in (("person",), (0,), ("PERSON",)):
        assert counted(classes=wanted)[1:] == ["car 1 background", "crowd 1 background"]
    assert counted(ignore_classes=("crowd",))[2] == "crowd 1 ignored"
    assert counted(classes=("person", 1)) == [*everything[:2], "crowd 1 background"]
    with pytest.raises(
        UsageError, match=r"'persn'; did you mean 'person'\? there are person \(0\)"
    ):
        Yolo(str(tmp_path), classes=("persn",)).videos()
    with pytest.raises(UsageError, match="'car' is both foreground and ignored"):
        Yolo(str(tmp_path), classes=("car",), ignore_classes=(1,)).videos()


def test_names_that_clash_are_noted_and_stand_for_all(tmp_path):
    data = Yolo(str(yolo_tree(tmp_path, names=("cat", "cat", "dog"))), classes=("cat",))
    assert [one.use for one in data.classes()] == ["foreground", "foreground", "background"]
    assert any("classes 0, 1 are all called 'cat'" in note for note in data.notes())


SPLITS = {
    "folder": "train: images/train\nval: images/val",
    "list of folders": "train: [images/train, images/val]",
    "slashes": "train: ./images/train/\nval: images\\val",
    "roboflow": "train: ../images/train\nval: ../images/val",
    "absent machine": "path: /content/datasets/road\ntrain: images/train\nval: images/val",
    "absolute": "train: /home/me/road/images/train\nval: C:\\me\\images\\val",
    "datasets folder": "path: ../datasets/road\ntrain: images/train\nval: images/val",
    "list file": "train: train.txt",
}


@pytest.mark.parametrize("name", SPLITS)
def test_ways_to_name_the_pictures(tmp_path, name):
    root = tmp_path / "road"
    yolo_tree(root, {"cam": [0, 2, 4]}, split="train")
    yolo_tree(root, {"cam": [1, 3]}, split="val", yaml=SPLITS[name] + "\nnames: [person]\n")
    lines = [f"./images/train/cam_{n:06d}.png" for n in (0, 2)]
    lines += ["/old/place/road/images/train/cam_000004.png"]
    lines += [f"images/val/cam_{n:06d}.png" for n in (1, 3)]
    (root / "train.txt").write_text("\n".join(lines))
    for place in (root, root / "data.yaml"):
        (video,) = Yolo(str(place)).videos()
        assert video.name == "cam"
        np.testing.assert_allclose(
            [video.labels(i).boxes[0] for i in range(5)], [box(i) for i in range(5)], atol=1e-3
        )


def test_one_split(tmp_path):
    yolo_tree(tmp_path, {"a": range(3)}, split="train")
    text = "train: images/train\nval: images/val\nnames: [person]\n"
    yolo_tree(tmp_path, {"b": range(2)}, split="val", yaml=text)
    assert [v.name for v in Yolo(str(tmp_path), split="val").videos()] == ["b"]
    notes = Yolo(str(tmp_path)).notes()
    assert "pictures of train (3), val (2) are read together; split=val takes one" in notes
    with pytest.raises(UsageError, match="no split 'vall'; did you mean 'val'"):
        Yolo(str(tmp_path), split="vall")


def test_bare_folders(tmp_path):
    root = yolo_tree(tmp_path / "one", {"a": range(2)})
    (root / "data.yaml").unlink()
    data = Yolo(str(root))
    assert [one.name for one in data.classes()] == ["0"]
    (root / "classes.txt").write_text("person\ncar\n")
    assert [one.name for one in Yolo(str(root)).classes()] == ["person", "car"]
    beside = tmp_path / "beside"
    save_picture(beside / "x_1.png", 1)
    (beside / "x_1.txt").write_text(yolo_row(1))
    (beside / "classes.txt").write_text("person\n")
    assert len(Yolo(str(beside)).videos()[0].labels(0).boxes) == 1
    nested = tmp_path / "nested"
    save_picture(nested / "train" / "images" / "x_1.png", 1)
    (nested / "train" / "labels").mkdir()
    (nested / "train" / "labels" / "x_1.txt").write_text(yolo_row(1))
    assert len(Yolo(str(nested)).videos()[0].labels(0).boxes) == 1


def test_pictures_elsewhere(tmp_path):
    yolo_tree(tmp_path / "data", {"a": range(2)})
    (tmp_path / "lists").mkdir()
    (tmp_path / "data" / "data.yaml").rename(tmp_path / "lists" / "data.yaml")
    with pytest.raises(DataError, match=r"'images/train' is not there \(looked in .*give images="):
        Yolo(str(tmp_path / "lists"))
    data = Yolo(str(tmp_path / "lists"), images=str(tmp_path / "data"))
    assert len(data.videos()[0].labels(1).boxes) == 1


def test_pictures_without_label_file(tmp_path):
    yolo_tree(tmp_path, {"a": range(6)})
    for absent in (4, 5):
        (tmp_path / "labels" / "train" / f"a_{absent:06d}.txt").unlink()
    data = Yolo(str(tmp_path))
    assert len(data.videos()[0].labelled()) == 6
    assert "2 of 6 pictures have no label file and count as showing nothing" in data.notes()
    rows = Yolo(str(tmp_path), labelled="rows")
    assert list(rows.videos()[0].labelled()) == [0, 1, 2, 3]
    (tmp_path / "labels" / "train" / "a_000003.txt").write_text("")
    data = Yolo(str(tmp_path))
    assert list(data.videos()[0].labelled()) == [0, 1, 2, 3]
    assert len(data.videos()[0].labels(3).boxes) == 0
    assert any(
        "2 of 6 pictures have no label file and are not labelled (1 empty" in note
        for note in data.notes()
    )
    keys = {Yolo(str(tmp_path), labelled=rule).videos()[0].label_key for rule in ("all", "rows")}
    assert len(keys) == 2


def test_label_files_on_a_grid_are_a_question(tmp_path):
    yolo_tree(tmp_path, {"a": range(30)})
    for index in range(30):
        if index % 5:
            (tmp_path / "labels" / "train" / f"a_{index:06d}.txt").unlink()
    assert "labelled=every:5" in Yolo(str(tmp_path)).videos()[0].questions[0].hint
    assert list(Yolo(str(tmp_path), labelled="rows").videos()[0].labelled()) == [*range(0, 30, 5)]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("0 0.5 0.5 0.2", "4 columns"),
        ("0 0.5 0.5 0.2 0.2 0.9", "6 columns: a confidence or a track"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "8 columns"),
        ("0 320 240 64 48", "these are pixels"),
        ("0 0.5 0.5 0 0.2", "must be positive"),
        ("0 0.5 nan 0.2 0.2", "not finite"),
        ("person 0.5 0.5 0.2 0.2", "not a row of numbers"),
        ("1 0.5 0.5 0.2 0.2", "class 1 is not in names"),
        ("0.5 0.5 0.5 0.2 0.2", "no whole number"),
        ("-1 0.5 0.5 0.2 0.2", "no whole number"),
    ],
)
def test_rows_that_are_refused(tmp_path, row, why):
    yolo_tree(tmp_path)
    (tmp_path / "labels" / "train" / "cam1_000002.txt").write_text(f"{yolo_row(2)}{row}\n")
    data = Yolo(str(tmp_path))
    with pytest.raises(DataError, match=rf"cam1_000002.txt:2: .*{why}"):
        data.videos()
    assert [type(one) is DataError for one in data.survey()] == [True, False]


def test_all_bad_rows_of_a_video_are_listed(tmp_path):
    yolo_tree(tmp_path)
    labels = tmp_path / "labels" / "train"
    (labels / "cam1_000002.txt").write_text("0 .5 .5 .2\n0 .5 .5 .2 .2\n7 .5 .5 .2 .2\n")
    (labels / "cam1_000004.txt").write_text("0 nan 0 .1 .1\n")
    found = [one.text for one in examine(Yolo(str(tmp_path))).findings if one.wrong]
    assert [text.partition(".txt")[2][:3] for text in found] == [":1:", ":3:", ":1:"]
    with pytest.raises(BadRowsError, match=r"cam1_000002\.txt:1: 4 columns.* and 2 more faults;"):
        Yolo(str(tmp_path)).videos()


def test_poses_are_their_boxes(tmp_path):
    yolo_tree(tmp_path, {"a": range(1)})
    yaml = tmp_path / "data.yaml"
    yaml.write_text(yaml.read_text() + "kpt_shape: [2, 3]\n")
    label = tmp_path / "labels" / "train" / "a_000000.txt"
    label.write_text(f"{yolo_row(0).strip()} 0.1 0.1 2 0.2 0.2 1\n")
    assert isinstance(Yolo(str(tmp_path)).videos()[0].labels(0), BoxLabels)


def test_labels_over_the_border_are_counted(tmp_path):
    yolo_tree(tmp_path, {"a": range(2)})
    label = tmp_path / "labels" / "train" / "a_000000.txt"
    label.write_text("0 0.0 0.5 0.2 0.2\n0 -0.5 0.1 0.5 0.1 0.5 0.6\n" + yolo_polygon(0))
    data = Yolo(str(tmp_path))
    assert "polygons that reach over the border of their picture are cut there: 1" in data.notes()
    mask = data.videos()[0].labels(0).mask
    assert mask[24, 0] == 1


def test_labels_of_an_absent_picture(tmp_path):
    yolo_tree(tmp_path)
    (tmp_path / "images" / "train" / "cam1_000002.png").unlink()
    with pytest.raises(DataError, match=r"cam1_000002.txt: no picture for these labels"):
        Yolo(str(tmp_path)).videos()


def test_lists_that_name_an_absent_picture(tmp_path):
    yolo_tree(tmp_path, yaml="train: train.txt\nnames: [person]\n")
    (tmp_path / "train.txt").write_text("images/train/cam1_000000.png\nimages/train/gone.png\n")
    with pytest.raises(DataError, match=r"train.txt:2: no picture 'images/train/gone.png'"):
        Yolo(str(tmp_path)).videos()


@pytest.mark.parametrize("entry", ["../../secret", "/etc", "..", "images/../../secret"])
def test_paths_stay_inside(tmp_path, entry):
    save_picture(tmp_path / "secret" / "a_1.png", 1)
    root = tmp_path / "in" / "road"
    yolo_tree(root, yaml=f"path: {entry}\ntrain: {entry}\nval: list.txt\nnames: [person]\n")
    (root / "list.txt").write_text(f"{entry}/a_1.png\n")
    with pytest.raises(DataError, match=r"is not there|no picture"):
        Yolo(str(root)).videos()


def test_no_labels_at_all(tmp_path):
    save_picture(tmp_path / "images" / "a_1.png", 1)
    with pytest.raises(DataError, match=r"no picture has a label file; such as .*labels/a_1.txt"):
        Yolo(str(tmp_path)).videos()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        Yolo(str(tmp_path / "empty"))


BOMB = "a: &a [x, x]\n" + "".join(
    f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB + "train: images/train\nnames: *g\n", "has an alias"),
        ("? " + "[" * 400 + "\n", "nested too deeply"),
        ("train: images/train\nnames: [[a]]\n", "is no text"),
        ("train: images/train\nnames: 3\n", "neither a list nor a map"),
        ("names: [person]\n", "has no train, val or test"),
        ("train: [\n", "data.yaml"),
        ("- a\n", "has no train"),
        ("#" * (1 << 20) + "\n", "larger than 1 MB"),
    ],
)
def test_yaml_that_is_refused(tmp_path, text, why):
    yolo_tree(tmp_path, yaml=text)
    with pytest.raises((DataError, UsageError), match=why):
        Yolo(str(tmp_path))


def test_count_of_classes_that_contradicts_names(tmp_path):
    yolo_tree(tmp_path, yaml="train: images/train\nnc: 3\nnames: [person]\n")
    assert "nc says 3 classes, names has 1" in Yolo(str(tmp_path)).notes()


def test_pattern_and_selection(tmp_path):
    yolo_tree(tmp_path)
    data = Yolo(str(tmp_path), pattern="folder")
    assert len(data.videos()) == 1
    assert [v.name for v in Yolo(str(tmp_path), include=("cam2",)).videos()] == ["cam2"]
    assert Yolo(str(tmp_path), include=("cam2",)).classes()[0].boxes == 5


def test_a_key_of_its_content_only(tmp_path):
    keys = []
    for place in ("here", "there"):
        root: Path = yolo_tree(tmp_path / place)
        keys.append([(v.image_key, v.label_key) for v in Yolo(str(root)).videos()])
    assert keys[0] == keys[1]
    (root / "labels" / "train" / "cam1_000000.txt").write_text(yolo_row(1))
    changed = Yolo(str(root)).videos()
    assert changed[0].image_key == keys[0][0][0]
    assert changed[0].label_key != keys[0][0][1]
