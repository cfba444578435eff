"""The check of a data set finds every planted fault, and nothing where nothing is planted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.movies import plain_clip
from tests.helpers.trees import (
    davis_tree,
    mask_tree,
    mot_rows,
    mot_sequence,
    picture,
    truncate,
    virat_tree,
)
from vidseg import plugins
from vidseg.datasets.base import BoxLabels
from vidseg.datasets.checks import SHOWN, Examined, examine, overview_size
from vidseg.datasets.synthetic import Synthetic
from vidseg.types import Size, VideoInfo


def look(spec: str) -> Examined:
    return examine(plugins.create("dataset", spec))


def faults(spec: str) -> list[str]:
    return [f"{each.video}: {each.text}" for each in look(spec).findings if each.wrong]


def test_nothing_is_wrong_with_good_data(tmp_path):
    for seed, name in enumerate(("MOT16-02", "MOT16-09")):
        mot_sequence(tmp_path / "mot", name, seed=seed)
    davis_tree(tmp_path / "davis")
    virat_tree(tmp_path / "virat", footage="folder")
    for spec, videos, frames in (("mot", 2, 10), ("masks:davis", 2, 8), ("virat", 2, 12)):
        kind, _, folder = spec.partition(":")
        result = look(f"{kind}:{tmp_path / (folder or kind)}")
        assert not [each for each in result.findings if each.wrong]
        assert (result.videos, result.frames) == (videos, frames)


def test_every_broken_frame_and_mask_is_told(tmp_path):
    davis_tree(tmp_path, ("bear", "camel"), frames=8)
    for index in (2, 5):
        truncate(tmp_path / "JPEGImages/480p/bear" / f"{index:05d}.jpg")
    truncate(tmp_path / "Annotations/480p/bear/00003.png")
    Image.fromarray(picture(0, (32, 48))).save(tmp_path / "JPEGImages/480p/camel/00007.jpg")
    found = faults(f"masks:{tmp_path}")
    assert len(found) == 4
    for text, parts in zip(
        found,
        (
            ("bear: frame 2", "00002.jpg: is no complete image"),
            ("bear: frame 5", "00005.jpg: is no complete image"),
            ("bear: frame 3", "00003.png: is no complete image"),
            ("camel: frame 7", "00007.jpg: is 32x48, the first frame is 64x48"),
        ),
        strict=True,
    ):
        assert all(part in text for part in parts), text
    assert look(f"masks:{tmp_path}").frames == 16 - 3


def test_videos_that_do_not_open_hide_nothing_of_the_others(tmp_path):
    mot_sequence(tmp_path, "A", truth=False)
    mot_sequence(tmp_path, "B", rows=mot_rows(7))
    (mot_sequence(tmp_path, "C") / "img1" / "000002.jpg").unlink()
    mot_sequence(tmp_path, "D", seq_length=600, rows=mot_rows(9), seed=4)
    (mot_sequence(tmp_path, "E", seed=5) / "gt" / "gt.txt").open("a").write("1,2,3\n")
    result = look(f"mot:{tmp_path}")
    found = " | ".join(each.text for each in result.findings if each.wrong)
    for part in (
        "gt.txt: no ground truth",
        "gt.txt:6: label for frame 6, but only 5 frames exist",
        "frame 000002 missing",
        "seqLength says 600, 5 frames exist",
        "4 rows for 4 absent frames are dropped",
        "gt.txt:6: 3 columns",
    ):
        assert part in found
    assert result.videos == 5


def test_boxes_outside_and_over_the_border(tmp_path):
    tail = (1, 1, 1)
    rows = [
        (1, 1, 1, 1, 8, 8, *tail),
        (1, 2, -3, 5, 8, 8, *tail),  # over the border
        (2, 3, 65, 1, 8, 8, *tail),  # begins where the frame ends
        (3, 4, 64, 1, 8, 8, *tail),  # the last column
        (4, 5, 1, -8, 8, 8, *tail),  # ends one row above
        (4, 6, 1, -6, 8, 8, *tail),  # one row is seen
    ]
    mot_sequence(tmp_path, "A", rows=rows)
    result = look(f"mot:{tmp_path}")
    assert [each.text for each in result.findings if each.wrong] == [
        "frame 1: the box of track 3 (65, 1, 8, 8) lies outside of the 64x48 frame",
        "frame 3: the box of track 5 (1, -8, 8, 8) lies outside of the 64x48 frame",
    ]
    assert "3 of 6 boxes reach over the border" in " ".join(e.text for e in result.findings)


def test_many_faults_of_one_kind_are_counted(tmp_path):
    rows = [(1, i, 900, 1, 8, 8, 1, 1, 1) for i in range(30)]
    mot_sequence(tmp_path, "A", rows=rows)
    found = faults(f"mot:{tmp_path}")
    assert len(found) == SHOWN + 2
    assert found[-2] == "A: and 20 more like the last"
    assert "no video shows any foreground" in found[-1]


def test_one_scene_in_two_groups(tmp_path):
    mot_sequence(tmp_path, "A", size=(320, 240))
    shutil.copytree(tmp_path / "A", tmp_path / "B")
    mot_sequence(tmp_path, "C", seed=1, size=(320, 240))
    assert any("B shows the same pictures as A" in text for text in faults(f"mot:{tmp_path}"))
    textured = Synthetic(videos=1, frames=1, size="320x240").videos()[0]
    for file in (tmp_path / "A" / "img1").iterdir():
        Image.fromarray(next(textured.frames([0]))).save(file)
        Image.open(file).save(tmp_path / "B" / "img1" / file.name, quality=40)
    assert any("A (frame 0) and B (frame 0) show one place" in t for t in faults(f"mot:{tmp_path}"))
    shutil.rmtree(tmp_path / "B")
    assert faults(f"mot:{tmp_path}") == []


def test_detectors_of_one_sequence_are_no_fault(tmp_path):
    for name in ("MOT17-02-DPM", "MOT17-02-SDP"):
        mot_sequence(tmp_path, name)
    assert faults(f"mot:{tmp_path}") == []


def test_nobody_is_a_note(tmp_path):
    mask_tree(tmp_path, ("a", "b"))
    for file in (tmp_path / "masks" / "a").iterdir():
        Image.new("L", (64, 48)).save(file)
    result = look(f"masks:{tmp_path}")
    assert not [each for each in result.findings if each.wrong]
    assert any("shows no foreground" in each.text for each in result.findings)


def test_clips(tmp_path):
    for name in ("good", "cut", "long"):
        plain_clip(tmp_path / f"{name}.mp4", map(picture, range(5)))
        rows = mot_rows(9 if name == "long" else 5)
        text = "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows)
        (tmp_path / f"{name}.txt").write_text(text)
    truncate(tmp_path / "cut.mp4")
    plain_clip(tmp_path / "none.mp4", map(picture, range(5)))
    found = " | ".join(faults(f"clip:{tmp_path}"))
    for part in ("cut.mp4: is", "long.txt:9: label for frame 9", "no ground truth for none.mp4"):
        assert part in found
    assert "good" not in found


@dataclass(eq=False)
class Wild:
    """A plugin's video that keeps no promise."""

    name: str = "wild"
    group: str = "wild"
    image_key: str = "i"
    label_key: str = "l"
    images: list[np.ndarray] = field(default_factory=list)

    def probe(self) -> VideoInfo:
        return VideoInfo(4, Size(48, 64))

    def frames(self, indices):
        for index in indices:
            if index < 3:
                yield picture(index) if index != 1 else picture(index, (32, 48))

    def labels(self, index, source="truth"):
        boxes = np.array([[1.0, 1, 5, np.nan if index == 2 else 5]])
        return BoxLabels(Size(48, 64), boxes, ids=np.zeros(1, int), ignored=np.zeros(1, bool))


class WildSet:
    contract = 1
    name = "wild"

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def videos(self):
        return [Wild() for _ in range(self.count)]


def test_plugins_that_break_the_contract():
    texts = [each.text for each in examine(WildSet()).findings if each.wrong]
    assert "frame 1 is uint8 (48, 32, 3), not uint8 (48, 64, 3)" in texts
    assert "ends after 3 frames, 4 were found before" in texts
    assert any("frame 2" in text and "not finite" in text for text in texts)
    twice = [each.text for each in examine(WildSet(2)).findings if each.wrong]
    assert "two videos have this name" in twice


def test_overview_size_keeps_the_shape_and_small_frames():
    assert overview_size(Size(1080, 1920)) == Size(180, 320)
    assert overview_size(Size(48, 64)) == Size(48, 64)
    assert overview_size(Size(10, 4000)) == Size(1, 320)


@pytest.mark.real
def test_real_samples_have_the_faults_that_are_known(samples: Path, tmp_path: Path) -> None:
    assert faults(f"mot:{samples}/mot,include=TUD-*") == []
    assert faults(f"virat:{samples}/virat-aerial") == []
    found = faults(f"mot:{samples}/mot17-mini")
    assert [text.partition(" seqLength says ")[2][:4] for text in found] == ["600,", "1050"]
    (tmp_path / "A").symlink_to(samples / "mot/MOT16-09-quarter")
    (tmp_path / "B").symlink_to(samples / "mot-duplicate/ADL-Rundle-6-quarter")
    (text,) = faults(f"mot:{tmp_path}")
    assert "B shows the same pictures as A (identical frame files: 60 of 60)" in text
