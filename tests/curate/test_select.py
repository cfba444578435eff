"""``vidseg.select`` on small clips and folders: what is chosen, written, and left out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image

import vidseg
from tests.helpers.movies import plain_clip
from tests.helpers.trees import mot_sequence, picture, truncate
from vidseg import plugins
from vidseg.curate.footage import Footage
from vidseg.errors import DataError, PluginError, UsageError
from vidseg.experiment.training import PreparedVideo, SamplingContext
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.store import Store
from vidseg.types import Size


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDSEG_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(folder: Path, count: int = 12, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(picture(i, seed=seed)).save(folder / f"{i:04d}.jpg")
    return folder


def clip(file: Path, count: int = 12, seed: int = 1) -> Path:
    return plain_clip(file, [picture(i, seed=seed) for i in range(count)])


def indices(done: vidseg.Selection) -> dict[str, list[int]]:
    return {video.name: [frame.index for frame in video.chosen] for video in done.videos}


def test_frames_of_each_video_with_places_and_times(place: Path):
    pictures(place / "in" / "yard")
    clip(place / "in" / "gate.mp4")
    done = vidseg.select("in", n=3, by="uniform")
    assert indices(done) == {"gate": [2, 6, 10], "yard": [2, 6, 10]}
    assert done.frames[1].place == "in/gate.mp4#6"
    assert done.frames[1].seconds == pytest.approx(6 / 25)
    assert done.frames[4].place == "in/yard/0006.jpg"
    assert done.frames[4].seconds is None
    assert not done.files
    assert [row["keep every"] for row in done.spacing_rows()] == [2, 5, 10]
    assert all(
        row["kept"] + row["near copies"] + row["others"] in range(9_999, 10_002)
        for row in done.spacing_rows()
    )
    assert [*done.to_pandas()["frame"]] == [2, 6, 10] * 2
    assert {path.name for path in place.iterdir()} == {"in", "store"}


@pytest.mark.parametrize("sampler", ["k-center:n=4", "frame-difference:n=4", "random:n=4"])
def test_the_samplers_choose_what_they_choose_in_experiments(place: Path, sampler: str):
    mot_sequence(place / "mot", "A", frames=14)
    done = vidseg.select("mot", by=sampler, threads=1, seed=3)
    (video,) = plugins.create("dataset", "mot:mot").videos()
    extractor = FrozenExtractor(plugins.create("extractor", "filters"), threads=1)
    prepared = PreparedVideo(video, "A", Store(place / "other"), Size(48, 64), None, extractor)
    refs = plugins.create("sampler", sampler).sample([video], SamplingContext({"A": prepared}, 3))
    assert indices(done) == {"A": [ref.index for ref in refs]}


def test_a_total_over_all_videos(place: Path):
    pictures(place / "long", 12)
    pictures(place / "short", 4, seed=5)
    even = vidseg.select(["long", "short"], by="uniform", total=4)
    assert indices(even) == {"long": [2, 6, 10], "short": [2]}
    far = vidseg.select(["long", "short"], total=5)
    assert len(far.frames) == 5
    assert all(indices(far).values()), "two scenes are further apart than frames of one"


def test_all_exports_are_written_at_once(place: Path):
    pictures(place / "in" / "yard: 1")
    clip(place / "in" / "gate.mp4")
    done = vidseg.select(
        "in", n=2, by="uniform", output="out", export=["list", "csv", "cvat", "yolo", "folder"]
    )
    names = [f"{video}_{i:06d}" for video in ("gate", "yard_1") for i in (3, 9)]
    suffixes = [".png", ".png", ".jpg", ".jpg"]
    files = [name + suffix for name, suffix in zip(names, suffixes, strict=True)]
    for folder in ("frames", "yolo/images", "cvat/images"):
        assert sorted(path.name for path in (place / "out" / folder).iterdir()) == files
    copied = (place / "out" / "frames" / files[2]).read_bytes()
    assert copied == (place / "in" / "yard: 1" / "0003.jpg").read_bytes()
    lines = done.files["list"].read_text().splitlines()
    assert lines == [frame.place for frame in done.frames]
    rows = list(csv.DictReader(done.files["csv"].open()))
    assert [row["picture"] for row in rows] == files
    assert [row["frame_from_1"] for row in rows] == ["4", "10", "4", "10"]
    assert [row["seconds"] for row in rows] == ["0.120", "0.360", "", ""]
    root = ElementTree.parse(place / "out" / "cvat" / "annotations.xml").getroot()
    assert [image.get("name") for image in root.iter("image")] == files
    assert {(i.get("width"), i.get("height")) for i in root.iter("image")} == {("64", "48")}
    data = yaml.safe_load((place / "out" / "yolo" / "data.yaml").read_text())
    assert (data["train"], data["names"]) == ("images", {0: "object"})
    assert not list((place / "out" / "yolo" / "labels").iterdir())
    said = json.loads(done.files["json"].read_text())
    assert [video["chosen"] for video in said["videos"]] == [[3, 9], [3, 9]]
    sheet = np.asarray(Image.open(done.files["sheet"]))
    assert sheet.shape[1] == 2 * 400 + 4


def test_an_output_that_holds_something_is_left_alone(place: Path):
    pictures(place / "in")
    (place / "out").mkdir()
    vidseg.select("in", n=2, by="uniform", output="out")
    before = sorted(place.rglob("out/*"))
    with pytest.raises(UsageError, match="out: is not empty"):
        vidseg.select("in", n=2, by="random", output="out")
    assert sorted(place.rglob("out/*")) == before


def test_a_failure_while_writing_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch):
    pictures(place / "in")
    monkeypatch.setattr(Footage, "frames", broken_after(1))
    with pytest.raises(DataError, match="gone"):
        vidseg.select("in", n=3, by="uniform", output="out", store=ready(place))
    assert {path.name for path in place.iterdir()} == {"in", "ready"}


def ready(place: Path) -> Path:
    """Return a store that holds the frames of ``in`` already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Footage, "frames", lambda self, indices: self.images.frames(indices))
        vidseg.select("in", n=1, by="uniform", store=place / "ready")
    return place / "ready"


def broken_after(count: int) -> Callable[..., Any]:
    def frames(self: Footage, wanted: list[int]) -> Any:
        yield from self.images.frames(wanted[:count])
        raise DataError("gone", where=self.name)

    return frames


def test_videos_that_break_are_named_and_the_others_are_kept(place: Path):
    pictures(place / "in" / "good")
    truncate(pictures(place / "in" / "bad") / "0007.jpg")
    truncate(clip(place / "in" / "cut.mp4"))
    done = vidseg.select("in", n=2, by="uniform", output="out")
    assert indices(done) == {"good": [3, 9]}
    assert [fault.split(":")[0] for fault in done.faults] == [
        "bad is left out",
        "cut is left out",
    ]
    assert "0007.jpg" in done.faults[0]
    assert json.loads(done.files["json"].read_text())["faults"] == list(done.faults)
    with pytest.raises(DataError, match=r"0007\.jpg"):
        vidseg.select("in/bad", n=2)


def test_one_scene_twice_is_said(place: Path):
    pictures(place / "a")
    pictures(place / "b")
    done = vidseg.select(["a", "b"], n=2, by="uniform")
    assert len(done.notes) == 1
    assert "b shows the same pictures as a" in done.notes[0]


def test_a_short_video_gives_what_it_has(place: Path):
    pictures(place / "a", 3)
    done = vidseg.select("a", n=5)
    assert indices(done) == {"a": [0, 1, 2]}
    assert done.notes == ["a has 3 frames, fewer than 5: all are taken"]


def test_per_second_needs_a_rate_and_is_told_it(place: Path):
    pictures(place / "a")
    with pytest.raises(DataError, match="frames per second, which are not known"):
        vidseg.select("a", by="per-second")
    assert indices(vidseg.select("a", by="per-second", fps=5)) == {"a": [0, 5, 10]}


def test_a_second_start_computes_nothing_again(place: Path, monkeypatch: pytest.MonkeyPatch):
    pictures(place / "a")
    clip(place / "b.mp4")
    seen: list[int] = []
    extract = FrozenExtractor.extract

    def counted(self: FrozenExtractor, image: Any) -> Any:
        seen.append(1)
        return extract(self, image)

    def stopping() -> None:
        if len(seen) >= 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(FrozenExtractor, "extract", counted)
    with monkeypatch.context() as patch:
        patch.setattr("vidseg.store.descriptors.check_stop", stopping)
        with pytest.raises(KeyboardInterrupt):
            vidseg.select(["a", "b.mp4"], n=3)
    assert len(seen) == 9
    first = vidseg.select(["a", "b.mp4"], n=3)
    assert len(seen) == 24 + 2, "the rest, and one frame a video that k-center asks for"
    assert indices(vidseg.select(["a", "b.mp4"], n=3)) == indices(first)
    assert len(seen) == 24 + 2


def test_a_learned_extractor_from_a_file(place: Path):
    from tests.docs.desk import save_squeezenet

    save_squeezenet(place / "weights.safetensors")
    pictures(place / "a")
    spec = "torchvision:squeezenet1_1,weights=weights.safetensors"
    done = vidseg.select("a", n=3, extractor=spec, image_size="96x64")
    assert len(indices(done)["a"]) == 3
    assert "squeezenet1_1" in done.extractor


def test_a_sampler_that_takes_what_is_not_there_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    pictures(place / "a", 4)
    monkeypatch.setattr("vidseg.samplers.uniform.Uniform.choose", lambda *_: [0, 4])
    with pytest.raises(PluginError, match=r"video a: the sampler plugin 'uniform' .*takes frame 4"):
        vidseg.select("a", by="uniform")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "n: 0 is refused"),
        ({"n": 2, "total": 3}, "exclude each other"),
        ({"like": "out", "n": 2}, "leave out by, n and total"),
        ({"export": "xml"}, "no export 'xml'; choose list, csv"),
        ({"by": "foreground-random"}, "chooses by labels"),
        ({"by": "k-centre"}, "k-center"),
        ({"image_size": "2x2"}, "out of range"),
    ],
)
def test_what_is_refused_before_any_work(place: Path, given: dict[str, Any], message: str):
    pictures(place / "a", 2)
    with pytest.raises(UsageError, match=message):
        vidseg.select("a", **given)
    assert not (place / "store").exists()
