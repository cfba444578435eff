"""A tracking store for each test, copied from one that was migrated once; and records to log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vidseg.experiment.records import DatasetRecord, FoldRecord, ModelRecord, RunRecord
from vidseg.types import Size


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One new store, made by ``connect`` itself: its migrations take seconds."""
    from vidseg.tracking.store import connect

    file = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def tracking(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store of this test's own, connected; what it leaves open is closed."""
    import mlflow

    from vidseg.tracking.store import connect

    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    # MLflow sets this variable itself, and a test must not pass it on to the next.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    yield connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    while mlflow.active_run() is not None:
        mlflow.end_run("KILLED")
    mlflow.set_tracking_uri(None)


def make_record(folds: int = 2, name: str = "20 sgd", seed: int = 0) -> RunRecord:
    """A record with everything but a model; its numbers are drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    videos = [f"video-{index}" for index in range(folds)]
    return RunRecord(
        name=name,
        config={"dataset": {"use": "synthetic"}, "sampler": {"use": "20"}, "seed": seed},
        params={"sampler.name": "20", "sampler.short": "error", "run.seed": seed},
        dataset=DatasetRecord(
            "synthetic",
            "synthetic:videos=2",
            f"{seed:016x}",
            [
                {
                    "video": video,
                    "group": video,
                    "frames": 40,
                    "width": 64,
                    "height": 48,
                    "positive_share": 0.1,
                }
                for video in videos
            ],
        ),
        folds=[make_fold(index, videos, rng) for index in range(folds)],
        headline={
            "iou": 0.5,
            "gscore": 0.4,
            "precision": 0.7,
            "recall": 0.6,
            "ap": 0.65,
            "accuracy": float("nan"),
        },
        per_video=[
            {"video": v, "iou": float(rng.random()), "ap": float("nan"), "group": v} for v in videos
        ],
        baselines=[{"baseline": "foreground", "iou": 0.1}, {"baseline": "position", "iou": 0.2}],
        overlays=[
            (f"{video}_worst_000012", rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
            for video in videos
        ],
        pr_curve=(np.linspace(0, 1, 50), np.linspace(1, 0.1, 50)),
        notes=["a and b show one scene: merged"],
    )


def make_fold(index: int, videos: list[str], rng: np.random.Generator) -> FoldRecord:
    """One fold that tests the video of its index."""
    return FoldRecord(
        index=index,
        test_groups=[videos[index]],
        train_videos=[v for i, v in enumerate(videos) if i != index],
        test_videos=[videos[index]],
        metrics={"iou": float(rng.random()), "ap": float("inf")},
        facts={"frames": 20.0, "seconds": 1.5},
        curves=[("loss", 1 / (step + 1), step) for step in range(30)],
        key=f"{index:032x}",
        cell={"key": f"{index:032x}", "counts": [1, 2, 3], "nothing": float("nan")},
    )


def make_model(extractor: str = "filters", mask_size: Size = Size(24, 32)) -> ModelRecord:  # noqa: B008
    """A linear head with drawn weights on an extractor, as `sgd` would have exported it."""
    from vidseg import plugins
    from vidseg.classifiers.linear.head import LinearHead

    rng = np.random.default_rng(3)
    handle = plugins.create("extractor", extractor)
    levels = tuple(plugins.create("classifier", "sgd").levels(handle))
    weights = tuple(rng.normal(size=handle.channels[i]).astype(np.float32) for i in levels)
    head = LinearHead(weights, 0.05, levels, handle.fingerprint, {})
    return ModelRecord(
        classifier="sgd:C=10.0",
        extractor=extractor,
        extractor_fingerprint=handle.fingerprint,
        weights=getattr(handle, "weights_info", dict)(),
        image_size=Size(48, 64),
        mask_size=mask_size,
        threshold=0.0,
        state=head.export(),
        example=rng.integers(0, 255, (400, 600, 3), dtype=np.uint8),
    )
