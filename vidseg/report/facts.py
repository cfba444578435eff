"""What a report knows of one suite: numbers computed once, plain data, no words and no layout."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum

from vidseg.experiment.records import PictureRecord, Row
from vidseg.report.baselines import unbeaten
from vidseg.stats import (
    Allocation,
    Comparison,
    Decision,
    ExchangeRate,
    GainCurve,
    Standing,
    Verdict,
)
from vidseg.tasks.registry import DEFAULT, find_task
from vidseg.utils.json import finite


class Kind(StrEnum):
    """What a suite's sentence is about."""

    COMPARISONS = "comparisons"
    GAIN_CURVE = "gain curve"
    ISO_BUDGET = "iso budget"
    LEAKAGE = "leakage"
    SETTINGS = "settings"


class Role(StrEnum):
    """What the verdict of a comparison is worth.

    ``lead``: tested alone. ``family``: guarded by Holm with the others of its kind.
    ``exploratory``: no verdict, because the lead could not tell. ``sensitivity``: by itself; a
    check with another pipeline. ``oracle``: by itself; one arm is an oracle, never advised.
    """

    LEAD = "lead"
    FAMILY = "family"
    EXPLORATORY = "exploratory"
    SENSITIVITY = "sensitivity"
    ORACLE = "oracle"

    @property
    def alone(self) -> bool:
        """Whether it is outside the family: no other comparison bears on its verdict."""
        return self in (Role.SENSITIVITY, Role.ORACLE)


@dataclass(frozen=True)
class SettingFacts:
    """One setting.

    Attributes:
        name, arm, pipeline: as in the record.
        scores: means over groups of each score, and the pooled values, all 0..1.
        groups: the primary score of each group, seeds averaged; None where undefined.
        videos: the primary score of each test video, the same way.
        seeds: seeds whose cells are all there.
        seed_spread: standard deviation over seeds of the mean over groups; None with one seed.
        budget: means over cells of what the fits recorded (train_frames, epochs, ...).
        costs: values of C that the fits used, ascending; empty for classifiers without one.
        labelled: distinct frames of all videos that the arm needs labels for, copies not counted.
        per_video: fewest and most such frames of one video; None if unknown.
        mean_frames: their mean over the videos, one decimal; None if unknown.
        baselines: primary score of each baseline that was fitted on the same frames.
        failures: one row a failed cell: cell, error.
        complete: every cell was scored.
        oracle: its frames were chosen by their labels: compared, and never advised.
        tuned: what its cells were fitted with where the pipeline is tuned: (value, number of
            cells), in the order of the grid; such as ``(("0.1", 3), ("1 (not tuned)", 1))``.
        trained: by test group a hash of what its models were trained on.
        effort: what a human does for its labels (boxes, looks, seconds, of_masks), as far as it
            was counted.
    """

    name: str
    arm: str
    pipeline: str
    scores: dict[str, float]
    groups: dict[str, float | None]
    videos: dict[str, float | None]
    seeds: int
    seed_spread: float | None
    budget: dict[str, float]
    costs: tuple[float, ...]
    labelled: int
    per_video: tuple[int, int] | None
    baselines: dict[str, float | None]
    failures: list[Row]
    complete: bool
    oracle: bool = False
    tuned: tuple[tuple[str, int], ...] = ()
    trained: dict[str, str] = field(default_factory=dict)
    mean_frames: float | None = None
    effort: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """One comparison of the suite.

    Attributes:
        a, b, arm_a, arm_b, pipeline, question: as in the record.
        result: the comparison on the primary score; None if it cannot be made.
        reason: why it cannot.
        role: what its verdict is worth.
        family: how many comparisons are guarded together, this one among them; of exploratory
            ones, how many would be.
        same_groups: groups that are left out, because both arms trained on the same frames.
        carried: the group without which less than half of the difference is left, "" if none.
        without: the mean difference of the others.
        groups_needed: groups that would tell, delta or nothing, among this many comparisons; None
            if unknown, or if there are as many already.
        groups_for_seen: groups that would show a difference as large as the one seen.
        secondary: mean over groups of the difference in the task's secondary score; None if
            undefined.
        ranking: the same in the task's score without a threshold.
        same_frames: videos for which both arms took the same frames.
        extra_frames: labelled frames of b beyond a's; negative if b needs fewer.
        leaky: the arms are split in different ways.
    """

    a: str
    b: str
    arm_a: str
    arm_b: str
    pipeline: str
    question: str
    result: Comparison | None
    reason: str
    groups_needed: int | None
    groups_for_seen: int | None
    secondary: float | None
    same_frames: list[str]
    extra_frames: int
    leaky: bool
    role: Role = Role.FAMILY
    family: int = 1
    same_groups: list[str] = field(default_factory=list)
    carried: str = ""
    without: float | None = None
    ranking: float | None = None

    @property
    def told(self) -> bool:
        """Whether it has a verdict."""
        return self.result is not None and self.result.verdict is not Verdict.CANNOT_TELL

    @property
    def p_floor(self) -> float:
        """The smallest p that it can reach, after Holm's correction."""
        return min(1.0, self.family * self.result.p_floor) if self.result else 1.0


@dataclass(frozen=True)
class PathPoint:
    """A comparison with both arms at one value of a parameter, by itself."""

    value: str | int | float | bool
    result: Comparison


@dataclass(frozen=True)
class Path:
    """One comparison along the path of a parameter.

    Attributes:
        a, b, arm_a, arm_b, pipeline: as of its :class:`Pair`.
        parameter: of the classifier, such as ``C``.
        points: in the order of the path.
        own: the comparison with each arm as its pipeline has it, such as at its own best; by
            itself, without Holm's correction.
    """

    a: str
    b: str
    arm_a: str
    arm_b: str
    pipeline: str
    parameter: str
    points: list[PathPoint]
    own: Comparison


@dataclass(frozen=True)
class Curve:
    """Score against frames per video, for one pipeline and one value of the other axes.

    Attributes:
        pipeline: its name.
        label: the other axes in words, such as ``"every 5"``.
        settings: names, by ascending count.
        counts: frames per video that were trained on: the mean over the videos.
        means: mean over the groups that have all counts; None where undefined.
        groups: the score of each group at each count.
        fit: the fitted curve; None with fewer than five counts.
        reason: why there is no fit.
        alike: a line for each setting that is no point of its own, as it took the same frames.
    """

    pipeline: str
    label: str
    settings: list[str]
    counts: list[float]
    means: list[float | None]
    groups: dict[str, list[float | None]]
    fit: GainCurve | None
    reason: str
    alike: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """What to label for one budget, where one more video costs as much as ``video_cost`` frames."""

    video_cost: int
    budget: int
    best: Allocation


@dataclass(frozen=True)
class Grid:
    """Score over videos x frames per video, for one pipeline.

    Attributes:
        pipeline, label: as of a :class:`Curve`.
        videos, frames: levels, ascending; frames per video that were trained on.
        settings: names, ``[video level][frame level]``, "" where a place is empty.
        means: mean primary score over groups at each place.
        rate: the exchange rate at the middle of the grid; None if it cannot be computed.
        reason: why not.
        around: the exchange rate at every place of the grid, the middle included.
        splits: the best split of a budget at three costs of a video.
        alike: as of a :class:`Curve`.
    """

    pipeline: str
    label: str
    videos: list[int]
    frames: list[float]
    settings: list[list[str]]
    means: list[list[float | None]]
    rate: ExchangeRate | None
    reason: str
    around: list[ExchangeRate]
    splits: list[Split]
    alike: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FrameList:
    """The frames to label for one setting.

    Attributes:
        setting, arm: names.
        advised: the suite found that this is the arm to take. If not, it is a candidate only.
        frames: 0-based frame indices by video.
    """

    setting: str
    arm: str
    advised: bool
    frames: dict[str, list[int]]


@dataclass(frozen=True)
class Report:
    """Everything that a report of one suite says.

    Attributes:
        suite, question, key: of the suite.
        kind: what its sentence is about.
        headline: what to do, in plain words.
        certainty: how sure that is, in one sentence.
        evidence: the comparison, curve or grid behind it, with its statistics.
        decision: which setting to take; None where the suite is about splits or one setting.
        lead: index of the pair, curve or grid that the evidence is about; None without one.
        primary, delta, level: of the verdicts.
        dataset: name, source, digest and one row a video.
        labels: how masks were made, in words, where that is known.
        groups: names of all groups, sorted.
        settings, pairs, curves, grids: see there; in the order of the suite's file.
        effective: per test video: frames, and the fewest and most effective frames over settings.
        frame_lists: one for each distinct list; the advised or candidate one first.
        config: the resolved suite file.
        axes: values of each arm of a grid.
        margin: of the task, in target pixels.
        hints: what looks wrong, and what to try: one line a kind, those about the advice first.
        near: how many of the hints are about the advice or the whole suite.
        pictures: test frames of the main settings; none where they are not wanted.
        plan: what was announced and done.
        notes: facts that the reader should know.
        task: name of what was predicted.
        paths: the comparisons along the path of a parameter, of the suites that have one.
    """

    suite: str
    question: str
    key: str
    kind: Kind
    headline: str
    certainty: str
    evidence: str
    decision: Decision | None
    lead: int | None
    primary: str
    delta: float
    level: float
    dataset: Row
    labels: str
    groups: list[str]
    settings: list[SettingFacts]
    pairs: list[Pair]
    curves: list[Curve]
    grids: list[Grid]
    effective: list[Row]
    frame_lists: list[FrameList]
    config: Row
    axes: dict[str, Row]
    margin: float
    plan: Row
    notes: list[str] = field(default_factory=list)
    task: str = DEFAULT
    hints: list[str] = field(default_factory=list)
    near: int = 0
    paths: list[Path] = field(default_factory=list)
    pictures: list[PictureRecord] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The answer: what to do, and how sure that is."""
        return f"{self.headline} {self.certainty}".strip()

    @property
    def chosen(self) -> SettingFacts | None:
        """The setting that is advised, or the best guess; None where there is neither."""
        name = self.decision.choice if self.decision else None
        return None if name is None else self.setting(name)

    @property
    def shown(self) -> bool:
        """Whether the choice is shown, with a score that says something."""
        shown = self.decision is not None and self.decision.standing is Standing.SHOWN
        return shown and self.unbeaten is None

    @property
    def unbeaten(self) -> str | None:
        """The baseline that the choice does not beat, None if it beats all."""
        one = self.chosen
        return unbeaten(one.scores.get(self.primary), one.baselines) if one else None

    @property
    def unit(self) -> str:
        """Name of the primary score."""
        return find_task(self.task).scores[self.primary].label

    @property
    def failures(self) -> list[Row]:
        """One row a failed cell: setting, cell, error."""
        return [{"setting": s.name, **row} for s in self.settings for row in s.failures]

    @property
    def to_label(self) -> FrameList | None:
        """The frames to label; None where the suite has not shown which."""
        return next((one for one in self.frame_lists if one.advised), None)

    def frames_of(self, name: str) -> dict[str, list[int]] | None:
        """Return the frames that a setting takes; None where they are not known."""
        arms = {setting.name: setting.arm for setting in self.settings}
        own = [one for one in self.frame_lists if one.setting == name]
        same = [one for one in self.frame_lists if one.arm == arms.get(name)]
        return next((one.frames for one in own + same), None)

    def setting(self, name: str) -> SettingFacts:
        """Return a setting by name."""
        return next(s for s in self.settings if s.name == name)

    def to_json(self) -> Row:
        """Return plain data that strict JSON holds: not finite is None. Pixels are left out."""
        data: Row = finite(dataclasses.asdict(self))
        for picture in data["pictures"]:
            del picture["jpeg"]
        return {**data, "sentence": self.sentence}
