"""What the key of a cell is made of: the same content, configuration and code, the same key."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from dataclasses import astuple
from importlib import metadata
from pathlib import Path
from typing import Any

from vidseg import plugins
from vidseg.experiment.config import RunConfig, Setting
from vidseg.experiment.options import INNER
from vidseg.experiment.splits import Fold
from vidseg.experiment.training import PreparedVideo
from vidseg.plugins.spec import Spec
from vidseg.utils.hashing import digest, source_digest

PACKAGES = ("numpy", "scikit-learn", "liblinear-official", "torch", "torchvision", "timm")
ROOM = Path(__file__).parents[1]


def fit_inputs(
    config: RunConfig,
    setting: Setting,
    fold: Fold,
    members: Sequence[PreparedVideo],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Return what the fit stage depends on.

    Args:
        config: data set, extractor, sizes and limits.
        setting: what is trained.
        fold: which frames are held out, where it is by frame.
        members: the training videos.
        labels: key of the training labels of each.
    """
    budget = setting.budget
    return {
        "stage": "fit",
        "videos": [
            [material.video.name, material.video.image_key, key]
            for material, key in zip(members, labels, strict=True)
        ],
        "groups": [material.group for material in members],
        "train": list(fold.train),
        "held_out": None if fold.part is None else astuple(fold.part),
        "sampler": str(setting.sampler),
        "extractor": members[0].extractor.key,
        "classifier": str(setting.classifier),
        "image_size": str(config.image_size),
        "mask_size": str(config.mask_size),
        "prior": setting.labelling.prior,
        # a threshold that is chosen belongs to the fit; one that is given, to its scores
        "threshold": INNER if config.threshold == INNER else None,
        "seed": setting.seed,
        "budget": [budget.rule, budget.base, budget.max_time],
        "memory_budget": config.memory_budget,
        "device": config.device,
        "threads": config.threads,
        "sources": _fit_sources(config, setting),
        "versions": package_versions(),
    }


def score_inputs(
    config: RunConfig, key: str, fold: Fold, members: Sequence[PreparedVideo], margin: float
) -> dict[str, Any]:
    """Return what the score stage depends on.

    Args:
        config: how test frames are chosen and scored.
        key: of the fit.
        fold: which frames are held out, where it is by frame.
        members: the test videos.
        margin: half-width of the near band.
    """
    rooms = ("tasks", "experiment/evaluate.py", "classifiers/pyramid.py")
    return {
        "stage": "score",
        "fit": key,
        "videos": [_content(material) for material in members],
        "held_out": None if fold.part is None else astuple(fold.part),
        "test_stride": config.test_stride,
        "threshold": config.threshold,
        "margin": margin,
        "sources": source_digest([ROOM / room for room in rooms]),
    }


def score_stage(inputs: dict[str, Any]) -> str:
    """Return the name of a score stage in the ledger."""
    return f"score-{digest(inputs, 16)}"


def _fit_sources(config: RunConfig, setting: Setting) -> str:
    rooms = [
        ROOM / name
        for name in (
            "classifiers/pyramid.py",
            "classifiers/column_kernel.py",
            "experiment/training.py",
        )
    ]
    rooms += [ROOM / "classifiers" / "base.py", ROOM / "tasks" / "segmentation" / "rasterise.py"]
    if setting.labelling.prior is not None:
        rooms.append(ROOM / "tasks/segmentation/class_weights.py")
    if config.threshold == INNER:
        rooms.append(ROOM / "experiment/threshold.py")
    if not setting.labelling.plain:
        rooms += [ROOM / "labels", ROOM / "tasks/segmentation/refine.py"]
    used = {
        "dataset": config.dataset,
        "sampler": setting.sampler,
        "extractor": config.extractor,
        "classifier": setting.classifier,
    }
    return source_digest([*rooms, *(_room_of(kind, spec) for kind, spec in used.items())])


def _content(material: PreparedVideo) -> list[str]:
    video = material.video
    return [video.name, video.image_key, video.label_key]


def _room_of(kind: str, spec: Spec) -> Path:
    """Return the folder of a plugin's module: its own and its helpers' sources."""
    source = inspect.getsourcefile(plugins.load(plugins.find(kind, spec.name)))
    return Path(source or __file__).parent


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers."""
    return {package: metadata.version(package) for package in PACKAGES}
