"""What a task is: what is predicted, how it is counted, and what its tables are called.

The engine (experiment, suites, statistics, tracking, serving, report, command line) works through
this contract; it gets a task from :func:`vidseg.tasks.registry.find_task` alone. What it passes
from one method of a task to another (targets, references, counts, outputs) is the task's own; the
engine looks at it only as far as :class:`Counts` says.

A score is a number for one video or frame; nan where it is undefined. The primary score is a share
in 0..1, and more is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vidseg.plugins.spec import Spec
from vidseg.types import Image, Labels, Network, Scores, Size, TrainingSet, Video

Target = npt.NDArray[Any]
"""What a frame's labels ask for: ``int8 (h, w)`` in {-1, 0, +1} for segmentation."""

Output = npt.NDArray[Any]
"""What is decided about one image: ``bool (H, W)`` for segmentation."""

Row = dict[str, Any]

MOST = 240
"""Pictures on one contact sheet."""


class Tally(NamedTuple):
    """How refining training labels went in one frame.

    Attributes:
        boxes: foreground boxes that lie in their frame, at least in part.
        failed: those that stayed boxes, because they could not be refined.
    """

    boxes: int
    failed: int


class Score(NamedTuple):
    """One score of a task.

    Attributes:
        label: its name in tables.
        share: whether it is a share in 0..1, shown in percent.
    """

    label: str
    share: bool = True


class Readings(NamedTuple):
    """A table that shows some numbers of a summary side by side, in percent.

    Attributes:
        title: of the table.
        columns: (key of the summary, heading).
        spans: (heading above, columns below it).
        notes: below the table.
    """

    title: str
    columns: Sequence[tuple[str, str]]
    spans: Sequence[tuple[str, int]]
    notes: Sequence[str]


@dataclass(frozen=True)
class Words:
    """What tables say about a task.

    Attributes:
        empty: what a video without positives lacks: ``"no foreground pixel"``.
        left_out: the means that such a video leaves: ``"every mean but accuracy's"``.
        positives: heading of the share of positives: ``"positive pixels"``.
        baselines: heading of each baseline, by name.
        baselines_note: what the baselines are.
        scores_note: about the scores; ``{margin}`` is the margin in target pixels.
        effort: what is drawn on a frame when labels are priced: ``"one person"``.
        target: what a target is called: ``"mask"``.
        nothing: (score, name of finding nothing, good at it): ``("accuracy", "all background")``.
        ranking: a score that has no threshold, "" without one.
        threshold: what to try where scores rank well and decide badly.
        legend: (CSS colour, what it stands for) in a thumbnail.
    """

    empty: str
    positives: str
    left_out: str = "every mean"
    baselines: Mapping[str, str] = field(default_factory=dict)
    baselines_note: str = ""
    scores_note: str = ""
    effort: str = "one object"
    target: str = "target"
    nothing: tuple[str, str] = ("", "")
    ranking: str = ""
    threshold: str = "another threshold"
    legend: Sequence[tuple[str, str]] = ()


class ScoredVideo(Protocol):
    """A video at the sizes of an experiment."""

    @property
    def video(self) -> Video: ...
    @property
    def labelled(self) -> Sequence[int]: ...
    @property
    def mask_size(self) -> Size: ...

    def mask(self, index: int) -> Target:
        """Return the true target of frame ``index``."""
        ...


class Counts(Protocol):
    """What one model did on one test video: everything that scores are made of.

    Attributes:
        video, group: names.
        frames: the 0-based frames that were counted, ascending.
        positive_share: share of the truth that is to be found, 0..1; 0 where there is nothing to
            find: such a video leaves both arms of a comparison.
    """

    video: str
    group: str
    frames: list[int]

    @property
    def positive_share(self) -> float: ...

    def add(self, frame: int, scores: Scores, reference: Any, threshold: float) -> None:
        """Count one more frame.

        Args:
            frame: its index.
            scores: ``float32 (h, w)`` of the model, finite.
            reference: of the frame's target, see :meth:`Task.reference`.
            threshold: scores above it are positive.
        """
        ...

    def scores(self) -> dict[str, float]:
        """Return the video's scores by the names of :attr:`Task.scores`."""
        ...

    def frame_scores(self, name: str) -> npt.NDArray[np.float64]:
        """Return one score of each frame, ``float64 (len(frames),)``."""
        ...

    def merged(self, other: Any) -> Counts:
        """Return the counts of both, of different frames of one video, in the order of time."""
        ...

    def to_json(self) -> Row:
        """Return plain data, which :meth:`Task.read_counts` reads back."""
        ...


class Chosen(Protocol):
    """A threshold that held-out training groups chose.

    Attributes:
        threshold: scores above it are positive.
        facts: of the fit: ``threshold`` and what it was chosen by.
        text: the same in words.
    """

    @property
    def threshold(self) -> float: ...
    @property
    def facts(self) -> dict[str, float]: ...
    @property
    def text(self) -> str: ...


class Task(Protocol):
    """What is predicted and how it is counted.

    Attributes:
        name: part of a cell's key and of a model's description.
        scores: the scores of a video by name, in the order of tables of one run.
        primary: the score that verdicts are about unless a suite says otherwise.
        secondary: a score whose difference stands beside the primary's, or None.
        shown: scores that a run's table on the terminal has beside the primary.
        report_order: scores in the order of a report's table.
        readings: more tables of the report.
        words: what tables say.
        refinements: values of the option ``refine``, the first changes nothing.
        suffix: of the file that an output becomes, such as ``".png"``.
        columns: (MLflow type, name) of what a served model answers for one image.
    """

    @property
    def name(self) -> str: ...
    @property
    def scores(self) -> Mapping[str, Score]: ...
    @property
    def primary(self) -> str: ...
    @property
    def secondary(self) -> str | None: ...
    @property
    def shown(self) -> Sequence[str]: ...
    @property
    def report_order(self) -> Sequence[str]: ...
    @property
    def readings(self) -> Sequence[Readings]: ...
    @property
    def words(self) -> Words: ...
    @property
    def refinements(self) -> Sequence[str]: ...
    @property
    def suffix(self) -> str: ...
    @property
    def columns(self) -> Sequence[tuple[str, str]]: ...

    # training: called by experiment/

    def target(self, labels: Labels, size: Size, *, where: object = "labels") -> Target:
        """Return what the labels of one frame ask for at ``size``, whatever the native size.

        Raises:
            DataError: labels that cannot be drawn; names ``where``.
        """
        ...

    def refine_rule(self, how: str) -> tuple[str, ...] | None:
        """Return what refined targets depend on beside labels and frame.

        None where a target needs the labels only; else :meth:`refine` is given the frame, and what
        it makes is kept in the store.
        """
        ...

    def refine(
        self, labels: Labels, size: Size, how: str, image: Image | None, *, where: object
    ) -> tuple[Target, Tally]:
        """Return a training target made of labels by the option ``refine``.

        Args:
            labels: of a frame.
            size: of the target.
            how: value of the option ``refine``.
            image: the frame, ``uint8 (H, W, 3)`` at native size, where :meth:`refine_rule` asks.
            where: names video and frame in errors.

        Raises:
            DataError, UsageError: labels that cannot be drawn or refined.
        """
        ...

    def check(self, train: TrainingSet) -> dict[str, float]:
        """Return facts of the training targets; what cannot be learnt is refused.

        Returns:
            ``train_pixels``, ``train_positive_share`` among others.

        Raises:
            DataError: the targets cannot be learnt, such as one class only.
        """
        ...

    def baselines(self, train: TrainingSet) -> dict[str, Network]:
        """Return simple predictors by name, learnt from the training frames."""
        ...

    def check_prior(self, classifier: Spec, prior: float | None) -> None:
        """Refuse class weights to a prior that a classifier cannot take; None asks for nothing.

        Raises:
            UsageError: names the classifier.
        """
        ...

    def weighted(
        self, classifier: Spec, prior: float, facts: Mapping[str, float]
    ) -> tuple[Spec, dict[str, float]]:
        """Return the classifier with class weights to a prior, and what to record of them.

        Args:
            classifier: resolved spec.
            prior: the share that positives shall weigh, in (0, 1).
            facts: of :meth:`check`.
        """
        ...

    def best_threshold(self, groups: Sequence[Sequence[Any]]) -> Chosen:
        """Return the threshold with the best primary score over held-out groups.

        Args:
            groups: for each group the :class:`Counts` of its videos, made with margin 0.

        Raises:
            DataError: no video has positives.
        """
        ...

    # counting: called by experiment/ and suites/

    def margin(self, videos: Iterable[ScoredVideo]) -> float:
        """Return the length that counting needs, in pixels of the target: part of scores' keys."""
        ...

    def reference(self, target: Target, margin: float) -> Any:
        """Return what frames are counted against: made once a frame, used for every model."""
        ...

    def counts(self, video: str, group: str) -> Counts:
        """Return counts of a video without any frame."""
        ...

    def read_counts(self, data: Mapping[str, Any]) -> Counts:
        """Return what :meth:`Counts.to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError: the data is damaged.
        """
        ...

    def summary(self, videos: Sequence[Any]) -> dict[str, float]:
        """Return the headline of a set of test videos: means over groups of their scores, and more.

        Undefined numbers are left out.
        """
        ...

    def curve(
        self, videos: Sequence[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Return (recall, mean precision) over videos, or None where there is none.

        On its plot the summary's ``precision`` and ``recall`` are marked, and ``ap`` is named.
        """
        ...

    def choose_frames(self, videos: Sequence[Any]) -> list[tuple[str, str, int]]:
        """Return (rank, video, frame) of the frames whose pictures a run keeps."""
        ...

    # pictures and served answers: called by experiment/, serving/, tracking/ and cli/

    def draw(
        self, image: Image, target: Target, scores: Scores, threshold: float, text: str
    ) -> Image:
        """Return a picture of truth and prediction, ``uint8 (H', W', 3)``.

        Args:
            image: ``uint8 (H, W, 3)``.
            target, scores: of the frame, at the target's size.
            threshold: scores above it are positive.
            text: the caption's beginning.
        """
        ...

    def thumbnail(self, image: Image, target: Target, scores: Scores, threshold: float) -> Image:
        """Return one picture of truth and prediction, as large as the image."""
        ...

    def contact_sheet(
        self, videos: Sequence[Video], groups: Mapping[str, str], frames: int
    ) -> Image:
        """Return a picture of a few frames of each video with their truth."""
        ...

    def describe(self, labels: Iterable[Labels]) -> Row:
        """Return columns of a table about the labels of one video's frames.

        Raises:
            DataError: labels that cannot be drawn; names the frame.
        """
        ...

    def about_labels(self, dataset: str) -> str:
        """Return what to know about the targets that a data set of this name has; or nothing."""
        ...

    def decide(self, scores: Scores, threshold: float) -> Output:
        """Return what scores at an image's own size say about it."""
        ...

    def draw_output(self, image: Image, output: Output) -> Image:
        """Return the image with what was decided drawn on it."""
        ...

    def encode(self, output: Output) -> bytes:
        """Return an output as the bytes of a file, see :attr:`suffix`."""
        ...

    def answer(self, output: Output) -> Row:
        """Return an output as the row that a served model answers, see :attr:`columns`."""
        ...
