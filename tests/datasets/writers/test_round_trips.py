"""What is written in a format and read back has the same masks, where the format can hold them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.helpers.given import Given, GivenVideo, boxes, given, mask
from vidseg.datasets.base import Dataset, MaskLabels, labelled_frames
from vidseg.datasets.writers.convert import Conversion, convert
from vidseg.experiment.open import create_dataset
from vidseg.media.image_folder import ImageSequence
from vidseg.plugins import resolve_several
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size, Video
from vidseg.utils.progress import Quiet

SIZE = Size(9, 12)
BOTH = ("coco", "cvat", "yolo")
EIGHTHS = st.integers(-40, 120).map(lambda n: n / 8)
TENTHS = st.integers(-50, 150).map(lambda n: n / 10)
SIDES = st.one_of(EIGHTHS, TENTHS)
LENGTHS = st.one_of(
    st.integers(1, 80).map(lambda n: n / 8), st.integers(1, 90).map(lambda n: n / 10)
)
BOXES = st.lists(st.tuples(SIDES, SIDES, LENGTHS, LENGTHS), min_size=1, max_size=3)
MASKS = st.one_of(
    arrays.arrays(np.int8, tuple(SIZE), elements=st.sampled_from([-1, 0, 1])),
    arrays.arrays(np.int8, tuple(SIZE), elements=st.sampled_from([-1, 1]), fill=st.just(-1)),
)


def written(dataset: Dataset, form: str, folder: Path) -> tuple[Conversion, list[Video]]:
    """Return the conversion, and the videos that are read back."""
    done = convert(dataset, form, folder / "out", progress=Quiet())
    return done, list(create_dataset(resolve_several("dataset", done.spec)).videos())


def drawn(video: Video) -> dict[int, np.ndarray]:
    """Return the mask of each labelled frame."""
    return {index: drawn_of(video.labels(index)) for index in labelled_frames(video)}


def drawn_of(labels: Labels) -> np.ndarray:
    return rasterise(labels, labels.size)


def assert_same(video: Video, back: Video, *, without_ignored: bool = False) -> None:
    expected, found = drawn(video), drawn(back)
    assert list(found) == list(expected)
    for index, own in expected.items():
        if without_ignored:
            own[own == 0] = -1
        np.testing.assert_array_equal(found[index], own, err_msg=f"frame {index}")


@pytest.mark.parametrize("form", ["mot", "virat", "masks", *BOTH])
@given_by(frames=st.lists(BOXES, min_size=1, max_size=3))
@settings(max_examples=12, deadline=None)
def test_boxes_come_back(form, frames):
    frames = [[*rows, (1, 1, 3, 3)] for rows in frames]  # something in each frame
    source = given({index: boxes(SIZE, rows) for index, rows in enumerate(frames)})
    with tempfile.TemporaryDirectory() as folder:
        _, (back,) = written(source, form, Path(folder))
        assert_same(source.videos()[0], back)


@pytest.mark.parametrize("form", ["masks", *BOTH])
@given_by(frames=st.lists(MASKS, min_size=1, max_size=3))
@settings(max_examples=12, deadline=None)
def test_masks_come_back(form, frames):
    for values in frames:
        values[0, :2] = 1  # something in each frame
    source = given({index: mask(values) for index, values in enumerate(frames)})
    with tempfile.TemporaryDirectory() as folder:
        _, (back,) = written(source, form, Path(folder))
        assert_same(source.videos()[0], back, without_ignored=form == "yolo")


@pytest.mark.parametrize("form", ["mot", "coco", "cvat"])
def test_ignored_boxes_and_tracks_come_back(form, tmp_path):
    rows = [(1, 1, 4, 4), (6.5, 2, 3, 3)]
    truth = {
        0: boxes(SIZE, rows, ids=[7, 3], ignored=[False, True]),
        2: boxes(SIZE, rows, ids=[3, 7], ignored=[True, False]),
    }
    source = given(truth | {1: boxes(SIZE, rows[:1], ids=[7])})
    _, (back,) = written(source, form, tmp_path)
    assert_same(source.videos()[0], back)
    tracks = [back.labels(index) for index in range(3)]
    seen = [dict(zip(one.ids.tolist(), one.ignored.tolist(), strict=True)) for one in tracks]
    assert {len(one) for one in seen} == {1, 2}
    if form != "cvat":  # which numbers tracks anew
        assert seen == [{7: False, 3: True}, {7: False}, {3: True, 7: False}]
    assert next(k for k, v in seen[0].items() if not v) in seen[1]


def test_tracks_of_virat_come_back_where_they_do_not_pause(tmp_path):
    row = (1, 1, 4, 4)
    truth = {
        0: boxes(SIZE, [row, (5, 5, 2, 2)], ids=[4, 9]),
        1: boxes(SIZE, [row], ids=[4]),
        2: boxes(SIZE, [(6, 5, 2, 2), row], ids=[9, 4]),
    }
    done, (back,) = written(given(truth), "virat", tmp_path)
    assert [back.labels(i).ids.tolist() for i in range(3)] == [[0, 1], [0], [0, 2]]
    assert "1 pause: ends a track, another number goes on" in done.losses
    assert back.name == "virat-walk"


@pytest.mark.parametrize("form", ["mot", "masks", "yolo"])
def test_frames_that_are_not_labelled_stay_so(form, tmp_path):
    truth = {index: boxes(SIZE, [(1, 1, 4, 4)]) for index in (1, 4, 5)}
    done, (back,) = written(given(truth, 8), form, tmp_path)
    assert (done.frames, done.labelled) == (8, 3)
    assert back.probe().length == 8
    assert list(back.labelled()) == [1, 4, 5]


def test_an_empty_frame_is_labelled_beside_frames_that_are_not(tmp_path):
    truth = {1: boxes(SIZE, [(1, 1, 4, 4)]), 2: boxes(SIZE, [])}
    for form in ("yolo", "masks"):
        folder = tmp_path / form
        folder.mkdir()
        _, (back,) = written(given(truth, 4), form, folder)
        assert list(back.labelled()) == [1, 2]
    done, (back,) = written(given(truth, 4), "mot", tmp_path)
    assert list(back.labelled()) == [1]
    assert any(line.startswith("1 frame: labelled as empty") for line in done.losses)


def test_coco_lists_labelled_frames_only(tmp_path):
    truth = {index: boxes(SIZE, [(1, 1, 4, 4)]) for index in (1, 4)}
    done, (back,) = written(given(truth, 6), "coco", tmp_path)
    assert back.probe().length == 2
    assert any(line.startswith("4 frames: not labelled and not listed") for line in done.losses)
    assert len(list((tmp_path / "out" / "images" / "walk").iterdir())) == 6


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        (["##..", "##..", "....", "...#"], [(0, 0, 2, 2, 0), (3, 3, 1, 1, 0)]),
        (["#...", ".#..", "....", "...."], [(0, 0, 2, 2, 0)]),  # corners connect
        (["#.??", "..??", "....", "...."], [(0, 0, 1, 1, 0), (2, 0, 2, 2, 1)]),
        (["####", "?..?", "?..?", "????"], [(0, 0, 4, 1, 0), (0, 1, 4, 3, 1)]),
        (["?..?", "?..?", "?##?", "????"], [(1, 2, 2, 1, 0), (0, 0, 4, 4, 1)]),
    ],
)
def test_a_mask_as_boxes(rows, left, tmp_path):
    done, (back,) = written(given({0: mask(rows)}), "mot", tmp_path)
    labels = back.labels(0)
    found = np.column_stack([labels.boxes[:, :2] - 1, labels.boxes[:, 2:], labels.ignored])
    assert found.tolist() == [list(map(float, box)) for box in left]
    assert "1 mask: boxes only, the shape is lost" in done.losses


def test_a_thin_ignored_region_is_no_box(tmp_path):
    rows = ["?????????", "?.......?", "?..##...?", "?.......?", "?.......?", "?????????"]
    done, (back,) = written(given({0: mask(rows)}), "mot", tmp_path)
    assert back.labels(0).ignored.tolist() == [False]
    line = "1 ignored region: fills less than half of its box and becomes background"
    assert line in done.losses


def test_boxes_beside_a_mask_are_taken(tmp_path):
    size = Size(4, 6)
    values = np.full(size, -1, np.int8)
    values[1:3, 1:5] = 1
    sides, ids = np.array([[1.0, 1, 2, 2], [3, 1, 2, 2]]), np.array([5, 6])
    labels = MaskLabels(size, values, sides, 0.0, ids, np.zeros(2, bool))
    _, (back,) = written(given({0: labels}), "mot", tmp_path)
    assert back.labels(0).ids.tolist() == [5, 6]
    assert (back.labels(0).boxes - [1, 1, 0, 0]).tolist() == sides.tolist()


def test_several_videos_come_back_under_their_names(tmp_path):
    truth = {0: boxes(SIZE, [(1, 1, 4, 4)])}
    names = ("a", "train/b", "übung 7", "50%")
    source = Given([GivenVideo(name, SIZE, 1, truth, name) for name in names])
    done, back = written(source, "masks", tmp_path)
    assert done.renamed == {"train/b": "train%2Fb", "50%": "50%25"}
    assert {video.name for video in back} == {"a", "train%2Fb", "übung 7", "50%25"}


SOURCES = {
    "mot:mot,include=TUD-Campus": ("mot", "virat", "masks", *BOTH),
    "mot:mot,include=KITTI-17": ("mot", "masks", "coco", "cvat"),
    "mot:mot17-mini/train": ("virat", "masks", "yolo"),
    "virat:virat-aerial": ("mot", "virat", "masks", *BOTH),
    "masks:persons-masks,void=128,include=SBI_CAVIAR2": ("masks", "coco", "cvat"),
    "masks:vehicles-masks,void=128,include=drift-chicane": ("masks", *BOTH),
    "clip:video/mmtracking_demo.mp4,truth=mot17-mini/train/MOT17-04-FRCNN/gt/gt.txt": (
        *("mot", "coco"),
    ),
}


@pytest.mark.real
@pytest.mark.parametrize(
    ("spec", "form"), [(spec, form) for spec, forms in SOURCES.items() for form in forms]
)
def test_real_samples_come_back(spec, form, samples, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDSEG_DATA", str(samples))
    videos = create_dataset(resolve_several("dataset", spec)).videos()[:3]
    source = Given([_First(video, 2) for video in videos])
    _, back = written(source, form, tmp_path)
    named = {video.name.removeprefix("virat-"): video for video in back}
    for video in source.videos():
        assert_same(video, named[video.name.removeprefix("virat-")])


class _First:
    """The first frames of a video; those in files are linked."""

    def __init__(self, video: Video, count: int) -> None:
        self.name, self.group = video.name, video.name
        self._video, self._count = video, min(count, video.probe().length)
        self.images = video.images
        if isinstance(video.images, ImageSequence):
            self.images = ImageSequence(video.images.files[: self._count])

    def probe(self):
        return self._video.probe()._replace(length=self._count)

    def frames(self, indices):
        return self._video.frames(indices)

    def labels(self, index, source="truth"):
        return self._video.labels(index, source)
