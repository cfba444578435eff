"""Real scenes for studies of decisions: which sets there are, and how one is opened."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from vidseg.experiment.config import make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_dataset, open_experiment
from vidseg.store import Store
from vidseg.utils.progress import Quiet

MOT = {"use": "mot", "path": "mot"}
PERSONS = {"use": "masks", "path": "persons-masks", "void": 128}
VEHICLES = {"use": "masks", "path": "vehicles-masks", "void": 128}
SETS: dict[str, list[dict[str, Any]]] = {
    "persons": [PERSONS, MOT],
    "persons, masks": [PERSONS],
    "persons, boxes": [MOT],
    "vehicles": [VEHICLES],
}
"""Folders of real samples by name. Persons and vehicles are never one set."""

GENERATED = "synthetic:videos=8,frames=40,size=96x64,motion=1"


def find_sets(names: Collection[str], samples: Path) -> dict[str, Any]:
    """Return what each set is opened with; generated videos where the samples are absent."""
    found = {
        name: [one | {"path": str(samples / one["path"])} for one in SETS[name]]
        for name in names
        if all((samples / one["path"]).is_dir() for one in SETS[name])
    }
    return found or {"generated": GENERATED}


def extractor(samples: Path) -> dict[str, Any] | str:
    """Return the best backbone whose weights are there, else fixed filters."""
    weights = samples / "weights" / "tf_efficientnet_lite0_imagenet.safetensors"
    if not weights.is_file():
        return "filters:octaves=2"
    return {"use": "timm", "model": "tf_efficientnet_lite0", "weights": str(weights)}


def opened(dataset: Any, samples: Path, folder: Path, options: dict[str, Any]) -> Experiment:
    """Open a data set; its frames, features and fits are kept in ``folder``.

    Args:
        dataset: of :func:`find_sets`.
        samples: where weights are looked for.
        folder: of the store and the ledger.
        options: of a run, beside data set and extractor.
    """
    given = {"dataset": dataset, "extractor": extractor(samples), "threads": 1, "device": "cpu"}
    config = make_config(given | options)
    store = Store(folder / "store")
    data: OpenDataset = open_dataset(config.dataset, Quiet(), store.fact_cache)
    return open_experiment(
        config, data, store=store, ledger=Ledger(folder / "ledger"), progress=Quiet()
    )
