"""Training sets that are sent to a spawned process: the same frames, masks and features there."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.movies import plain_clip
from tests.helpers.trees import davis_tree, mot_rows, mot_sequence, picture, virat_tree
from vidseg.experiment.config import make_config
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.splits import folds
from vidseg.store import Store
from vidseg.types import TrainingSet
from vidseg.utils.progress import Quiet


def seen(train: TrainingSet) -> list[str]:
    """Return a hash of all that a classifier may see of each frame, in the second epoch."""
    train = train.with_epoch(1)
    found = []
    for ref in train.refs:
        pieces = [train.frame(ref), train.mask(ref), *train.features(ref)]
        hashed = hashlib.sha256(b"".join(np.ascontiguousarray(piece) for piece in pieces))
        shapes = [(piece.dtype.str, piece.shape) for piece in pieces]
        found.append(f"{ref!r} {shapes} {hashed.hexdigest()}")
    return found


def answer(connection: Any) -> None:
    while (train := connection.recv()) is not None:
        whole = {"all": seen(train), "one group": seen(train.subset(train.groups[:1]))}
        connection.send({**whole, "shard": seen(train.shard(1, 2)), "groups": train.groups})


@pytest.fixture(scope="module")
def elsewhere() -> Any:
    """A spawned process that says what it sees of the training sets that it is sent."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=answer, args=(theirs,), daemon=True)
    process.start()
    yield ours
    ours.send(None)
    process.join(30)


def boxes(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(",".join(map(str, row)) + "\n" for row in mot_rows(5))
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text(text)
    return folder


def mot(folder: Path) -> str:
    boxes(folder / "labels")
    for seed, name in enumerate(("a", "b")):
        mot_sequence(folder / "mot", name, seed=seed)
    return f"mot:{folder / 'mot'}"


def clips(folder: Path) -> str:
    boxes(folder / "clips")
    for seed, name in enumerate(("a", "b")):
        plain_clip(folder / "clips" / f"{name}.mp4", [picture(i, seed=seed) for i in range(5)])
    return f"clip:{folder / 'clips'}"


DATA = {
    "synthetic": lambda folder: "synthetic:videos=3,frames=6,size=64x48",
    "mot": mot,
    "clip": clips,
    "masks": lambda folder: f"masks:{davis_tree(folder / 'davis')}",
    "virat": lambda folder: f"virat:{virat_tree(folder / 'virat', footage='folder')}",
}


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("synthetic", {}),
        ("synthetic", {"extractor": "timm:model=resnet18,weights=random"}),
        ("synthetic", {"train_labels": "boxes", "refine": "grabcut"}),
        ("synthetic", {"train_labels": "boxes", "refine": "ellipse"}),
        (
            "synthetic",
            {"train_labels": "boxes", "sampler": "noised:base=[successive:n=1],copies=2"},
        ),
        ("synthetic", {"sampler": "augmented:base=[successive:n=2],copies=2"}),
        ("synthetic", {"image_size": "native", "mask_size": "32x24"}),
        ("mot", {}),
        ("mot", {"train_labels": "mot:{folder}/labels", "refine": "grabcut"}),
        ("masks", {"train_labels": "masks:{folder}/davis/Annotations/480p"}),
        ("virat", {}),
        ("clip", {}),
    ],
    ids=str,
)
def test_a_training_set_is_the_same_in_another_process(
    tmp_path: Path, elsewhere: Any, data: str, options: dict[str, str]
) -> None:
    given = {
        "dataset": DATA[data](tmp_path),
        "sampler": "successive:n=3",
        "image_size": "48x32",
        **{key: value.format(folder=tmp_path) for key, value in options.items()},
    }
    config = make_config(given)
    experiment = open_experiment(
        config,
        open_dataset(config.dataset, Quiet()),
        store=Store(tmp_path / "store", limit=10**9),
        ledger=Ledger(tmp_path / "ledger"),
        progress=Quiet(),
    )
    fold = folds(config.split, experiment.groups, 0)[0]
    train = experiment.training(config.setting, fold)
    before = len(pickle.dumps(train))
    whole = seen(train)  # what is kept in memory now does not travel
    assert len(pickle.dumps(train)) < before + 2000
    elsewhere.send(train)
    assert elsewhere.poll(120)
    theirs = elsewhere.recv()
    assert theirs["all"] == whole
    assert theirs["one group"] == seen(train.subset(train.groups[:1]))
    assert theirs["shard"] == seen(train.shard(1, 2))
    assert theirs["groups"] == train.groups
