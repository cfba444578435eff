"""Training labels: sources, refinement of boxes, and what of it is in a cell's key."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.trees import box, davis_tree, mask_values, mot_rows, mot_sequence, save_mask
from vidseg import plugins
from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError, PluginError, UsageError, VidsegError
from vidseg.experiment.config import make_config
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.splits import folds
from vidseg.experiment.training_labels import TrainingLabels
from vidseg.labels.base import KeyedLabels
from vidseg.store import Store
from vidseg.tasks.registry import find_task
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.tasks.segmentation.refine import SMALLEST, cut_out
from vidseg.types import Size
from vidseg.utils.progress import Quiet

NATIVE = Size(96, 128)


def boxes_of(*rows: Sequence[float], ignored: Sequence[bool] = ()) -> BoxLabels:
    flags = np.array(ignored or [False] * len(rows), bool)
    return BoxLabels(NATIVE, np.array(rows, float), 0.0, np.arange(len(rows)), flags)


def scene(*discs: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame of bright, noisy ellipses (centre x, y, radii) on green, and their mask."""
    rng = np.random.default_rng(0)
    image = np.array([40, 120, 40]) + rng.normal(0, 6, (*NATIVE, 3))
    ys, xs = np.mgrid[: NATIVE.height, : NATIVE.width] + 0.5
    inside = np.zeros(NATIVE, bool)
    for x, y, rx, ry in discs:
        inside |= ((xs - x) / rx) ** 2 + ((ys - y) / ry) ** 2 <= 1
    image[inside] += [170, 40, 100]
    return image.clip(0, 255).astype(np.uint8), inside


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


class TestEllipse:
    def test_is_the_set_of_pixel_centres_inside(self) -> None:
        labels = boxes_of((10, 20, 31, 47), (-20, 60, 60, 70), (100, 5, 3, 2))
        size = Size(31, 57)
        truth = np.full(size, -1)
        for row in range(size.height):
            for column in range(size.width):
                x = (column + 0.5) * NATIVE.width / size.width
                y = (row + 0.5) * NATIVE.height / size.height
                for left, top, w, h in labels.boxes:
                    distance = np.hypot((x - left - w / 2) / (w / 2), (y - top - h / 2) / (h / 2))
                    if distance <= 1:
                        truth[row, column] = 1
        assert (rasterise(labels, size, shape="ellipse") == truth).all()

    def test_ignored_boxes_stay_boxes(self) -> None:
        labels = boxes_of((10, 10, 40, 40), (60, 10, 40, 40), ignored=[False, True])
        drawn = rasterise(labels, NATIVE, shape="ellipse")
        assert (drawn[:, 60:] == rasterise(labels, NATIVE)[:, 60:]).all()
        share = (drawn[:, :60] > 0).sum() / 1600
        assert share == pytest.approx(np.pi / 4, abs=0.01)

    def test_boxes_without_area_draw_nothing(self) -> None:
        labels = boxes_of((10, 10, 0, 20), (30, 10, 20, 0), (50, 50, 0, 0))
        assert (rasterise(labels, NATIVE, shape="ellipse") == -1).all()


class TestGrabCut:
    def test_finds_what_is_in_the_box(self) -> None:
        image, truth = scene((35, 45, 12, 30), (90, 50, 20, 28))
        labels = boxes_of((22, 13, 27, 65), (68, 20, 45, 60))
        mask, tally = cut_out(labels, image, NATIVE, where="here")
        boxes = rasterise(labels, NATIVE) > 0
        assert tally == (2, 0)
        assert overlap(mask > 0, truth) > 0.95 > overlap(boxes, truth)
        assert not (mask > 0)[~boxes].any()

    def test_a_large_crop_is_shrunk_and_drawn_at_the_masks_size(self) -> None:
        image, truth = scene((60, 48, 40, 40))
        large = cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        labels = BoxLabels(
            Size(768, 1024), np.array([[150.0, 60, 660, 650]]), 0.0, np.zeros(1, int), np.zeros(1)
        )
        mask, tally = cut_out(labels, large, NATIVE, where="here")
        assert tally == (1, 0)
        assert mask.shape == tuple(NATIVE)
        assert overlap(mask > 0, truth) > 0.9

    def test_is_the_same_every_time(self) -> None:
        image, _ = scene((35, 45, 12, 30))
        labels = boxes_of((20, 10, 31, 70))
        first = cut_out(labels, image, NATIVE, where="here")[0]
        cv2.setRNGSeed(99)
        assert (cut_out(labels, image, NATIVE, where="here")[0] == first).all()

    def test_what_cannot_be_cut_stays_a_box_and_is_counted(self) -> None:
        image, _ = scene((35, 45, 12, 30))
        small = (100.0, 10.0, 30.0, SMALLEST - 1.0)
        labels = boxes_of((20, 10, 31, 70), small, (-50, -50, 20, 20))
        mask, tally = cut_out(labels, image, NATIVE, where="here")
        assert tally == (2, 1), "a box outside the frame is none"
        assert (mask[10:17, 100:] == rasterise(boxes_of(small), NATIVE)[10:17, 100:]).all()

    def test_a_box_that_fills_the_frame_stays(self) -> None:
        image, _ = scene((35, 45, 12, 30))
        mask, tally = cut_out(boxes_of((-10, -10, 200, 200)), image, NATIVE, where="here")
        assert tally == (1, 1), "nothing shows what background looks like"
        assert (mask == 1).all()

    def test_opencv_that_gives_up_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def give_up(*_: object) -> None:
            raise cv2.error("no samples")

        monkeypatch.setattr(cv2, "grabCut", give_up)
        image, _ = scene((35, 45, 12, 30))
        labels = boxes_of((20, 10, 31, 70), (70, 20, 20, 40), ignored=[False, True])
        size = Size(37, 51)
        mask, tally = cut_out(labels, image, size, where="here")
        assert tally == (1, 1)
        assert (mask == rasterise(labels, size)).all(), "exactly the mask of boxes"

    def test_a_cut_that_loses_its_object_is_a_failure(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cv2, "grabCut", lambda image, mask, *rest: mask.fill(cv2.GC_BGD))
        image, _ = scene((35, 45, 12, 30))
        labels = boxes_of((20, 10, 31, 70))
        mask, tally = cut_out(labels, image, NATIVE, where="here")
        assert tally == (1, 1)
        assert (mask == rasterise(labels, NATIVE)).all()

    def test_ignored_boxes_stay_and_foreground_wins(self) -> None:
        image, truth = scene((35, 45, 12, 30))
        labels = boxes_of((22, 13, 27, 65), (30, 0, 60, 96), ignored=[False, True])
        mask, tally = cut_out(labels, image, NATIVE, where="here")
        assert tally == (1, 0)
        assert overlap(mask > 0, truth) > 0.95
        assert (mask[:, 50:90] == 0).all()
        assert (mask[:12, 30:50] == 0).all()

    def test_refuses_masks_and_frames_of_another_size(self) -> None:
        image, truth = scene((35, 45, 12, 30))
        labels = MaskLabels(NATIVE, np.where(truth, 1, -1).astype(np.int8))
        with pytest.raises(UsageError, match=r"grabcut refines boxes.*train_labels=boxes"):
            cut_out(labels, image, NATIVE, where="here")
        with pytest.raises(DataError, match="the frame is 128x95"):
            cut_out(boxes_of((2, 2, 30, 30)), image[:-1], NATIVE, where="here")

    @pytest.mark.real
    def test_people_in_a_street_are_found_not_lost(self, samples: Path) -> None:
        (video,) = Mot(str(samples / "mot" / "TUD-Stadtmitte")).videos()
        labels, image = video.labels(0), next(iter(video.frames([0])))
        mask, tally = cut_out(labels, image, labels.size, where="here")
        boxes = rasterise(labels, labels.size) > 0
        assert tally.boxes == 7
        assert tally.failed <= 1
        assert 0.35 < (mask > 0).sum() / boxes.sum() < 0.85


def source(spec: str) -> Any:
    return plugins.create("label", spec, where="train_labels")


def first_video(root: Path) -> Any:
    return Mot(str(root)).videos()[0]


class TestSources:
    def test_truth_is_the_videos_own(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path, "a")
        video = first_video(tmp_path)
        found = source("truth").of(video)
        assert found.key == video.label_key
        assert (found.labels(2).boxes == video.labels(2).boxes).all()

    @pytest.mark.parametrize("place", ["a.txt", "a/gt/gt.txt", "a/gt.txt"])
    def test_mot_files(self, tmp_path: Path, place: str) -> None:
        mot_sequence(tmp_path / "data", "a")
        video = first_video(tmp_path / "data")
        file = tmp_path / "other" / place
        file.parent.mkdir(parents=True)
        file.write_text("1,1,6,11,20,30,1,1,1\n3,1,6,11,20,30,1,3,1\n")
        found = source(f"mot:{tmp_path / 'other'}").of(video)
        assert found.labels(0).boxes.tolist() == [[6, 11, 20, 30]]
        assert [len(found.labels(i).boxes) for i in range(5)] == [1, 0, 0, 0, 0]
        assert (found.labels(0).origin, found.labels(0).size) == (1, video.probe().size)
        both = source(f"mot:{tmp_path / 'other'},classes=1,classes=3").of(video)
        assert len(both.labels(2).boxes) == 1
        assert len({both.key, found.key, video.label_key}) == 3
        shutil.move(tmp_path / "other", tmp_path / "moved")
        assert source(f"mot:{tmp_path / 'moved'}").of(video).key == found.key

    def test_mask_files(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path / "data", "a", frames=3)
        video = first_video(tmp_path / "data")
        folder = tmp_path / "masks" / "a"
        folder.mkdir(parents=True)
        for index in range(3):
            save_mask(folder / f"{index}.png", index, (64, 48), 255, palette=False)
        found = source(f"masks:{tmp_path / 'masks'}").of(video)
        truth = np.where(mask_values(2) > 0, 1, -1)
        assert (found.labels(2).mask == truth).all()
        cut = source(f"masks:{tmp_path / 'masks'},threshold=256").of(video)
        assert (cut.labels(2).mask == -1).all()
        assert cut.key != found.key
        (folder / "2.png").unlink()
        with pytest.raises(DataError, match=r"masks/a: 2 masks, but the video has 3 frames"):
            source(f"masks:{tmp_path / 'masks'}").of(video)
        save_mask(folder / "2.png", 2, (64, 50), 255, palette=False)
        with pytest.raises(DataError, match=r"2\.png: the mask is 64x50, its frame is 64x48"):
            source(f"masks:{tmp_path / 'masks'}").of(video).labels(2)

    def test_boxes_of_masks(self, tmp_path: Path) -> None:
        video = Masks(str(davis_tree(tmp_path / "davis"))).videos()[0]
        found = source("boxes").of(video)
        assert found.labels(1).boxes.tolist() == [list(box(1))]
        assert found.labels(1).mask is None
        assert found.key != video.label_key

    def test_boxes_beside_masks_and_ignored_parts(self) -> None:
        video = plugins.create("dataset", "synthetic:videos=1,frames=2").videos()[0]
        found = source("boxes").of(video).labels(1)
        assert found.mask is None
        assert (found.boxes == video.labels(1).boxes).all()
        mask = np.full((10, 12), -1, np.int8)
        mask[1:4, 2:7], mask[6:9, 8:11] = 1, 0

        class Plain:
            label_key = "k"

            def labels(self, index: int) -> MaskLabels:
                return MaskLabels(Size(10, 12), mask)

        drawn = rasterise(source("boxes").of(Plain()).labels(0), Size(10, 12))
        assert (drawn == mask).all()

    def test_what_the_data_set_offers(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path, "a")
        video = first_video(tmp_path)
        with pytest.raises(UsageError, match=r"video a: offers no labels 'drafts'; it has nothing"):
            source("dataset:drafts").of(video)

        class Offering:
            name = "a"
            label_sources: dict[str, str] = {"coarse": "hash"}  # noqa: RUF012

            def labels(self, index: int, source: str = "truth") -> str:
                return f"{source} {index}"

        found = source("dataset:coarse").of(Offering())
        assert (found.key, found.labels(3)) == ("hash", "coarse 3")
        with pytest.raises(UsageError, match="it offers coarse"):
            source("dataset:drafts").of(Offering())

    def test_unknown_sources_and_absent_files(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path / "data", "a")
        video = first_video(tmp_path / "data")
        with pytest.raises(PluginError, match=r"no label 'trut'; did you mean 'truth'\?"):
            make_config({"train_labels": "trut"})
        with pytest.raises(DataError, match=r"train_labels mot:nowhere: no such folder"):
            source("mot:nowhere")
        with pytest.raises(DataError, match=r"no training labels for video a; add a\.txt"):
            source(f"mot:{tmp_path}").of(video)
        with pytest.raises(DataError, match=r"no training labels for video a; add a folder a"):
            source(f"masks:{tmp_path}").of(video)
        (tmp_path / "a.txt").write_text("9,1,6,11,20,30,1,1,1\n")
        with pytest.raises(DataError, match=r"a\.txt:1: label for frame 9, but only 5"):
            source(f"mot:{tmp_path}").of(video)


class Counting:
    """A video that counts how often its frames are decoded."""

    def __init__(self, video: Any) -> None:
        self._video, self.decoded = video, Counter[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._video, name)

    def frames(self, indices: Sequence[int]) -> Iterator[Any]:
        self.decoded.update(indices)
        return self._video.frames(indices)


def training_labels(video: Any, store: Store, refine: Any = "grabcut") -> TrainingLabels:
    truth = KeyedLabels(video.label_key, video.labels)
    return TrainingLabels(video, truth, refine, lambda: Size(48, 64), store, find_task())


class TestTrainingLabels:
    def test_cut_masks_are_kept(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path / "data", "a", size=(160, 120))
        video = Counting(first_video(tmp_path / "data"))
        labels = training_labels(video, Store(tmp_path / "store"))
        labels.prepare([0, 2], Quiet(), lambda: None)
        assert video.decoded == {0: 1, 2: 1}
        first = [labels.mask(0), labels.mask(2)]
        tallies = [labels.tally(0), labels.tally(2)]
        assert sum(tally.boxes for tally in tallies) == 2
        again = training_labels(video, Store(tmp_path / "store"))
        again.prepare([0, 2], Quiet(), lambda: None)
        assert [again.tally(0), again.tally(2)] == tallies
        for index, mask in zip((0, 2), first, strict=True):
            assert (again.mask(index) == mask).all()
        assert video.decoded == {0: 1, 2: 1}, "both were read"
        assert Store(tmp_path / "store").info().masks.entries == 2
        again.mask(1)
        assert video.decoded == {0: 1, 1: 1, 2: 1}, "what was not prepared is made when asked"

    def test_a_full_store_changes_nothing(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path / "data", "a", size=(160, 120))
        video = first_video(tmp_path / "data")
        full = training_labels(video, Store(tmp_path / "full", limit=1))
        full.prepare([1], Quiet(), lambda: None)
        free = training_labels(video, Store(tmp_path / "free"))
        assert (full.mask(1) == free.mask(1)).all()
        assert full.tally(1) == free.tally(1)

    def test_keys_tell_rules_and_labels_apart(self, tmp_path: Path) -> None:
        mot_sequence(tmp_path / "one", "a")
        mot_sequence(tmp_path / "two", "a", rows=mot_rows(4))
        store = Store(tmp_path / "store")
        keys = [
            training_labels(first_video(tmp_path / root), store, rule).key
            for root in ("one", "two")
            for rule in ("box", "ellipse", "grabcut")
        ]
        assert len(set(keys)) == 6

    def test_masks_are_not_refined(self, tmp_path: Path) -> None:
        video = Masks(str(davis_tree(tmp_path / "davis"))).videos()[0]
        labels = training_labels(video, Store(tmp_path / "store"), "ellipse")
        with pytest.raises(UsageError, match=r"video bear, frame 0: refine=ellipse refines boxes"):
            labels.mask(0)


SMALL = {
    "dataset": "synthetic:videos=3,frames=6,size=64x48",
    "image_size": "64x48",
    "sampler": "successive:n=3",
    "classifier": "sgd:epochs=1",
    "device": "cpu",
    "threads": 1,
}


def opened(tmp_path: Path, **options: Any) -> Any:
    config = make_config({**SMALL, **options})
    dataset = open_dataset(config.dataset, Quiet())
    return open_experiment(
        config,
        dataset,
        store=Store(tmp_path / "store"),
        ledger=Ledger(tmp_path / "ledger"),
        progress=Quiet(),
    )


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Fitted and scored cells of one fold, with one store and one ledger."""
    found = {}
    folder = tmp_path_factory.mktemp("fits")
    for name, options in {
        "truth": {},
        "boxes": {"train_labels": "boxes"},
        "ellipse": {"train_labels": "boxes", "refine": "ellipse"},
        "grabcut": {"train_labels": "boxes", "refine": "grabcut"},
    }.items():
        experiment = opened(folder, **options)
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        cell = experiment.fit(experiment.config.setting, fold, "")
        scored = experiment.score({"it": cell}, fold, "")["it"]
        found[name] = (experiment, cell, scored)
    return found


class TestInTheExperiment:
    def test_training_differs_tests_do_not(self, fits: dict[str, Any]) -> None:
        share = {name: cell.facts["train_positive_share"] for name, (_, cell, _) in fits.items()}
        assert share["boxes"] > share["ellipse"] > share["truth"]
        assert share["boxes"] > share["grabcut"]
        assert len({cell.key for _, cell, _ in fits.values()}) == 4
        positives = {
            tuple(video.positives for video in scored.counts["model"])
            for _, _, scored in fits.values()
        }
        assert len(positives) == 1, "tests are on the truth"

    def test_features_are_computed_once_for_all_labels(self, fits: dict[str, Any]) -> None:
        forwards = [
            next(iter(experiment.materials.values())).extractor.forwards
            for experiment, _, _ in fits.values()
        ]
        assert forwards[0] > 0
        assert forwards[1:] == [0, 0, 0]

    def test_what_refining_did_is_recorded(self, fits: dict[str, Any]) -> None:
        facts = fits["grabcut"][1].facts
        assert 0 <= facts["refine_failed"] <= facts["refined_boxes"]
        assert facts["refined_boxes"] > 0
        assert "refined_boxes" not in fits["ellipse"][1].facts

    def test_failures_are_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def give_up(*_: object) -> None:
            raise cv2.error("no samples")

        monkeypatch.setattr(cv2, "grabCut", give_up)
        said: list[str] = []

        class Listening(Quiet):
            def say(self, text: str) -> None:
                said.append(text)

        experiment = opened(tmp_path, train_labels="boxes", refine="grabcut")
        experiment.progress = Listening()
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        facts = experiment.fit(experiment.config.setting, fold, "").facts
        count = int(facts["refined_boxes"])
        assert facts["refine_failed"] == count > 0
        assert f"{count} of {count} boxes could not be refined: they stay boxes" in said

    def test_variants_see_the_training_masks(self, tmp_path: Path) -> None:
        options = {"train_labels": "boxes", "sampler": "noised:base=[successive:n=1],copies=2"}
        experiment = opened(tmp_path, **options)
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        train = experiment.training(experiment.config.setting, fold)
        material = experiment.materials[train.refs[0].video]
        boxes = rasterise(source("boxes").of(material.video).labels(0), material.mask_size)
        assert (train.mask(train.refs[0]) == boxes).all()
        assert (boxes != material.mask(0)).any()

    def test_masks_that_cannot_be_refined_end_the_fit(self, tmp_path: Path) -> None:
        experiment = opened(tmp_path, refine="grabcut")
        fold = folds(experiment.config.split, experiment.groups, 0)[0]
        with pytest.raises(VidsegError, match=r"refine=grabcut refines boxes"):
            experiment.fit(experiment.config.setting, fold, "")
