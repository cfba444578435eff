"""COCO files: shapes, videos, where pictures are found, and files that contradict themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.helpers.label_trees import coco_annotation, coco_tree, save_picture
from tests.helpers.trees import box, mask_values
from vidseg.datasets._coco.annotations import check_memory
from vidseg.datasets.base import BoxLabels, ClassCount, MaskLabels
from vidseg.datasets.coco import Coco
from vidseg.errors import DataError, ResourceError, UsageError
from vidseg.types import Size


def corners(index: int) -> list[int]:
    left, top, w, h = box(index)
    return [left, top, left + w, top, left + w, top + h, left, top + h]


def compressed(index: int) -> dict[str, object]:
    rle = coco_mask.encode(np.asfortranarray(mask_values(index, value=1)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def plain(index: int) -> dict[str, object]:
    values = mask_values(index, value=1).ravel(order="F")
    changes = np.flatnonzero(np.diff(values, prepend=0))
    return {"size": [48, 64], "counts": np.diff([0, *changes, values.size]).tolist()}


def one_picture(tmp_path: Path, *annotations: dict[str, object], **options) -> Coco:
    file = coco_tree(tmp_path, {"cam": [2]}, changes={"annotations": list(annotations)})
    return Coco(str(file), **options)


def test_boxes_of_two_videos(tmp_path):
    file = coco_tree(tmp_path / "set")
    for path in (file, tmp_path / "set", tmp_path / "set" / "annotations"):
        data = Coco(str(path))
        assert data.name == "instances"
        assert [video.name for video in data.videos()] == ["cam1", "cam2"]
    video = data.videos()[1]
    assert video.probe() == (5, Size(48, 64), None)
    labels = video.labels(3)
    assert isinstance(labels, BoxLabels)
    assert labels.boxes.tolist() == [list(box(3))]
    assert data.classes() == [
        ClassCount("person", 1, 10, 10, "foreground"),
        ClassCount("car", 3, 0, 0, "foreground"),
    ]


@pytest.mark.parametrize("outline", [lambda i: [corners(i)], compressed, plain])
def test_outlines(tmp_path, outline):
    data = one_picture(tmp_path, coco_annotation(1, 1, 2, segmentation=outline(2)))
    labels = data.videos()[0].labels(0)
    assert isinstance(labels, MaskLabels)
    np.testing.assert_array_equal(labels.mask, np.where(mask_values(2) > 0, 1, -1))
    assert labels.boxes.tolist() == [list(box(2))]


def test_crowds_are_ignored_where_their_class_counts(tmp_path):
    crowd = coco_annotation(1, 1, 2, iscrowd=1, segmentation=plain(2))
    marked = coco_annotation(2, 1, 2, ignore=1, bbox=[0, 0, 4, 4])
    data = one_picture(tmp_path, crowd, marked)
    mask = data.videos()[0].labels(0).mask
    assert mask[mask_values(2) > 0].max() == 0
    assert mask[0, 0] == 0
    assert mask[40, 60] == -1
    other = one_picture(tmp_path, crowd, classes=("car",))
    assert len(other.videos()[0].labels(0).boxes) == 0


def test_classes(tmp_path):
    car = coco_annotation(2, 1, 3, category_id=3)
    data = one_picture(tmp_path, coco_annotation(1, 1, 2), car, classes=("car",))
    assert data.videos()[0].labels(0).boxes.tolist() == [list(box(3))]
    assert [one.use for one in data.classes()] == ["background", "foreground"]
    with pytest.raises(UsageError, match=r"no class 'cat'; did you mean 'car'\? .*person \(1\)"):
        one_picture(tmp_path, car, classes=("cat",)).videos()


def test_videos_that_the_file_names(tmp_path):
    images = [
        {"id": n, "file_name": f"cam1_{i:06d}.png", "video_id": 7, "frame_id": 9 - i}
        for n, i in ((1, 0), (2, 1), (3, 2))
    ]
    rows = [coco_annotation(n, n, n - 1, track_id=5) for n in (1, 2, 3)]
    changes = {"images": images, "annotations": rows, "videos": [{"id": 7, "name": "gate"}]}
    data = Coco(str(coco_tree(tmp_path, changes=changes)))
    (video,) = data.videos()
    assert video.name == "gate"
    assert [video.labels(i).boxes[0].tolist() for i in range(3)] == [
        list(box(i)) for i in (2, 1, 0)
    ]
    assert video.labels(0).ids.tolist() == [5]


def test_youtube_vis(tmp_path):
    names = [f"JPEGImages/a1/{5 * i:05d}.png" for i in range(3)]
    for index, name in enumerate(names):
        save_picture(tmp_path / name, index)
    content = {
        "videos": [{"id": 1, "file_names": names, "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": 4,
                "video_id": 1,
                "category_id": 1,
                "segmentations": [plain(0), None, compressed(2)],
                "bboxes": [list(box(0)), None, list(box(2))],
            }
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    data = Coco(str(tmp_path))
    (video,) = data.videos()
    assert video.name == "JPEGImages_a1"
    assert (video.labels(0).mask > 0).sum() == (mask_values(0) > 0).sum()
    assert video.labels(0).ids.tolist() == [4]
    assert len(video.labels(1).boxes) == 0
    assert (video.labels(2).mask > 0).sum() == (mask_values(2) > 0).sum()
    assert data.classes()[0][2:4] == (2, 2)


def test_pictures_without_annotations_show_nothing(tmp_path):
    file = coco_tree(tmp_path, {"a": range(4)})
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][:2]
    file.write_text(json.dumps(content))
    video = Coco(str(file)).videos()[0]
    assert list(video.labelled()) == [0, 1, 2, 3]
    assert len(video.labels(3).boxes) == 0
    assert list(Coco(str(file), labelled="rows").videos()[0].labelled()) == [0, 1]


@pytest.mark.parametrize(
    ("annotations", "folder"),
    [
        ("annotations/instances_val.json", "val"),
        ("annotations/instances_val.json", "images/val"),
        ("annotations/x.json", "images"),
        ("train/_annotations.coco.json", "train"),
        ("x.json", "."),
    ],
)
def test_places_of_the_pictures(tmp_path, annotations, folder):
    file = coco_tree(tmp_path / "made", {"a": range(2)})
    root = tmp_path / "set"
    (root / annotations).parent.mkdir(parents=True, exist_ok=True)
    file.rename(root / annotations)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for picture in (tmp_path / "made" / "images").iterdir():
        picture.rename(root / folder / picture.name)
    assert len(Coco(str(root)).videos()[0].labels(1).boxes) == 1


def test_pictures_elsewhere_and_absent(tmp_path):
    file = coco_tree(tmp_path / "set", {"a": range(3)})
    (tmp_path / "set" / "images").rename(tmp_path / "far")
    with pytest.raises(DataError, match=r"'a_000000.png' is not found \(looked in .*give images="):
        Coco(str(file)).videos()
    data = Coco(str(file), images=str(tmp_path / "far"))
    assert len(data.videos()) == 1
    (tmp_path / "far" / "a_000001.png").unlink()
    with pytest.raises(DataError, match=r"a_000001.png: instances.json labels it, but it is not"):
        Coco(str(file), images=str(tmp_path / "far")).videos()


@pytest.mark.parametrize(
    "name", ["../secret/a_1.png", "/etc/passwd", "C:\\a_1.png", "x/../../a.png"]
)
def test_paths_stay_inside(tmp_path, name):
    save_picture(tmp_path / "secret" / "a_1.png", 1)
    images = [{"id": 1, "file_name": name}]
    file = coco_tree(tmp_path / "set", {"cam": [2]}, changes={"images": images})
    for told in (None, str(tmp_path / "set" / "images")):
        with pytest.raises(DataError, match="lies outside of its folder"):
            Coco(str(file), images=told).videos()


def test_sizes(tmp_path):
    images = [
        {"id": 1, "file_name": "cam1_000000.png", "width": 640, "height": 480},
        {"id": 2, "file_name": "cam2_000000.png", "width": 64, "height": 48},
    ]
    file = coco_tree(tmp_path, changes={"images": images, "annotations": []})
    with pytest.raises(DataError, match="says that the frames are 640x480, they are 64x48"):
        Coco(str(file)).videos()[0].probe()
    images[1]["file_name"] = "cam1_000001.png"
    file = coco_tree(tmp_path, changes={"images": images, "annotations": []})
    with pytest.raises(DataError, match=r"cam1 have 2 sizes \(640x480, 64x48\).* pattern=picture"):
        Coco(str(file)).videos()
    assert len(Coco(str(file), pattern="picture").videos()) == 2


def test_what_is_left_out_is_counted(tmp_path):
    data = one_picture(
        tmp_path,
        coco_annotation(1, 1, 2),
        coco_annotation(1, 1, 3),
        coco_annotation(2, 1, 2, bbox=[1, 1, 0, 5]),
        coco_annotation(3, 1, 2, segmentation=[[1, 1, 2, 2]]),
        coco_annotation(4, 1, 2, segmentation=[[-90, 3, 9, 3, 9, 9]]),
    )
    notes = data.notes()
    for start in (
        "ids that stand at more than one annotation, all of which are used: 1",
        "annotations without outline and without a box of positive size are left out: 1",
        "annotations with polygons of two points count as their boxes: 1",
        "outlines that reach over the border of their picture are cut there: 1",
    ):
        assert any(note.startswith(start) for note in notes), (start, notes)
    assert len(data.videos()[0].labels(0).boxes) == 4


def test_categories_of_one_name(tmp_path):
    categories = [{"id": 1, "name": "person"}, {"id": 9, "name": "person"}]
    data = Coco(str(coco_tree(tmp_path, changes={"categories": categories})), classes=("person",))
    assert any("classes 1, 9 are all called 'person'" in note for note in data.notes())
    assert [one.use for one in data.classes()] == ["foreground", "foreground"]


IMAGE = {"id": 1, "file_name": "cam1_000000.png", "width": 64, "height": 48}
CHANGES = {
    "absent image": ({"annotations": [coco_annotation(1, 99, 0)]}, r"annotation 1 is of image 99"),
    "absent category": (
        {"annotations": [coco_annotation(1, 1, 0, category_id=8)] * 2},
        r"of category 8, which the file does not list \(and 1 more",
    ),
    "image twice": ({"images": [IMAGE, IMAGE]}, "two images have the id 1"),
    "name twice": ({"images": [IMAGE, IMAGE | {"id": 2}]}, "two images are called 'cam1_000000"),
    "category twice": (
        {"categories": [{"id": 1, "name": "a"}] * 2},
        "two categories have the id 1",
    ),
    "odd": (
        {"annotations": [coco_annotation(1, 1, 0, segmentation=[[1, 2, 3]])]},
        "annotation 1: a",
    ),
    "nan": ({"annotations": [coco_annotation(1, 1, 0, bbox=[1, 2, float("nan"), 4])]}, "no finite"),
    "text": ({"annotations": [coco_annotation(1, 1, 0, segmentation=[["a", "b"]])]}, "no finite"),
    "three": ({"annotations": [coco_annotation(1, 1, 0, bbox=[1, 2, 3])]}, "bbox has 3 numbers"),
    "kind": ({"annotations": [coco_annotation(1, 1, 0, segmentation="x")]}, "neither polygons nor"),
    "runs": (
        {"annotations": [coco_annotation(1, 1, 0, segmentation={"size": [9, 9], "counts": [3]})]},
        "do not fill the frame",
    ),
    "giant": (
        {
            "annotations": [
                coco_annotation(1, 1, 0, segmentation={"size": [9**9] * 2, "counts": ""})
            ]
        },
        "has the size",
    ),
    "panoptic": ({"annotations": [{"image_id": 1, "segments_info": []}]}, "is a panoptic file"),
    "none": ({"annotations": None}, "has no annotations; validation and test"),
    "no image": ({"images": [], "annotations": []}, "lists no picture"),
    "images": ({"images": 3}, "images is no list"),
    "no name": ({"images": [{"id": 1}]}, "has no file_name"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_files_that_are_refused(tmp_path, name):
    changes, why = CHANGES[name]
    with pytest.raises(DataError, match=why):
        Coco(str(coco_tree(tmp_path, {"cam1": [0]}, changes=changes))).videos()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[{}]", "is a list of results"),
        ('{"images": [', r"x.json:1:13: is no JSON"),
        ('{"a": 1}', "has no images"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_is_refused(tmp_path, text, why):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=why):
        Coco(str(tmp_path)).videos()


def test_a_mask_of_another_size_is_found_when_it_is_read(tmp_path):
    outline = {"size": [9, 9], "counts": [3, 78]}
    video = one_picture(tmp_path, coco_annotation(1, 1, 0, segmentation=outline)).videos()[0]
    with pytest.raises(DataError, match=r"cam, frame 0: the mask is 9x9, its frame is 64x48"):
        video.labels(0)


def test_a_file_that_does_not_fit_in_memory(tmp_path):
    with pytest.raises(
        ResourceError, match=r"has 1.00 GB and takes up to 10.0 GB .* 2.0 GB are free"
    ):
        check_memory(10**9, 2 * 10**9, tmp_path / "x.json")
    check_memory(10**9, 16 * 10**9, tmp_path / "x.json")


def test_several_files(tmp_path):
    coco_tree(tmp_path, {"a": [0]})
    (tmp_path / "annotations" / "b.json").write_text("{}")
    with pytest.raises(
        UsageError, match=r"annotations/b.json, annotations/instances.json; give one"
    ):
        Coco(str(tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no JSON file"):
        Coco(str(tmp_path / "none"))
