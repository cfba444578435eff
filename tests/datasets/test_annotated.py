"""Annotation folders as data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import picture
from vidseg import plugins
from vidseg.annotate.folder import AnnotationFolder
from vidseg.datasets.annotation_records import (
    Finish,
    ObjectRecord,
    PutKey,
    PutObject,
    PutRegion,
    RegionRecord,
    Span,
    VideoRecord,
)
from vidseg.datasets.base import labelled_frames
from vidseg.errors import DataError
from vidseg.media.image_folder import ImageSequence, list_images
from vidseg.types import Video

BOX, OTHER = (1.0, 2.0, 10.0, 12.0), (-4.0, 20.0, 20.0, 12.0)


def frames(folder: Path, count: int = 6, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(picture(index, seed=seed)).save(folder / f"{index:04d}.png")
    return folder


def annotate(root: Path, name: str, seed: int = 0) -> Path:
    images = ImageSequence(list_images(frames(root / "frames" / name, seed=seed)))
    record = VideoRecord(
        name=name,
        group="place",
        path=f"../frames/{name}",
        fingerprint=images.key,
        length=6,
        height=48,
        width=64,
        fps=5.0,
    )
    with AnnotationFolder.create(root / name, record) as opened:
        fills = [Span(first=1, boxes=[BOX, BOX], doubt=[0.5, None])]
        person = ObjectRecord(id=4, name="person", keys={0: BOX, 3: BOX}, fills=fills)
        opened.apply(PutObject(object=person))
        dog = ObjectRecord(id=7, name="dog", keys={1: OTHER, 5: OTHER})
        opened.apply(PutObject(object=dog))
        opened.apply(PutRegion(region=RegionRecord(id=0, box=OTHER, first=2, last=2)))
        opened.apply(Finish(frames=[(0, 2), (5, 5)]))
    return root / name


def only(spec: object) -> Video:
    (found,) = plugins.create("dataset", spec).videos()
    return found


def spec(path: Path, **params: object) -> dict[str, object]:
    return {"use": "annotated", "path": str(path), **params}


def test_finished_frames_are_the_truth(tmp_path: Path):
    video = only(spec(annotate(tmp_path, "a")))
    assert (video.name, video.group) == ("a", "place")
    assert video.probe() == (6, (48, 64), 5.0)
    assert list(labelled_frames(video)) == [0, 1, 2, 5]
    labels = video.labels(2)
    assert labels.boxes.tolist() == [list(BOX), list(OTHER)]
    assert labels.ids.tolist() == [4, -1]
    assert labels.ignored.tolist() == [False, True]
    assert video.truth.human(2).tolist() == [False, True]
    assert video.truth.human(0).tolist() == [True]
    assert video.truth.human(1).tolist() == [False, True]
    with pytest.raises(DataError, match="frame 4 is not labelled"):
        video.labels(4)
    assert (next(video.frames([3])) == picture(3)).all()


def test_what_is_missing_is_noted(tmp_path: Path):
    video = only(spec(annotate(tmp_path, "a")))
    notes = " ".join(video.truth.notes(video.probe()))
    assert "2 of 6 frames are not finished" in notes
    assert "1 frames between two boxes of an object are not filled in (objects 7)" in notes
    every = only(spec(tmp_path / "a", labelled="all"))
    assert list(labelled_frames(every)) == list(range(6))
    assert "3 frames between" in " ".join(every.truth.notes(every.probe()))


def test_names_decide_what_is_foreground(tmp_path: Path):
    folder = annotate(tmp_path, "a")
    found = only(spec(folder, classes="dog")).labels(1)
    assert found.ids.tolist() == [7]
    found = only(spec(folder, ignore_classes="dog")).labels(1)
    assert found.ignored.tolist() == [False, True]


def test_keys_are_of_content(tmp_path: Path):
    folder = annotate(tmp_path, "a")
    before = only(spec(folder))
    with AnnotationFolder(folder) as opened:
        opened.apply(PutKey(id=7, frame=4, box=BOX))
    assert only(spec(folder)).label_key == before.label_key  # frame 4 is not finished
    with AnnotationFolder(folder) as opened:
        opened.apply(PutKey(id=7, frame=2, box=BOX))
    after = only(spec(folder))
    assert after.label_key != before.label_key
    assert after.image_key == before.image_key
    moved = tmp_path / "elsewhere"
    (tmp_path / "frames").rename(moved)
    with pytest.raises(DataError, match="the annotated video a is not there"):
        only(spec(folder))
    again = only(spec(folder, video=str(moved / "a")))
    assert again.label_key == after.label_key


def test_another_video_is_refused(tmp_path: Path):
    folder = annotate(tmp_path, "a")
    other = frames(tmp_path / "other", seed=3)
    with pytest.raises(DataError, match="are not those that were annotated"):
        _ = only(spec(folder, video=str(other))).label_key
    short = frames(tmp_path / "short", count=5)
    with pytest.raises(DataError, match="the annotated video's frames: 6, now 5"):
        only(spec(folder, video=str(short))).probe()


def test_a_folder_of_annotations_is_one_data_set(tmp_path: Path):
    for seed, name in enumerate(("b2", "b10")):
        annotate(tmp_path, name, seed)
    found = plugins.create("dataset", spec(tmp_path)).videos()
    assert [video.name for video in found] == ["b2", "b10"]
    assert [v.name for v in plugins.create("dataset", spec(tmp_path, include="b1*")).videos()] == [
        "b10"
    ]
    with pytest.raises(DataError, match="one video cannot be that of 2 annotations"):
        plugins.create("dataset", spec(tmp_path, video=str(tmp_path)))


def test_a_video_of_another_data_set_is_found_again(tmp_path: Path):
    source = "synthetic:videos=2,frames=3,size=64x48"
    video = plugins.create("dataset", source).videos()[1]
    record = VideoRecord(
        name=video.name,
        group=video.group,
        dataset=source,
        fingerprint=video.image_key,
        length=3,
        height=48,
        width=64,
    )
    with AnnotationFolder.create(tmp_path / "s", record) as opened:
        opened.apply(Finish(frames=[(0, 2)]))
    found = only(spec(tmp_path / "s"))
    assert found.image_key == video.image_key
    assert (next(found.frames([1])) == next(video.frames([1]))).all()
    assert isinstance(found.label_key, str)
    assert np.asarray(found.labels(1).boxes).shape == (0, 4)


def test_folders_without_finished_frames_and_without_annotation_are_refused(tmp_path: Path):
    folder = annotate(tmp_path, "a")
    with AnnotationFolder(folder) as opened:
        opened.apply(Finish(frames=[(0, 5)], finished=False))
    with pytest.raises(DataError, match=r"no frame is marked as finished; mark .* labelled=all"):
        only(spec(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no annotation"):
        plugins.create("dataset", spec(tmp_path / "empty"))
