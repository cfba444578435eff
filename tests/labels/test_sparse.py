"""Training labels of frames that the truth does not label, and the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.trees import box, mot_rows, mot_sequence, save_mask
from vidseg.errors import DataError
from vidseg.experiment.config import make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.splits import Fold, folds
from vidseg.store import Store
from vidseg.utils.progress import Quiet

FRAMES = 30
KEYS = list(range(0, FRAMES, 5))


def rows_of(frames: list[int]) -> list[Any]:
    return [row for row in mot_rows(FRAMES) if row[0] - 1 in frames]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sequences with boxes on every fifth frame."""
    for seed, name in enumerate("ab"):
        mot_sequence(tmp_path / "mot", name, frames=FRAMES, rows=rows_of(KEYS), seed=seed)
    return tmp_path


def sources(folder: Path, frames: list[int]) -> str:
    (folder / "own").mkdir()
    for name in "ab":
        text = "".join(",".join(map(str, row)) + "\n" for row in rows_of(frames))
        (folder / "own" / f"{name}.txt").write_text(text)
    return f"mot:{folder / 'own'}"


def opened(folder: Path, labels: str, sampler: str, truth: str = "rows") -> tuple[Experiment, Fold]:
    config = make_config(
        {
            "dataset": f"mot:{folder / 'mot'},labelled={truth}",
            "sampler": sampler,
            "train_labels": labels,
            "extractor": "filters:octaves=1",
            "image_size": "32x24",
            "device": "cpu",
            "threads": 1,
        }
    )
    dataset = open_dataset(config.dataset, Quiet())
    experiment = open_experiment(
        config,
        dataset,
        store=Store(folder / "store"),
        ledger=Ledger(folder / "ledger"),
        progress=Quiet(),
    )
    return experiment, folds(config.split, dataset.groups, 0)[0]


def trained(experiment: Experiment, fold: Fold) -> list[int]:
    train = experiment.training(experiment.config.setting, fold)
    for ref in train.refs:
        assert (train.mask(ref) == 1).any()
    return [ref.index for ref in train.refs]


def test_a_source_that_says_nothing_is_used_on_the_frames_of_the_truth(folder: Path) -> None:
    experiment, fold = opened(folder, sources(folder, list(range(FRAMES))), "all")
    assert trained(experiment, fold) == KEYS
    (material,) = experiment.members(fold.test)
    assert experiment.test_frames(fold, material) == KEYS


def test_a_source_may_label_frames_without_truth_and_tests_stay_on_the_truth(folder: Path) -> None:
    own = sources(folder, list(range(FRAMES)))
    experiment, fold = opened(folder, f"{own},labelled=all", "20")
    assert trained(experiment, fold) == list(range(20))
    (material,) = experiment.members(fold.test)
    assert experiment.test_frames(fold, material) == KEYS


def test_frames_that_the_source_does_not_label_are_not_trained_on(folder: Path) -> None:
    experiment, fold = opened(folder, f"{sources(folder, [0, 10, 12])},labelled=rows", "all")
    assert trained(experiment, fold) == [0, 10, 12]


def test_a_sparse_source_of_dense_truth_is_refused_until_told(folder: Path) -> None:
    own = sources(folder, KEYS)
    experiment, fold = opened(folder, own, "all", truth="all")
    with pytest.raises(DataError, match=r"own.b.txt: has rows on every 5th frame only.*labelled="):
        trained(experiment, fold)
    same, fold = opened(folder, own, "all")
    assert trained(same, fold) == KEYS  # the truth labels the same frames


def test_the_frames_of_a_source_are_in_the_key_of_a_cell(folder: Path) -> None:
    own = sources(folder, list(range(FRAMES)))
    keys = set()
    for labels in (own, f"{own},labelled=all", f"{own},labelled=every:3"):
        experiment, fold = opened(folder, labels, "all")
        keys.add(experiment.key(experiment.config.setting, fold))
    assert len(keys) == 2  # rows on all frames: every:3 labels the same as all
    for truth in ("all", "every:2"):
        experiment, fold = opened(folder, "truth", "1", truth)
        keys.add(experiment.key(experiment.config.setting, fold))
    assert len(keys) == 4


@pytest.mark.parametrize("count", [len(KEYS), FRAMES, 7])
def test_mask_files_are_of_all_frames_or_of_the_labelled_ones(folder: Path, count: int) -> None:
    frames = list(range(FRAMES)) if count == FRAMES else [*KEYS, 29][:count]
    for name in "ab":
        (folder / "masks" / name).mkdir(parents=True)
        for index in frames:
            file = folder / "masks" / name / f"{index:03d}.png"
            save_mask(file, index, (64, 48), 255, palette=False)
    experiment, fold = opened(folder, f"masks:{folder / 'masks'}", "all")
    if count == 7:
        with pytest.raises(DataError, match="7 masks, but the video has 30 frames, 6 of them"):
            trained(experiment, fold)
        return
    assert trained(experiment, fold) == frames
    train = experiment.training(experiment.config.setting, fold)
    left, _, width, _ = box(frames[3])
    columns = (train.mask(train.refs[3]) == 1).any(0).nonzero()[0]
    assert (2 * columns[0], 2 * columns[-1] + 2) == pytest.approx((left, left + width), abs=2)
