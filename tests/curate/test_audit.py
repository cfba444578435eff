"""An audit finds what of a test split was seen in training, and writes a split without it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from benchmarks._versions import mirrored
from tests.datasets.test_scenes import scene
from vidseg.api.curate import audit
from vidseg.cli.main import vidseg
from vidseg.curate.audit.audit import worst_pairs
from vidseg.curate.audit.disjoint import scene_disjoint
from vidseg.curate.audit.given import read_split
from vidseg.curate.audit.leaks import Reason
from vidseg.datasets.synthetic import Synthetic
from vidseg.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDSEG_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("VIDSEG_LEDGER", str(tmp_path / "ledger"))


def yolo(root: Path, sides: dict[str, list[tuple[int, int]]]) -> Path:
    """Write a YOLO folder; ``sides`` has (video, frame) of each."""
    videos = Synthetic(videos=4, frames=8, size="96x64", figures=2, motion=1).videos()
    for side, frames in sides.items():
        for kind in ("images", "labels"):
            (root / kind / side).mkdir(parents=True)
        for video, frame in frames:
            name = f"cam{video}_{frame:03d}"
            (picture,) = videos[video].frames([frame])
            Image.fromarray(picture).save(root / "images" / side / f"{name}.png")
            rows = [
                f"0 {(x + w / 2) / 96:.4f} {(y + h / 2) / 64:.4f} {w / 96:.4f} {h / 64:.4f}\n"
                for x, y, w, h in videos[video].labels(frame).boxes
            ]
            (root / "labels" / side / f"{name}.txt").write_text("".join(rows))
    text = "train: images/train\nval: images/val\nnames: {0: person}\n"
    (root / "data.yaml").write_text(text)
    return root


def folder(root: Path, **pictures: np.ndarray) -> Path:
    root.mkdir(parents=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(root / f"{name}.png")
    return root


LEAKY = {
    "train": [(v, f) for v in range(3) for f in (0, 1, 2, 4, 5)],
    "val": [(v, f) for v in range(3) for f in (3,)] + [(3, 0)],
}


def test_neighbours_across_a_yolo_split_are_found(tmp_path):
    found = audit(yolo(tmp_path / "d", LEAKY))
    assert (found.pairs, found.scenes, len(found.found.videos)) == (3, 4, 4)
    assert {(leak.reason, leak.apart) for leak in found.found.leaks} == {(Reason.VIDEO, 1)}
    pictures = found.split.pictures
    assert all(pictures[leak.train].side == "train" for leak in found.found.leaks)
    assert all(pictures[leak.held].side == "val" for leak in found.found.leaks)
    assert "3 of 4 test pictures were seen in training (train)" in found.lines()


def test_a_distance_may_be_allowed(tmp_path):
    sides = {"train": [(0, 0), (1, 0)], "val": [(0, 2), (1, 7)]}
    root = yolo(tmp_path / "d", sides)
    assert audit(root).pairs == 2
    (leak,) = audit(root, near=3).found.leaks
    assert leak.apart == 2


def test_a_split_without_a_scene_on_two_sides_is_written_and_read(tmp_path):
    root = yolo(tmp_path / "d", LEAKY)
    found = audit(root / "data.yaml", write=tmp_path / "w")
    assert found.pairs == 3
    again = audit(tmp_path / "w" / "data.yaml", images=root)
    assert again.pairs == 0
    before = {picture.file.resolve() for picture in found.split.pictures}
    assert {picture.file.resolve() for picture in again.split.pictures} == before
    with pytest.raises(UsageError, match="not empty"):
        audit(root, write=tmp_path / "w")
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_a_written_split_is_not_taken_for_lists_beside_the_pictures(tmp_path):
    root = yolo(tmp_path / "d", LEAKY)
    for side in ("train", "val"):
        files = sorted((root / "images" / side).iterdir())
        (root / f"{side}.txt").write_text("".join(f"./images/{side}/{f.name}\n" for f in files))
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: {0: person}\n")
    assert audit(root, write=tmp_path / "w").pairs == 3
    assert audit(tmp_path / "w" / "data.yaml", images=root).pairs == 0
    content = yaml.safe_load((tmp_path / "w" / "data.yaml").read_text())
    assert Path(content["train"]).parent == tmp_path / "w"


def test_two_folders_with_a_mirrored_copy_and_an_identical_file(tmp_path):
    places = [scene(seed, 3) for seed in range(3)]
    train = folder(tmp_path / "A", street=places[0][0], yard=places[1][0])
    test = folder(tmp_path / "B", kitchen=mirrored(places[0])[2], hall=places[2][0])
    shutil.copy(train / "yard.png", test / "garden.png")
    found = audit([train, test])
    names = {found.split.pictures[leak.held].file.stem: leak.reason for leak in found.found.leaks}
    assert names == {"kitchen": Reason.PLACE, "garden": Reason.COPY}
    assert found.scenes == 3
    assert [leak.reason for leak in worst_pairs(found)] == [Reason.COPY, Reason.PLACE]
    again = audit(_written([train, test], tmp_path / "w"))
    assert again.pairs == 0


def _written(paths: list[Path], output: Path) -> list[Path]:
    found = audit(paths, write=output)
    return [output / side for side in found.split.sides]


def test_a_black_picture_on_both_sides_proves_nothing(tmp_path):
    black = np.zeros((64, 96, 3), np.uint8)
    train = folder(tmp_path / "A", one=black, street=scene(0, 1)[0])
    test = folder(tmp_path / "B", two=black, yard=scene(1, 1)[0])
    assert audit([train, test]).pairs == 0


def test_a_broken_picture_is_noted_and_the_rest_is_audited(tmp_path):
    train = folder(tmp_path / "A", street=scene(0, 1)[0])
    test = folder(tmp_path / "B", yard=mirrored(scene(0, 1))[0])
    (test / "broken.png").write_bytes(b"no picture")
    found = audit([train, test])
    assert found.pairs == 1
    assert any("broken.png" in note for note in found.found.notes)


def test_coco_files_are_read_and_written(tmp_path):
    pictures = tmp_path / "images"
    frames = {f"cam{v}_{f}": scene(v, 2)[f] for v in range(2) for f in range(2)}
    folder(pictures, **frames)
    for side, names in (("train", ["cam0_0", "cam1_0"]), ("val", ["cam0_1", "cam1_1"])):
        images = [
            {"id": i, "file_name": f"{n}.png", "width": 96, "height": 64}
            for i, n in enumerate(names)
        ]
        notes = [
            {"id": 9, "image_id": i, "category_id": 1, "bbox": [i, 1, 9, 9], "area": 81}
            for i in range(2)
        ][:1]
        document = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "p"}]}
        (tmp_path / f"{side}.json").write_text(json.dumps(document))
    files = [tmp_path / "train.json", tmp_path / "val.json"]
    found = audit(files, write=tmp_path / "w")
    assert found.pairs == 2
    written = [tmp_path / "w" / "train.json", tmp_path / "w" / "val.json"]
    assert audit(written, images=pictures).pairs == 0
    documents = [json.loads(file.read_text()) for file in written]
    owners = [
        image["file_name"]
        for document in documents
        for note in document["annotations"]
        for image in document["images"]
        if image["id"] == note["image_id"]
    ]
    assert sorted(owners) == ["cam0_0.png", "cam0_1.png"]


def test_a_list_is_read_and_written(tmp_path):
    root = folder(
        tmp_path / "p", **{f"cam{v}_{f}": scene(v, 2)[f] for v in range(2) for f in (0, 1)}
    )
    rows = [[f"p/cam{v}_{f}.png", ("train", "val")[f]] for v in range(2) for f in (0, 1)]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "split"], *rows])
    assert audit(tmp_path / "list.csv", write=tmp_path / "w").pairs == 2
    assert audit(tmp_path / "w" / "split.csv").pairs == 0
    assert len(list(root.iterdir())) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,train\n", "one side only"),
        ("a.png,train\nb.png,val\n", "no picture 'b.png'"),
        ("a.png,train\na.png,val\n", "on two sides"),
        ("a.png\n", "row 1"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text: str, message: str):
    folder(tmp_path / "d", a=scene(0, 1)[0])
    (tmp_path / "d" / "list.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_split([tmp_path / "d" / "list.csv"])


def test_one_scene_cannot_be_split(tmp_path):
    root = yolo(tmp_path / "d", {"train": [(0, 0), (0, 1)], "val": [(0, 2)]})
    found = audit(root)
    assert found.disjoint is None
    assert "no split without leaks: 1 scene for 2 sides" in found.lines()
    with pytest.raises(DataError, match="1 scene"):
        audit(root, write=tmp_path / "w")
    with pytest.raises(DataError, match="no second scene"):
        audit(root, price=True)
    assert not (tmp_path / "w").exists()


def test_no_side_is_empty_and_shares_are_kept(tmp_path):
    split = read_split([yolo(tmp_path / "d", LEAKY)])
    for scenes in ([0] * 17 + [1, 2], [picture % 7 for picture in range(19)]):
        sides = scene_disjoint(split, scenes)
        assert set(sides) == {"train", "val"}
        both = {s for s in set(scenes) if len({sides[i] for i in range(19) if scenes[i] == s}) > 1}
        assert both == set()
    assert abs(scene_disjoint(split, list(range(19))).count("val") - 4) <= 1


def test_the_price_of_a_leak(tmp_path):
    found = audit(yolo(tmp_path / "d", LEAKY), price=True, image_size="48x32", frames=4)
    price = found.price
    assert price is not None
    assert len(price.by_scene) == 3  # one scene's test picture shows no foreground
    assert price.points > 10
    assert price.points == pytest.approx(100 * (price.given - price.disjoint))
    clean = {name: (a, b) for name, a, b in price.by_scene}
    assert price.pictures == (12, 4)
    again = audit(yolo(tmp_path / "e", LEAKY), price=True, image_size="48x32", frames=4)
    assert again.price == price
    (alone,) = [pair for name, pair in clean.items() if name == "scene3"]
    assert alone[0] == alone[1]  # its scene is not trained on in the given split either


def test_exit_codes_and_the_picture(tmp_path):
    root = yolo(tmp_path / "d", LEAKY)
    run = CliRunner()
    words = ["audit", str(root), "--quiet", "--output", str(tmp_path / "pairs.png")]
    done = run.invoke(vidseg, words)
    assert done.exit_code == 1, done.output
    assert "3 of 4 test pictures were seen in training" in done.output
    assert Image.open(tmp_path / "pairs.png").width > 800
    assert run.invoke(vidseg, [*words, "--allow", "3"]).exit_code == 0


def test_lists_need_a_data_set_for_a_price(tmp_path):
    train = folder(tmp_path / "A", street=scene(0, 1)[0])
    test = folder(tmp_path / "B", yard=scene(1, 1)[0])
    with pytest.raises(UsageError, match="--dataset"):
        audit([train, test], price=True)
