"""What a run leaves behind, as plain data: made by the experiment, read by MLflow and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, ConfigDict

from vidseg.tasks.registry import DEFAULT
from vidseg.types import Image, Size

Row = dict[str, Any]


def _defined(numbers: Any) -> Any:
    """Leave out what JSON could not hold."""
    if not isinstance(numbers, Mapping):
        return numbers
    return {name: value for name, value in numbers.items() if value is not None}


Numbers = Annotated[dict[str, float], BeforeValidator(_defined)]
"""Numbers by name, such as scores by the names of ``Task.scores``; undefined ones are absent."""

ARRAYS = ConfigDict(arbitrary_types_allowed=True)
"""Lets pydantic read a record that has fields of arrays."""


@dataclass
class FoldRecord:
    """One finished fold: one fitted head, scored on the videos of its test groups.

    Attributes:
        index: number of the fold, from 0; the step of its metrics.
        test_groups: groups that were held out.
        train_videos, test_videos: names of the videos of each side.
        metrics: scores over the fold's test videos, by the names of ``Task.scores``.
        facts: frames, positive share, epochs, updates, pixels, seconds of the fit.
        curves: training curves, rows of (name, value, step).
        key: the cell's key in the ledger.
        cell: ``effective``: for each test video how many independent frames its frames are worth.
    """

    index: int
    test_groups: list[str]
    train_videos: list[str]
    test_videos: list[str]
    metrics: Numbers
    facts: Numbers
    curves: list[tuple[str, float, int]]
    key: str
    cell: Row


@dataclass
class DatasetRecord:
    """The data set of a run, for MLflow's ``log_input``.

    Attributes:
        name: short name.
        source: the spec as the user gave it.
        digest: hash over the videos' image and label keys, 16 hexadecimal digits.
        videos: one row a video: video, group, frames, width, height, positive_share.
        parts: of several data sets each one; nothing where it is one.
    """

    name: str
    source: str
    digest: str
    videos: list[Row]
    parts: list[DatasetRecord] = field(default_factory=list)


@dataclass
class ModelRecord:
    """The served model: the refit on all groups.

    Attributes:
        classifier, extractor: canonical spec texts, from which the plugins are built again.
        extractor_fingerprint: what the head was trained on; checked when it is loaded.
        weights: ``{"path":..., "sha256":...}`` of a local weights file, else ``{}``.
        image_size, mask_size: sizes of the experiment (``image_size`` None: native).
        threshold: scores above it are foreground.
        state: arrays of ``Model.export()``.
        example: one real image, ``uint8 (H, W, 3)``.
        task: name of what it predicts.
        epoch: of a network: after how many epochs its weights are those that are kept.
        curves: training curves of a network, rows of (name, value, step).
        checkpoints: step and safetensors file (arrays as those of ``state``) of what was kept
            before the end.
    """

    classifier: str
    extractor: str
    extractor_fingerprint: str
    weights: dict[str, str]
    image_size: Size | None
    mask_size: Size
    threshold: float
    state: dict[str, npt.NDArray[Any]]
    example: Image
    task: str = DEFAULT
    epoch: int | None = None
    curves: list[tuple[str, float, int]] = field(default_factory=list)
    checkpoints: list[tuple[int, Path]] = field(default_factory=list)

    __pydantic_config__: ClassVar[ConfigDict] = ARRAYS


@dataclass
class RunRecord:
    """A finished run: everything that MLflow shows.

    Attributes:
        name: ``"20 sgd"``: setting and pipeline; differs early, for narrow columns.
        config: the resolved configuration; ``vidseg run --config`` accepts it again.
        params: flat parameters under dotted names, such as ``sampler.n``.
        headline: mean over groups of each score, by the names of ``Task.scores``.
        per_video: one row a test video: key column ``video`` first, the primary score second.
        baselines: rows like ``per_video``'s means, key column ``baseline`` first.
        overlays: (name such as ``"worst/TUD-Campus_000012"``, picture).
        pr_curve: recall, precision: ``float64 (k,)`` each, mean over the test videos.
        notes: one line each: merged groups, lying lengths, videos without positives.
        task: name of what was predicted; its names of scores are the record's.
    """

    name: str
    config: Row
    params: dict[str, str | int | float | bool]
    dataset: DatasetRecord
    folds: list[FoldRecord] = field(default_factory=list)
    headline: Numbers = field(default_factory=dict)
    per_video: list[Row] = field(default_factory=list)
    baselines: list[Row] = field(default_factory=list)
    overlays: list[tuple[str, Image]] = field(default_factory=list)
    pr_curve: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
    model: ModelRecord | None = None
    notes: list[str] = field(default_factory=list)
    task: str = DEFAULT

    __pydantic_config__: ClassVar[ConfigDict] = ARRAYS


@dataclass
class SettingRecord:
    """One setting of a suite, over all folds and seeds.

    Attributes:
        name: ``"20 liblinear"``: arm and pipeline, as the paper names settings.
        arm, pipeline: names in the suite's file.
        run: what MLflow shows of it: scores averaged over seeds, folds of all seeds (the index of
            seed s's fold f is ``s * folds + f``).
        group_scores: for each group its scores by the names of ``Task.scores``, averaged over
            the group's videos and then over seeds; a score that is undefined for it is absent.
        by_seed: the same for each seed.
        video_scores: for each video its scores, averaged over seeds.
        facts: means over cells of what the fits recorded: train_frames, train_videos,
            train_positive_share, fit_seconds, and epochs, updates, pixels_seen where there are.
        frames: frames of each training video that were used: ``{video: [indices]}``, of the first
            seed, over all folds.
        trained: by test group a hash of the examples that its models were trained on, over folds
            and seeds; equal for two settings of one pipeline whose fits are the same.
        failures: one row a failed cell: cell, error.
        complete: every cell of the setting was scored.
        effort: what a human does for its labels: ``boxes`` drawn, frames looked at (``looks``),
            ``seconds`` where the suite has a price, and 1 for ``of_masks`` where the boxes are
            those of masks. Without a price the boxes of masks are not counted.
    """

    name: str
    arm: str
    pipeline: str
    run: RunRecord
    group_scores: dict[str, Numbers]
    by_seed: dict[int, dict[str, Numbers]]
    video_scores: dict[str, Numbers]
    facts: Numbers
    frames: dict[str, list[int]]
    failures: list[Row] = field(default_factory=list)
    complete: bool = True
    trained: dict[str, str] = field(default_factory=dict)
    effort: Numbers = field(default_factory=dict)


@dataclass
class PathRecord:
    """One setting at one value of a parameter, where a suite makes its comparisons along a path.

    Attributes:
        arm, pipeline: names in the suite's file.
        parameter: of the classifier.
        value: of the parameter.
        group_scores: as of a :class:`SettingRecord`.
    """

    arm: str
    pipeline: str
    parameter: str
    value: str | int | float | bool
    group_scores: dict[str, Numbers]


@dataclass
class ComparisonRecord:
    """Two arms that a suite compares, within one pipeline.

    Attributes:
        a, b: names of the settings; the question is whether b is better than a.
        arm_a, arm_b, pipeline: their parts.
        question: what the comparison asks, in a few words.
        same_frames: videos for which both arms took the same frames, so that they say nothing.
        lead: it is tested alone, and the others only where it told something.
    """

    a: str
    b: str
    arm_a: str
    arm_b: str
    pipeline: str
    question: str = ""
    same_frames: list[str] = field(default_factory=list)
    lead: bool = False


@dataclass
class PictureRecord:
    """One test frame with truth and prediction, small enough to stand in a report.

    Attributes:
        setting: name of the setting that predicted it.
        rank: ``worst``, ``median`` or ``best`` among the test frames of the setting.
        video, frame: which frame, counted from 0.
        score: the primary score of the frame.
        width, height: of the picture.
        jpeg: its bytes, base64.
    """

    setting: str
    rank: str
    video: str
    frame: int
    score: float
    width: int
    height: int
    jpeg: str


@dataclass
class SuiteRecord:
    """A finished suite: what its report is made of.

    Attributes:
        name: of the suite.
        question: what it asks, in one sentence.
        config: the resolved suite file; ``vidseg suite run FILE`` accepts it again.
        key: hash of ``config`` and the data set's content.
        primary: score that verdicts are about, one of ``Task.scores``.
        delta: smallest effect of interest, on that score.
        level: asked level of intervals.
        dataset: the data set.
        settings: in the order of the suite's file.
        comparisons: in the order of the suite's file, pipeline by pipeline.
        axes: for suites over a grid: the values of each arm, such as
            ``{"5 frames": {"frames": 5, "every": 1}}``.
        margin: of the task, in target pixels (see :meth:`vidseg.tasks.base.Task.margin`).
        plan: cells, forwards announced and done, seconds, bytes.
        notes: facts that the reader should know.
        task: name of what was predicted.
        paths: settings at other values of a parameter, those of which every cell is scored.
        pictures: of the settings that its report is about; none where they are not wanted.
    """

    name: str
    question: str
    config: Row
    key: str
    primary: str
    delta: float
    level: float
    dataset: DatasetRecord
    settings: list[SettingRecord]
    comparisons: list[ComparisonRecord]
    axes: dict[str, Row] = field(default_factory=dict)
    margin: float = 0.0
    plan: Row = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    task: str = DEFAULT
    paths: list[PathRecord] = field(default_factory=list)
    pictures: list[PictureRecord] = field(default_factory=list)
