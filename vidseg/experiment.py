"""Fits cells and scores them: the experiment itself. Knows nothing of MLflow or terminals.

A cell is one pipeline trained on one frame setting of the training groups of one fold. It has two
stages, fit and score, each kept in the ledger when it is finished; a stage whose key is there is
read, not done again.
"""

from __future__ import annotations

import inspect
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from vidseg import plugins
from vidseg.baselines import baseline_facts, fit_baselines
from vidseg.classifiers.base import Classifier, FitContext, Model, Progress, both_classes
from vidseg.config import RunConfig
from vidseg.errors import DataError
from vidseg.evaluate import box_margin, evaluate
from vidseg.extractors.base import ExtractorHandle
from vidseg.ledger import Ledger, Stage, digest, plain, source_digest
from vidseg.metrics import VideoCounts
from vidseg.specs import Spec
from vidseg.training import Material, Sampling, TrainingFrames

MODEL = "model"
"""Name of the fitted model among the models of a cell; the others are baselines."""

PACKAGES = ("numpy", "scikit-learn", "liblinear-official", "torch", "torchvision", "timm")
ROOM = Path(__file__).parent


@dataclass(frozen=True)
class Fitted:
    """The result of a fit stage.

    Attributes:
        key: the cell's key.
        model: the fitted model.
        facts: frames, positive share, epochs, seconds, ... of the fit.
        curves: training curves, rows of (name, value, step).
        reused: it was read from the ledger.
    """

    key: str
    model: Model
    facts: dict[str, float]
    curves: list[tuple[str, float, int]]
    reused: bool


@dataclass
class Experiment:
    """An opened data set with a pipeline, ready to fit and score cells.

    Attributes:
        config: what to do.
        materials: the videos by name.
        handle: the extractor.
        classifier: the classifier.
        ledger: where finished stages are kept.
        progress: where to tell how far it is.
        stop: raises :class:`vidseg.errors.Stopped` when the user asked to stop.
        fresh: do finished stages again.
        notes: facts that the user should see.
    """

    config: RunConfig
    materials: Mapping[str, Material]
    handle: ExtractorHandle
    classifier: Classifier
    ledger: Ledger
    progress: Progress
    stop: Callable[[], None] = lambda: None
    fresh: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, str]:
        """Group by video name."""
        return {name: material.group for name, material in self.materials.items()}

    def members(self, groups: Sequence[str]) -> list[Material]:
        """Return the videos of ``groups``, in the data set's order."""
        return [material for material in self.materials.values() if material.group in groups]

    @cached_property
    def margin(self) -> float:
        """Half-width of the near band of biased accuracy, in mask pixels."""
        return box_margin(list(self.materials.values()))

    def training(self, groups: Sequence[str]) -> TrainingFrames:
        """Return the frames that the sampler takes of the videos of ``groups``.

        Raises:
            DataError: a video is too short for the sampler, or it takes no frame at all.
        """
        sampler = plugins.create("sampler", self.config.sampler)
        videos = [material.video for material in self.members(groups)]
        refs = list(sampler.sample(videos, Sampling(self.materials, self.config.seed)))
        if not refs:
            raise DataError("the sampler took no frame", where=f"sampler {self.config.sampler}")
        return TrainingFrames(self.materials, refs)

    def fit(self, groups: Sequence[str], label: str) -> Fitted:
        """Fit on the videos of ``groups``, or read the finished fit.

        Args:
            groups: names of the training groups.
            label: what progress calls it, such as ``"fold 2/4"``.

        Raises:
            VidsegError: whatever the classifier or the data refuses.
        """
        inputs = self._fit_inputs(groups)
        key = digest(inputs)
        stage = None if self.fresh else self.ledger.read(key, "fit")
        if stage is None or stage.state is None:
            return self._fit_now(key, inputs, groups, label)
        model = self.classifier.load(stage.state, self.handle)
        curves = [(str(n), float(v), int(s)) for n, v, s in stage.result["curves"]]
        return Fitted(key, model, dict(stage.result["facts"]), curves, reused=True)

    def score(
        self, fitted: Fitted, train: Sequence[str], test: Sequence[str], label: str
    ) -> tuple[dict[str, list[VideoCounts]], dict[str, Any]]:
        """Score a fitted cell and the baselines on the videos of ``test``, or read the scores.

        Returns:
            Counts by model name (:data:`MODEL` and the baselines), and the ledger's inputs.
        """
        videos = self.members(test)
        inputs = self._score_inputs(fitted, train, videos)
        name = f"score-{digest(inputs, 16)}"
        stage = None if self.fresh else self.ledger.read(fitted.key, name)
        if stage is None:
            scored = self._score_now(fitted, train, videos, label)
            result = {model: [video.to_json() for video in rows] for model, rows in scored.items()}
            self.ledger.write(fitted.key, name, Stage(inputs, result))
            return scored, inputs
        read = {
            model: [VideoCounts.from_json(row) for row in rows]
            for model, rows in stage.result.items()
        }
        return read, inputs

    def _fit_now(
        self, key: str, inputs: dict[str, Any], groups: Sequence[str], label: str
    ) -> Fitted:
        train = self.training(groups)
        facts = self._training_facts(train)
        self._prepare(train, label)
        curves: list[tuple[str, float, int]] = []
        ctx = self._context(key, curves)
        began = time.perf_counter()
        model = self.classifier.fit(train, self.handle, ctx)
        facts |= {"fit_seconds": time.perf_counter() - began, **plain(ctx.facts)}
        result = {"facts": facts, "curves": [list(row) for row in curves]}
        self.ledger.write(key, "fit", Stage(inputs, result, model.export()))
        shutil.rmtree(ctx.workdir, ignore_errors=True)
        return Fitted(key, model, facts, curves, reused=False)

    def _context(self, key: str, curves: list[tuple[str, float, int]]) -> FitContext:
        def log(name: str, value: float, step: int) -> None:
            curves.append((name, float(value), int(step)))

        return FitContext(
            seed=self.config.seed,
            device=self.config.device,
            memory_budget=self.config.memory_budget,
            workdir=self.ledger.workdir(key),
            budget=self.config.budget,
            log=log,
            progress=self.progress,
            stop=self.stop,
        )

    def _training_facts(self, train: TrainingFrames) -> dict[str, float]:
        """Count the training pixels; one class only is refused before any feature is computed."""
        positives = negatives = 0
        for ref in train.refs:
            mask = train.mask(ref)
            positives += int(np.count_nonzero(mask > 0))
            negatives += int(np.count_nonzero(mask < 0))
        videos = sorted({ref.video for ref in train.refs})
        both_classes((positives, negatives), where=f"training videos {', '.join(videos)}")
        return {
            "train_videos": float(train.videos),
            "train_frames": float(len(train.refs)),
            "train_pixels": float(positives + negatives),
            "train_positive_share": positives / (positives + negatives),
        }

    def _prepare(self, train: TrainingFrames, label: str) -> None:
        """Decode the training frames, and compute the features that the classifier needs."""
        plain_refs = [ref for ref in train.refs if ref.variant is None]
        wanted: dict[str, set[int]] = {}
        for ref in plain_refs:
            wanted.setdefault(ref.video, set()).add(ref.index)
        total = sum(len(indices) for indices in wanted.values())
        with self.progress.task(f"{label}: features of training frames", total) as task:
            for video, indices in wanted.items():
                self.stop()
                material, order = self.materials[video], sorted(indices)
                material.stored.prepare(order)
                if "features" in self.classifier.needs:
                    for index in order:
                        self.stop()
                        material.features(index)
                        task.advance()

    def _score_now(
        self, fitted: Fitted, train: Sequence[str], videos: Sequence[Material], label: str
    ) -> dict[str, list[VideoCounts]]:
        baselines = fit_baselines(self.training(train))
        self.progress.say(
            ", ".join(f"{name} {value:.3f}" for name, value in baseline_facts(baselines).items())
        )
        models = {MODEL: fitted.model, **baselines}
        stride = self.config.test_stride
        total = sum(-(-material.length // stride) for material in videos)
        names = ", ".join(material.video.name for material in videos)
        with self.progress.task(f"{label}: scoring {names}", total) as task:
            for material in videos:
                material.stored.prepare(range(0, material.length, stride))
            return evaluate(
                models,
                videos,
                stride=stride,
                thresholds={MODEL: self.config.threshold},
                margin=self.margin,
                task=task,
                stop=self.stop,
            )

    def _fit_inputs(self, groups: Sequence[str]) -> dict[str, Any]:
        config = self.config
        members = self.members(groups)
        return {
            "stage": "fit",
            "videos": [_content(material) for material in members],
            "groups": [material.group for material in members],
            "sampler": str(config.sampler),
            "extractor": members[0].extractor.key,
            "classifier": str(config.classifier),
            "image_size": str(config.image_size),
            "mask_size": str(config.mask_size),
            "seed": config.seed,
            "budget": [config.budget.rule, config.budget.base, config.budget.max_time],
            "memory_budget": config.memory_budget,
            "device": config.device,
            "threads": config.threads,
            "sources": self._fit_sources,
            "versions": _versions(),
        }

    def _score_inputs(
        self, fitted: Fitted, train: Sequence[str], videos: Sequence[Material]
    ) -> dict[str, Any]:
        rooms = ("metrics.py", "evaluate.py", "baselines.py", "pyramid.py")
        return {
            "stage": "score",
            "fit": fitted.key,
            "train_groups": list(train),
            "videos": [_content(material) for material in videos],
            "test_stride": self.config.test_stride,
            "threshold": self.config.threshold,
            "margin": self.margin,
            "sources": source_digest([ROOM / room for room in rooms]),
        }

    @cached_property
    def _fit_sources(self) -> str:
        rooms = [ROOM / "pyramid.py", ROOM / "training.py", ROOM / "classifiers" / "base.py"]
        rooms.append(ROOM / "datasets" / "rasterise.py")
        used = {
            "dataset": self.config.dataset,
            "sampler": self.config.sampler,
            "extractor": self.config.extractor,
            "classifier": self.config.classifier,
        }
        return source_digest([*rooms, *(_room_of(kind, spec) for kind, spec in used.items())])


def _content(material: Material) -> list[str]:
    video = material.video
    return [video.name, video.image_key, video.label_key]


def _room_of(kind: str, spec: Spec) -> Path:
    """Return the folder of a plugin's module: its own and its helpers' sources."""
    source = inspect.getsourcefile(plugins.load(plugins.find(kind, spec.name)))
    return Path(source or __file__).parent


def _versions() -> dict[str, str]:
    return {package: metadata.version(package) for package in PACKAGES}
