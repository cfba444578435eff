"""The plugins through vidseg's loader, rasteriser and splits; and that they do not import it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidseg import plugins
from vidseg.errors import PluginError
from vidseg.experiment.splits import folds, resolve_split
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import FrameRef, Labels, Size

LEVELS = {"day": [200, 90, 91, 10, 92, 160], "night": [5, 5, 40]}
TABLE = "frame,left,top,width,height,id,ignore\n0,2,3,4,5,7,0\n0,0,0,2,2,8,1\n2,-5,-5,9,9,7,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two videos of 24 x 16 pixels; the brightness of each frame is known."""
    for name, levels in LEVELS.items():
        frames = tmp_path / "frames" / name
        frames.mkdir(parents=True)
        for index, level in enumerate(levels):
            Image.new("RGB", (24, 16), (level,) * 3).save(frames / f"{index:03d}.png")
        (tmp_path / f"{name}.csv").write_text(TABLE)
    return tmp_path


@dataclass(frozen=True)
class Context:
    """What a run offers to a sampler, without a run."""

    seed: int = 0

    def labelled(self, video):
        return range(video.probe().length)

    def image(self, video, index):
        return next(video.frames([index]))

    def ref(self, video, index, variant=None):
        return FrameRef(video.name, index, variant)


def test_both_are_listed_and_sound():
    for kind, name in (("dataset", "csv-boxes"), ("sampler", "brightness")):
        plugin = plugins.find(kind, name)
        assert plugin.package == "vidseg-example"
        assert plugins.check(plugin) == ""
        assert plugins.summary(plugin)
        assert all(parameter.doc for parameter in plugins.describe(plugin)[1])


def test_neither_imports_vidseg():
    code = "import sys, vidseg_example.csv_boxes, vidseg_example.brightness\n"
    code += "sys.exit('vidseg' in sys.modules)"
    source = Path(__file__).parent.parent / "src"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True)


def test_boxes_become_masks_by_the_rule_of_vidseg(folder):
    dataset = plugins.create("dataset", f"csv-boxes:{folder}")
    day, night = dataset.videos()
    assert (dataset.name, day.name, night.group) == (folder.name, "day", "night")
    assert day.probe() == (6, Size(16, 24), None)
    labels = day.labels(0)
    assert isinstance(labels, Labels)
    mask = rasterise(labels, Size(16, 24))
    expected = np.full((16, 24), -1)
    expected[:2, :2] = 0
    expected[3:8, 2:6] = 1
    np.testing.assert_array_equal(mask, expected)
    assert (rasterise(day.labels(1), Size(16, 24)) == -1).all()
    # a box may reach over the border
    assert (rasterise(day.labels(2), Size(16, 24)) == 1).sum() == 4 * 4
    assert labels.ids.tolist() == [7, 8]
    with pytest.raises(ValueError, match="no labels 'tracked'"):
        day.labels(0, "tracked")


def test_frames_and_keys_are_those_of_the_content(folder):
    day, night = plugins.create("dataset", f"csv-boxes:{folder}").videos()
    assert [frame[0, 0, 0] for frame in day.frames([1, 3])] == [90, 10]
    assert day.image_key != night.image_key
    assert day.label_key == night.label_key
    (folder / "day.csv").write_text("frame,left,top,width,height\n")
    again = plugins.create("dataset", f"csv-boxes:{folder}").videos()[0]
    assert again.image_key == day.image_key
    assert again.label_key != day.label_key
    assert len(again.labels(0).boxes) == 0


def test_the_groups_can_be_split(folder):
    videos = plugins.create("dataset", f"csv-boxes:{folder}").videos()
    groups = {video.name: video.group for video in videos}
    plan = folds(resolve_split("leave-one-group-out"), groups, seed=0)
    assert [(fold.train, fold.test) for fold in plan] == [
        (("night",), ("day",)),
        (("day",), ("night",)),
    ]


@pytest.mark.parametrize(
    ("spec", "day", "night"),
    [
        ("brightness:1", [3], [0]),
        ("brightness:n=2", [0, 3], [0, 2]),
        ("brightness:n=3", [0, 3, 4], [0, 1, 2]),
        ("brightness", [0, 1, 2, 3, 4, 5], [0, 1, 2]),
        ("brightness:n=2,step=2", [0, 2], [0, 2]),
    ],
)
def test_brightness_takes_the_extremes_first(folder, spec, day, night):
    videos = plugins.create("dataset", f"csv-boxes:{folder}").videos()
    refs = plugins.create("sampler", spec).sample(videos, Context())
    assert refs == [FrameRef("day", i) for i in day] + [FrameRef("night", i) for i in night]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("frame,left,top\n", "has no column width, height"),
        ("frame,left,top,width,height\n0,1,2,3\n", r"day\.csv:2: a number is missing"),
        ("frame,left,top,width,height\n0,1,2,x,4\n", r"day\.csv:2: a number is missing"),
        ("frame,left,top,width,height\n0,1,1,1,1\n6,1,2,3,4\n", r"day\.csv:3: there is no frame 6"),
        ("frame,left,top,width,height\n0,1,2,-3,4\n", "negative side"),
        ("frame,left,top,width,height\n0,1,2,nan,4\n", "not finite"),
    ],
)
def test_tables_that_are_wrong_are_named_with_their_line(folder, text, reason):
    (folder / "day.csv").write_text(text)
    video = plugins.create("dataset", f"csv-boxes:{folder}").videos()[0]
    with pytest.raises(ValueError, match=reason):
        video.labels(0)


def test_folders_that_are_wrong_are_named(folder, tmp_path_factory):
    with pytest.raises(PluginError, match=r"vidseg-example 0\.1\.0 fails.*holds no folder"):
        plugins.create("dataset", "csv-boxes:/nowhere")
    (folder / "frames" / "dusk").mkdir()
    with pytest.raises(ValueError, match="dusk holds no image"):
        plugins.create("dataset", f"csv-boxes:{folder}").videos()
    (folder / "frames" / "dusk").rmdir()
    (folder / "day.csv").unlink()
    with pytest.raises(ValueError, match=r"day\.csv is missing"):
        plugins.create("dataset", f"csv-boxes:{folder}").videos()
    empty = tmp_path_factory.mktemp("empty")
    (empty / "frames").mkdir()
    with pytest.raises(ValueError, match="holds no folder"):
        plugins.create("dataset", f"csv-boxes:{empty}").videos()
    with pytest.raises(PluginError, match="n=0 is refused"):
        plugins.create("sampler", "brightness:n=0")
