"""The VIRAT reader: folders, clips, first frames; malformed tracks; the real annotation."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.movies import plain_clip
from tests.helpers.trees import box, picture, truncate, virat_tree
from vidseg.datasets.virat import Virat
from vidseg.errors import DataError, UsageError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size

FRAMES = 6


def only(root: Path, **options):
    (video,) = Virat(str(root), **options).videos()
    return video


def test_first_frames_alone(tmp_path):
    data = Virat(str(virat_tree(tmp_path, ("21", "9"))))
    assert [v.name for v in data.videos()] == ["virat-9", "virat-21"]
    video = data.videos()[1]
    assert video.probe() == (1, Size(48, 64), None)
    labels = video.labels(0)
    assert isinstance(labels, Labels)
    assert labels.origin == 0
    np.testing.assert_array_equal(labels.boxes, [box(0)])
    assert "only the first frame of 2 sequences is used" in data.notes()
    with pytest.raises(DataError, match="no frame 1, only 0 to 0"):
        video.labels(1)


def test_folders_of_frames(tmp_path):
    video = only(virat_tree(tmp_path, ("7",), footage="folder"))
    assert video.probe() == (FRAMES, Size(48, 64), None)
    for index, frame in enumerate(video.frames(range(FRAMES))):
        np.testing.assert_array_equal(frame, picture(index))
    for index in range(FRAMES - 1):
        left, top, width, height = box(index)
        mask = rasterise(video.labels(index), Size(48, 64))
        assert (mask[top : top + height, left : left + width] == 1).all()
        assert (mask == 1).sum() == width * height
    assert len(video.labels(FRAMES - 1).boxes) == 0
    assert len(video.frame_hashes) == FRAMES
    assert only(tmp_path, first=False).image_key == video.image_key


def test_footage_elsewhere_and_the_choice_of_first_frames(tmp_path):
    virat_tree(tmp_path / "frames", ("7",), footage="folder")
    virat_tree(tmp_path / "truth", ("7",))
    assert only(tmp_path / "truth", frames=str(tmp_path / "frames")).probe().length == FRAMES
    lone = only(tmp_path / "truth", frames=str(tmp_path / "frames"), first=True)
    assert lone.probe().length == 1
    with pytest.raises(DataError, match="no frame of sequence 7; put the folder 7, a clip"):
        only(tmp_path / "frames", first=True)


def test_clips(tmp_path):
    virat_tree(tmp_path, ("7",))
    plain_clip(tmp_path / "7.mp4", map(picture, range(FRAMES)))
    video = only(tmp_path)
    assert video.probe() == (FRAMES, Size(48, 64), 25.0)
    for index, frame in enumerate(video.frames(range(FRAMES))):
        assert np.abs(frame.astype(int) - picture(index)).mean() < 8
    np.testing.assert_array_equal(video.labels(3).boxes, [box(3)])
    (tmp_path / "7").mkdir()
    with pytest.raises(DataError, match="sequence 7 is there twice"):
        only(tmp_path)


def test_footage_that_is_not_what_was_annotated(tmp_path):
    virat_tree(tmp_path, ("7",), footage="folder")
    for name in ("long", "short"):
        virat_tree(tmp_path / name, ("7",), frames=FRAMES + 2)
    data = Virat(str(tmp_path), frames=str(tmp_path))
    (tmp_path / "7" / f"{FRAMES:04d}.png").write_bytes((tmp_path / "7" / "0000.png").read_bytes())
    data = Virat(str(tmp_path))
    assert data.videos()[0].probe().length == FRAMES
    assert f"virat-7: {FRAMES + 1} frames are there, the first {FRAMES}" in data.notes()[0]
    with pytest.raises(DataError, match=f"annotated for {FRAMES + 2} frames, only {FRAMES + 1}"):
        only(tmp_path / "long", frames=str(tmp_path))
    plain_clip(tmp_path / "short" / "7.mp4", map(picture, range(FRAMES)))
    video = only(tmp_path / "short")
    with pytest.raises(DataError, match=f"virat-7: annotated for {FRAMES + 2} frames, the clip"):
        video.probe()


def test_public_sequences_are_grouped_and_others_are_not(tmp_path):
    names = ("21", "23", "51", "52", "99")
    lengths = {"21": 617, "23": 319, "51": 853, "52": 300}
    for name in names:
        virat_tree(tmp_path, (name,), frames=lengths.get(name, 5))
    groups = {v.name: v.group for v in Virat(str(tmp_path)).videos()}
    assert groups["virat-21"] == groups["virat-23"] == "hangar"
    assert groups["virat-51"] == "red-shed"
    assert groups["virat-52"] == "virat-52"  # another length: not the public sequence
    assert groups["virat-99"] == "virat-99"
    assert any("virat-52, virat-99" in note for note in Virat(str(tmp_path)).notes())
    places = {v.name: v.group for v in Virat(str(tmp_path), groups="place").videos()}
    assert places["virat-51"] == "yard"
    alone = Virat(str(tmp_path), groups="sequence")
    assert all(v.group == v.name for v in alone.videos())
    assert alone.notes() == ["only the first frame of 5 sequences is used"]


def test_sequences_by_name(tmp_path):
    virat_tree(tmp_path, ("9", "21", "23"))
    chosen = Virat(str(tmp_path), include=("virat-2?",), exclude=("virat-23",)).videos()
    assert [v.name for v in chosen] == ["virat-21"]
    with pytest.raises(UsageError, match="exclude=21 fits no sequence; there are virat-9, virat"):
        Virat(str(tmp_path), exclude=(21,))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("size.txt", "", r"size\.txt: holds 0 numbers, one is needed"),
        ("size.txt", "6\n7\n", r"size\.txt: holds 2 numbers"),
        ("size.txt", "many", r"size\.txt:1: not a number: 'many'"),
        ("size.txt", "0", r"size\.txt:1: 0 is no whole number from 1 on"),
        ("size.txt", "4", r"0\.txt:2: the track ends with frame 4, the last frame is 3"),
        ("nbtrack.txt", "2", r"1\.txt: no such track file; nbtrack\.txt announces 2 tracks"),
        ("nbtrack.txt", "0", r"0\.txt: one track file too many; nbtrack\.txt announces 0"),
        ("nbtrack.txt", "1.5", r"nbtrack\.txt:1: 1\.5 is no whole number"),
        ("0.txt", "", r"0\.txt: holds 0 lines"),
        ("0.txt", "0\n2\n1\n2\n3\n4\n", r"0\.txt:2: 4 lines follow, 2 frames need 8"),
        ("0.txt", "-1\n1\n1\n2\n3\n4\n", r"0\.txt:1: -1 is no whole number from 0 on"),
        ("0.txt", "0\n0\n", r"0\.txt:2: 0 is no whole number from 1 on"),
        ("0.txt", "0\n1\n1\nx\n3\n4\n", r"0\.txt:4: not a number: 'x'"),
        ("0.txt", "0\n1\n1\nnan\n3\n4\n", r"0\.txt:4: the number is not finite"),
        ("0.txt", "0\n2\n1\n2\n3\n4\n1\n2\n3\n0\n", r"0\.txt:10: width and height"),
        ("0.txt", "0\n2\n1\n2\n3\n4\n1\n2\n-3\n1\n", r"0\.txt:9: width and height"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path, file, text, message):
    virat_tree(tmp_path, ("7",))
    (tmp_path / "7gt" / file).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        only(tmp_path)
    assert "\n" not in str(caught.value)


def test_windows_line_ends_and_a_sequence_without_anybody(tmp_path):
    root = virat_tree(tmp_path, ("7",))
    plain = only(root)
    for file in (root / "7gt").iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert only(root).label_key == plain.label_key
    (root / "7gt" / "0.txt").unlink()
    (root / "7gt" / "nbtrack.txt").write_text("0")
    assert only(root).labels(0).boxes.shape == (0, 4)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        Virat(str(tmp_path))
    (tmp_path / "readme").write_text("x")
    with pytest.raises(DataError, match="holds no VIRAT annotation"):
        Virat(str(tmp_path))
    virat_tree(tmp_path, ("7",))
    (tmp_path / "7gt" / "nbtrack.txt").unlink()
    with pytest.raises(DataError, match=r"nbtrack\.txt: no such file"):
        only(tmp_path)


def test_broken_frames_are_named(tmp_path):
    root = virat_tree(tmp_path, ("7",))
    truncate(root / "7.jpg")
    with pytest.raises(DataError, match=r"7\.jpg: is no complete image"):
        list(only(root).frames([0]))
    virat_tree(tmp_path / "full", ("7",), footage="folder")
    (tmp_path / "full" / "7" / "0002.png").unlink()
    with pytest.raises(DataError, match="frame 0002 missing"):
        only(tmp_path / "full")


def test_keys(tmp_path):
    full = only(virat_tree(tmp_path / "a", ("7",), footage="folder"))
    first = only(virat_tree(tmp_path / "b", ("7",)))
    virat_tree(tmp_path / "c", ("7",))
    track = tmp_path / "c" / "7gt" / "0.txt"
    lines = track.read_text().splitlines()
    lines[8] = "5"
    track.write_text("\n".join(lines))
    later = only(tmp_path / "c")
    assert full.image_key != first.image_key
    assert full.label_key != first.label_key
    # an edit of frame 1 is nothing to the one who uses frame 0 alone
    assert (later.image_key, later.label_key) == (first.image_key, first.label_key)


@pytest.mark.real
def test_real_annotation_equals_a_plain_parse(samples: Path) -> None:
    videos = Virat(str(samples / "virat-aerial")).videos()
    assert len(videos) == 21
    assert sum(len(set(video.truth.boxes.ids.tolist())) for video in videos) == 122
    boxes = np.concatenate([video.truth.boxes.boxes for video in videos])
    assert len(boxes) == 44235
    assert np.median(boxes[:, 2:], axis=0).tolist() == [13, 21]
    for video in videos:
        folder = samples / "virat-aerial" / f"{video.name.removeprefix('virat-')}gt"
        wanted: Counter[tuple[int, ...]] = Counter()
        for file in folder.glob("[0-9]*.txt"):
            start, _, *values = map(int, file.read_text().split())
            for at in range(0, len(values), 4):
                wanted[start + at // 4, int(file.stem), *values[at : at + 4]] += 1
        truth = video.truth.boxes
        found = zip(truth.frames.tolist(), truth.ids.tolist(), truth.boxes.tolist(), strict=True)
        assert Counter((f, i, *map(int, b)) for f, i, b in found) == wanted
        assert video.probe() == (1, Size(476, 702), None)


@pytest.mark.real
def test_real_groups_know_every_sequence(samples: Path) -> None:
    root = samples / "virat-aerial"
    scenes = {v.name: v.group for v in Virat(str(root)).videos()}
    places = {v.name: v.group for v in Virat(str(root), groups="place").videos()}
    assert scenes["virat-21"] == scenes["virat-23"]
    assert scenes["virat-51"] == scenes["virat-52"]
    assert len(set(scenes.values())) == 5
    assert len({(scenes[name], places[name]) for name in scenes}) == 5  # scenes lie within places
    shipped = Path(__file__).parents[2] / "vidseg/datasets/virat_groups.csv"
    with shipped.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {f"virat-{row['sequence']}" for row in rows} == set(scenes)
    for row in rows:
        assert (root / f"{row['sequence']}gt/size.txt").read_text().split() == [row["frames"]]
