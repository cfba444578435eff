"""CVAT's XML: tracks and keyframes, frame numbers, images, masks, and hostile files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.label_trees import (
    cvat_box,
    cvat_document,
    cvat_task,
    cvat_track,
    cvat_tree,
    save_picture,
)
from tests.helpers.movies import plain_clip
from tests.helpers.trees import box, picture
from vidseg.datasets.base import BoxLabels, ClassCount, MaskLabels
from vidseg.datasets.cvat import Cvat
from vidseg.errors import DataError, UsageError
from vidseg.types import Size


def one(tmp_path: Path, *parts: str, frames: int = 4, meta: str | None = None, **options) -> Cvat:
    text = cvat_document(cvat_task(frames) if meta is None else meta, *parts)
    return Cvat(str(cvat_tree(tmp_path, frames, text)), **options)


def boxes(data: Cvat) -> list[list[float] | None]:
    video = data.videos()[0]
    found = [video.labels(index).boxes for index in video.labelled()]
    return [own[0].tolist() if len(own) else None for own in found]


def test_a_track_that_cvat_filled_in(tmp_path):
    data = Cvat(str(cvat_tree(tmp_path / "gate")))
    (video,) = data.videos()
    assert video.name == "gate"
    assert video.probe() == (6, Size(48, 64), None)
    assert isinstance(video.labels(3), BoxLabels)
    assert boxes(data) == [list(box(index)) for index in range(6)]
    assert list(video.labelled()) == list(range(6))
    assert data.classes() == [
        ClassCount("person", 0, 6, 6, "foreground"),
        ClassCount("car", 1, 0, 0, "foreground"),
    ]


def test_keyframes_only(tmp_path):
    data = Cvat(str(cvat_tree(tmp_path)), keyframes_only=True)
    (video,) = data.videos()
    assert list(video.labelled()) == [0, 2, 4]
    assert any("3 of 6 frames are labelled" in note for note in data.notes())
    assert data.classes()[0].boxes == 3
    assert video.label_key != Cvat(str(tmp_path)).videos()[0].label_key


def test_outside_ends_a_track_until_it_is_back(tmp_path):
    shapes = [cvat_box(0, 0), cvat_box(1, 1), cvat_box(2, 1, outside=1), cvat_box(5, 5)]
    data = one(tmp_path, cvat_track(*shapes), frames=7)
    assert boxes(data) == [list(box(0)), list(box(1)), None, None, None, list(box(5)), None]


def test_keyframes_alone_are_interpolated_as_cvat_does(tmp_path):
    shapes = [cvat_box(0, 0), cvat_box(4, 4), cvat_box(6, 4, outside=1)]
    other = [cvat_box(2, 2)]
    data = one(tmp_path, cvat_track(*shapes), cvat_track(*other, number=1), frames=8)
    video = data.videos()[0]
    assert [len(video.labels(index).boxes) for index in range(8)] == [1, 1, 2, 2, 2, 2, 1, 1]
    assert [video.labels(i).boxes[0].tolist() for i in range(5)] == [list(box(i)) for i in range(5)]
    assert video.labels(7).boxes[0].tolist() == list(box(2))
    assert any("interpolated, as CVAT does: 9" in note for note in data.notes())


def test_a_dense_track_without_end_mark_ends_where_it_ends(tmp_path):
    data = one(tmp_path, cvat_track(cvat_box(0, 0), cvat_box(1, 1)))
    assert boxes(data) == [list(box(0)), list(box(1)), None, None]


def test_frame_numbers_of_the_source(tmp_path):
    """A task of every 5th frame from 10 on: pictures by number, by order, or all of the clip."""
    meta = cvat_task(3, step=5, start=10)
    track = cvat_track(*(cvat_box(10 + 5 * i, i) for i in range(3)))
    text = cvat_document(meta, track)
    ordered = cvat_tree(tmp_path / "ordered", 3, text)
    assert boxes(Cvat(str(ordered))) == [list(box(i)) for i in range(3)]
    assert "pictures are the task's frames in order" in Cvat(str(ordered)).notes()[-1]
    numbered = cvat_tree(tmp_path / "numbered", 0, text)
    for number in (0, 10, 15, 20, 25):
        save_picture(numbered / "images" / f"frame_{number:06d}.png", number)
    (video,) = Cvat(str(numbered)).videos()
    assert list(video.labelled()) == [1, 2, 3]
    assert boxes(Cvat(str(numbered))) == [list(box(i)) for i in range(3)]
    whole = cvat_tree(tmp_path / "whole", 0, text)
    plain_clip(whole / "gate.mp4", [picture(i) for i in range(22)])
    (video,) = Cvat(str(whole)).videos()
    assert list(video.labelled()) == [10, 15, 20]
    assert video.labels(15).boxes[0].tolist() == list(box(1))
    short = cvat_tree(tmp_path / "short", 2, text)
    with pytest.raises(DataError, match=r"holds 2 pictures, the task has 3 frames \(10 to 20"):
        Cvat(str(short)).videos()


def test_a_clip_that_is_too_short(tmp_path):
    text = cvat_document(cvat_task(9), cvat_track(*(cvat_box(i, i) for i in range(9))))
    root = cvat_tree(tmp_path, 0, text)
    plain_clip(root / "gate.mp4", [picture(i) for i in range(4)])
    with pytest.raises(DataError, match="gate: labels frame 8, the frames are 0 to 3"):
        Cvat(str(root)).videos()[0].probe()


def test_where_the_frames_are(tmp_path):
    text = cvat_document(cvat_task(4, "clips/gate.mp4"), cvat_track(cvat_box(0, 0)))
    root = cvat_tree(tmp_path / "a", 0, text)
    with pytest.raises(
        DataError, match=r"'clips/gate.mp4', are not found \(looked in .*images=CLIP"
    ):
        Cvat(str(root)).videos()
    for index in range(4):
        save_picture(tmp_path / "far" / "gate" / f"{index}.png", index)
    for told in ("far", "far/gate"):
        assert len(Cvat(str(root), images=str(tmp_path / told)).videos()[0].labels(0).boxes) == 1


def test_two_tasks_of_a_project(tmp_path):
    meta = cvat_task(2, "a.mp4", number=1) + cvat_task(2, "b.mp4", number=2)
    tracks = [cvat_track(cvat_box(0, n), more=f'task_id="{n}"') for n in (1, 2)]
    root = cvat_tree(
        tmp_path, 0, cvat_document(f"<project><tasks>{meta}</tasks></project>", *tracks)
    )
    for seed, name in enumerate("ab"):
        for index in range(2):
            save_picture(root / name / f"{index}.png", index, seed)
    videos = Cvat(str(root)).videos()
    assert [video.name for video in videos] == ["a", "b"]
    assert videos[1].labels(0).boxes.tolist() == [list(box(2))]


def test_a_folder_of_exports(tmp_path):
    for name in ("one", "two"):
        cvat_tree(tmp_path / name, 3)
    assert [video.name for video in Cvat(str(tmp_path)).videos()] == ["one", "two"]
    assert [v.name for v in Cvat(str(tmp_path), include=("two*",)).videos()] == ["two"]


POLYGON = '<polygon frame="0" points="2,3;12,3;12,9;2,9" z_order="0"/>'
ELLIPSE = '<ellipse frame="0" cx="20" cy="20" rx="8" ry="4" rotation="90"/>'
MASK = '<mask frame="0" left="3" top="2" width="3" height="2" rle="1, 2, 3"/>'


def mask_of(tmp_path, *shapes: str, **options) -> np.ndarray:
    labels = one(tmp_path, *shapes, **options).videos()[0].labels(0)
    assert isinstance(labels, MaskLabels)
    return labels.mask


def test_kinds_of_shapes(tmp_path):
    mask = mask_of(tmp_path / "polygon", cvat_track(POLYGON))
    assert (mask > 0).sum() == 60
    assert mask[3:9, 2:12].all()
    mask = mask_of(tmp_path / "ellipse", cvat_track(ELLIPSE))
    assert abs((mask > 0).sum() - np.pi * 32) < 10
    assert mask[27, 20] == 1, "turned by 90 degrees it is high"
    mask = mask_of(tmp_path / "mask", cvat_track(MASK))
    assert (mask[2, 3:6] > 0).tolist() == [False, True, True]
    assert (mask > 0).sum() == 2
    turned = cvat_box(0, 0).replace("z_order", 'rotation="90" z_order')
    mask = mask_of(tmp_path / "box", cvat_track(turned))
    left, _, width, height = box(0)
    inside = mask[:, : left + width + height] > 0
    assert inside.any(axis=0).sum() == min(height, left + (width + height) // 2)


def test_order_hides_what_is_below(tmp_path):
    car = POLYGON.replace("2,3;12,3", "2,6;12,6").replace('z_order="0"', 'z_order="1"')
    tracks = cvat_track(POLYGON), cvat_track(car, label="car", number=1)
    mask = mask_of(tmp_path, *tracks, classes=("person",))
    assert mask[4, 5] == 1
    assert mask[7, 5] == -1


def test_what_covers_no_area_is_counted(tmp_path):
    lines = '<polyline frame="0" points="1,1;2,2"/><points frame="1" points="1,1"/>'
    flat = '<box frame="2" xtl="3" ytl="3" xbr="3" ybr="9"/>'
    notes = one(tmp_path, cvat_track(lines + flat)).notes()
    assert any("polyline cover no area and are left out: 1" in note for note in notes)
    assert any("shapes without area are left out: 1" in note for note in notes)


def test_classes(tmp_path):
    tracks = cvat_track(cvat_box(0, 0)), cvat_track(cvat_box(0, 3), label="car", number=1)
    data = one(tmp_path, *tracks, classes=("car",))
    assert data.videos()[0].labels(0).boxes.tolist() == [list(box(3))]
    assert data.videos()[0].labels(0).ids.tolist() == [1]
    assert one(tmp_path, *tracks, ignore_classes=("car",)).videos()[0].labels(0).ignored.any()
    with pytest.raises(UsageError, match="no class 'cat'; did you mean 'car'"):
        one(tmp_path, *tracks, classes=("cat",)).videos()


def image(name: str, *shapes: str) -> str:
    return f'<image id="0" name="{name}" width="64" height="48">{"".join(shapes)}</image>'


def shape(index: int, label: str = "person") -> str:
    return cvat_box(0, index).replace("<box", f'<box label="{label}"')


def test_images(tmp_path):
    parts = [image(f"cam{c}_{i:03d}.png", shape(i)) for c in (1, 2) for i in (2, 0, 1)]
    parts.append(image("cam2_003.png"))
    root = cvat_tree(tmp_path, 0, cvat_document("", *parts))
    for camera in (1, 2):
        for index in range(4):
            save_picture(root / "images" / f"cam{camera}_{index:03d}.png", index, camera)
    data = Cvat(str(root))
    assert [video.name for video in data.videos()] == ["cam1", "cam2"]
    assert boxes(data) == [list(box(i)) for i in range(3)]
    assert list(data.videos()[1].labelled()) == [0, 1, 2, 3]
    assert list(Cvat(str(root), labelled="rows").videos()[1].labelled()) == [0, 1, 2]
    assert data.notes()[0].startswith("2 videos in 7 pictures")
    (root / "images" / "cam1_001.png").unlink()
    with pytest.raises(DataError, match=r"its picture 'cam1_001.png' is not found"):
        Cvat(str(root)).videos()


def test_images_of_a_clip(tmp_path):
    parts = [image(f"frame_{i:06d}", shape(i)) for i in (0, 3)]
    root = cvat_tree(tmp_path, 0, cvat_document(cvat_task(6), *parts))
    plain_clip(root / "gate.mp4", [picture(i) for i in range(6)])
    (video,) = Cvat(str(root)).videos()
    assert video.name == "gate"
    assert list(video.labelled()) == [0, 3]
    assert video.labels(3).boxes.tolist() == [list(box(3))]
    (root / "gate.mp4").unlink()
    for index in (0, 3):
        save_picture(root / "images" / f"frame_{index:06d}.PNG", index)
    (video,) = Cvat(str(root)).videos()
    assert video.probe().length == 2


@pytest.mark.parametrize("name", ["../../secret/a_1.png", "/etc/a_1.png", "C:\\a_1.png"])
def test_paths_stay_inside(tmp_path, name):
    save_picture(tmp_path / "secret" / "a_1.png", 1)
    root = cvat_tree(tmp_path / "in" / "set", 0, cvat_document("", image(name, shape(1))))
    with pytest.raises(DataError, match="lies outside of its folder"):
        Cvat(str(root)).videos()
    source = cvat_document(cvat_task(2, f"../../secret/{name}"), cvat_track(cvat_box(0, 0)))
    (root / "annotations.xml").write_text(source)
    with pytest.raises(DataError, match="are not found"):
        Cvat(str(root)).videos()


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "xx"><!ENTITY b "&a;&a;">]>'
    "<annotations><meta><task><name>&b;</name></task></meta></annotations>"
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotations>&a;</annotations>'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "declares a document type or entities"),
        (OUTSIDE, "declares a document type or entities"),
        ("<annotations>", "is no XML"),
        ("", "is no XML"),
        ("<svg/>", "is <svg>, no CVAT file"),
        ("<annotations/>", "neither tracks nor images"),
        ("<annotations>" + "<a>" * 5000 + "</a>" * 5000 + "</annotations>", "nested too deeply"),
        (cvat_document(cvat_task(10**8)), "is no frame number"),
        (cvat_document("", cvat_track(cvat_box(10**8, 0))), "is no frame number"),
        (cvat_document("", cvat_track(cvat_box(0, 0) * 2)), "track 0: has two shapes on frame 0"),
        (cvat_document("", cvat_track(cvat_box(0, 0), label="")), "has no label"),
        (
            cvat_document("", cvat_track('<box frame="0" xtl="a"/>')),
            "track 0, frame 0: xtl of a box is 'a', no number",
        ),
        (cvat_document("", cvat_track('<box frame="0.5"/>')), "frame 0.5 of a box is no frame"),
        (cvat_document("", cvat_track(POLYGON.replace("12,3", "12"))), "points of a polygon are"),
        (cvat_document("", cvat_track(MASK.replace("1, 2", "9"))), "do not fill its box"),
        (cvat_document("", cvat_track(MASK)), "does not say how large the frames are"),
        (
            cvat_document(cvat_task(4), cvat_track(MASK.replace('left="3"', 'left="62"'))),
            "a mask reaches out of the 64x48 frame",
        ),
        (
            cvat_document(cvat_task(4), cvat_track(cvat_box(7, 0))),
            "track 0 has a shape on frame 7, which is none of the task",
        ),
        (cvat_document(cvat_task(4, size=(640, 480)), cvat_track(cvat_box(0, 0))), "are 640x480"),
    ],
)
def test_files_that_are_refused(tmp_path, text, why):
    with pytest.raises(DataError, match=why):
        Cvat(str(cvat_tree(tmp_path, 4, text))).videos()[0].probe()


def test_a_folder_without_xml(tmp_path):
    with pytest.raises(DataError, match="holds no XML file"):
        Cvat(str(tmp_path))
