"""``tune:`` of a suite: each cell takes the best value of a grid in inner folds of its own groups.

At most three training groups are held out once each (:mod:`vidseg.experiment.inner`); each value
of the grid is fitted on the others, and the value with the best mean primary score is taken. No
test frame is looked at. What one value scored on one group is kept in the cell's work folder, so
that a fit that was killed does not repeat it.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.base import Classifier, FitContext
from vidseg.errors import DataError
from vidseg.experiment.config import CHOSEN, Setting, Tuning
from vidseg.experiment.inner import count_frames, inner_context, inner_groups, without
from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.base import ExtractorHandle
from vidseg.plugins.spec import Spec
from vidseg.tasks.base import Counts, Task
from vidseg.tasks.means import mean_over_groups
from vidseg.types import Model
from vidseg.utils.files import write_atomic
from vidseg.utils.progress import ProgressBar

Floats = npt.NDArray[np.float64]
Make = Callable[[TrainingFrames, Spec], Classifier]
"""Returns the classifier of a spec for a set of training frames."""


@dataclass(frozen=True)
class Tuned:
    """What tuning came to.

    Attributes:
        setting: with the chosen value.
        facts: of the fit: ``tune_index`` (-1 where nothing could be chosen), ``tune_value`` where
            it is a number, ``tune_groups``, ``tune_fits``, ``tune_seconds``, and
            ``tune_score_0``... of each value.
        counts: of the chosen value, for each held-out group the counts of its videos.
    """

    setting: Setting
    facts: dict[str, float] = field(default_factory=dict)
    counts: list[list[Counts]] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """One value on one held-out group.

    Attributes:
        counts: of the group's videos.
        seconds: of fit and scoring.
        error: why it could not be fitted, such as a loss that is not finite; empty where it was.
    """

    counts: list[Counts] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""

    def score(self, task: Task) -> float:
        """Return the mean primary score of the group's videos, nan where it is undefined."""
        rows = ((one.group, one.scores()) for one in self.counts)
        return mean_over_groups(rows).get(task.primary, math.nan)


@dataclass(frozen=True)
class Trials:
    """The inner fits of one cell.

    Attributes:
        train: the training frames.
        setting: its grid is tuned.
        make: see :data:`Make`.
        handle: the extractor.
        ctx: of the fit.
        task: counts the frames.
        threshold: scores above it are positive.
    """

    train: TrainingFrames
    setting: Setting
    make: Make
    handle: ExtractorHandle
    ctx: FitContext
    task: Task
    threshold: float

    @property
    def grid(self) -> Tuning:
        """The grid."""
        assert self.setting.tune is not None
        return self.setting.tune

    def of_group(self, number: int, group: str, bar: ProgressBar) -> list[Trial]:
        """Return a trial of each value with one group held out; those that are kept are read."""
        found = self._kept(number)
        for _ in found:
            bar.advance()
        for index, trial in self._missing(number, group, found):
            found[index] = trial
            if self.ctx.rank == 0:
                _write(self._file(number, index), trial)
            bar.advance()
        self._clear(self.ctx.workdir / f"tune-{number}")
        return [found[index] for index in range(len(self.grid.values))]

    def _missing(
        self, number: int, group: str, found: Mapping[int, Trial]
    ) -> Iterator[tuple[int, Trial]]:
        left = [index for index in range(len(self.grid.values)) if index not in found]
        if not left:
            return
        part, held = without(self.train, group), self.train.subset([group])
        try:
            first = self.make(part, self.grid.candidate(self.setting.classifier, 0))
        except DataError as error:  # the others alone cannot be learnt
            self.ctx.progress.say(f"{group} is not held out: {error}")
            yield from ((index, Trial()) for index in left)
            return
        if self.grid.parameter in getattr(first, "paths", ()):
            yield from self._along_path(first, number, part, held, left)
            return
        for index in left:
            yield index, self._alone(number, part, held, index)

    def _along_path(
        self,
        classifier: Any,
        number: int,
        part: TrainingFrames,
        held: TrainingFrames,
        left: Sequence[int],
    ) -> Iterator[tuple[int, Trial]]:
        """Fit all values, each from the solution before, of which checkpoints are kept."""
        began = time.perf_counter()
        inner = inner_context(self.ctx, f"tune-{number}")
        models = classifier.fit_path(self.grid.values, part, self.handle, inner)
        wanted = {index: models[index] for index in left}
        counted = self._counted(wanted, held)
        seconds = (time.perf_counter() - began) / len(left)
        for index in left:
            yield index, Trial(counted[index], seconds)

    def _alone(self, number: int, part: TrainingFrames, held: TrainingFrames, index: int) -> Trial:
        """Fit one value; where it cannot be fitted, the others may.

        Raises:
            DataError: in one of several processes, which would wait for each other.
        """
        began = time.perf_counter()
        inner = inner_context(self.ctx, f"tune-{number}/{index}")
        classifier = self.make(part, self.grid.candidate(self.setting.classifier, index))
        try:
            model = classifier.fit(part, self.handle, inner)
            counts = self._counted({0: model}, held)[0]
        except DataError as error:
            if self.ctx.world > 1:
                raise
            return Trial([], time.perf_counter() - began, str(error))
        self._clear(inner.workdir)
        return Trial(counts, time.perf_counter() - began)

    def _counted(
        self, models: Mapping[int, Model], held: TrainingFrames
    ) -> dict[int, list[Counts]]:
        return count_frames(models, held, self.ctx, self.task, self.threshold)

    def _kept(self, number: int) -> dict[int, Trial]:
        """Return the trials that an earlier fit of the cell kept; the first process decides."""
        ctx, count = self.ctx, len(self.grid.values)
        read = {i: _read(self._file(number, i), self.task) for i in range(count)}
        there = np.array([float(read[i] is not None) for i in range(count)])
        there = ctx.reduce(there if ctx.rank == 0 else np.zeros(count))
        return {i: read[i] or Trial() for i in range(count) if there[i]}

    def _clear(self, folder: Path) -> None:
        if self.ctx.world == 1:  # another process may still be at work there
            shutil.rmtree(folder, ignore_errors=True)

    def _file(self, number: int, index: int) -> Path:
        return self.ctx.workdir / f"tune-{number}-{index}.json"


def tune(trials: Trials) -> Tuned:
    """Return a setting with the best value of its grid.

    Where the training frames belong to one group, or no inner fold can be scored (nothing to find
    in the group that is held out, or in the others), the classifier stays as the pipeline has it.

    Raises:
        DataError: no value can be fitted.
    """
    ctx, grid = trials.ctx, trials.grid
    groups = inner_groups(trials.train, ctx.seed)
    if not groups:
        only = trials.train.groups[0]
        return _untuned(trials, f"the training frames belong to one group ({only})")
    text = f"choosing {grid.parameter} in inner folds"
    with ctx.progress.task(text, len(groups) * len(grid.values)) as bar:
        rows = [trials.of_group(number, group, bar) for number, group in enumerate(groups)]
    means = _means(rows, trials)
    best = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
    index = -1 if np.isnan(means).all() else best
    # processes may differ in the last bits: the first one's choice counts
    index = int(ctx.reduce(np.array([float(index if ctx.rank == 0 else 0)]))[0])
    if index < 0:
        return _untuned(trials, "no inner fold can be scored")
    return _tuned(trials, rows, means, index)


def _means(rows: Sequence[Sequence[Trial]], trials: Trials) -> Floats:
    """Return the mean score of each value over the groups, nan for one that was not fitted.

    Raises:
        DataError: none was fitted.
    """
    errors = [next((row[i].error for row in rows if row[i].error), "") for i in range(len(rows[0]))]
    for value, error in zip(trials.grid.values, errors, strict=True):
        if error:
            trials.ctx.progress.say(f"{trials.grid.parameter}={value} is left out: {error}")
    if all(errors):
        raise DataError(
            f"no value of {trials.grid} can be fitted, the first with: {errors[0]}", where="tune"
        )
    scores = np.array([[trial.score(trials.task) for trial in row] for row in rows])
    seen = scores[~np.isnan(scores).all(axis=1)]
    means = seen.mean(axis=0) if len(seen) else np.full(len(errors), np.nan)
    return np.where([bool(error) for error in errors], np.nan, means)


def _tuned(trials: Trials, rows: Sequence[Sequence[Trial]], means: Floats, index: int) -> Tuned:
    ctx, grid = trials.ctx, trials.grid
    label = trials.task.scores[trials.task.primary].label
    facts = {
        **_chosen(grid, index, len(rows)),
        "tune_fits": float(len(rows) * len(grid.values)),
        "tune_seconds": sum(trial.seconds for row in rows for trial in row),
    }
    for place, (value, mean) in enumerate(zip(grid.values, means, strict=True)):
        if not math.isnan(mean):
            facts[f"tune_score_{place}"] = float(mean)
            ctx.log("tune/score", float(mean), place)
        if _is_number(value):
            ctx.log("tune/value", float(value), place)
    told = ", ".join(f"{v} ({label} {m:.3f})" for v, m in zip(grid.values, means, strict=True))
    ctx.progress.say(
        f"{grid.parameter}={grid.values[index]} of {told} on {len(rows)} held-out training groups"
    )
    setting = replace(trials.setting, classifier=grid.candidate(trials.setting.classifier, index))
    return Tuned(setting, facts, [list(row[index].counts) for row in rows])


def _untuned(trials: Trials, reason: str) -> Tuned:
    """Return the setting as it is."""
    parameter, params = trials.grid.parameter, trials.setting.classifier.params
    value = params.get(parameter)
    trials.ctx.progress.say(f"{parameter} is not tuned, it stays {value}: {reason}")
    facts = {CHOSEN: -1.0, "tune_groups": 0.0, "tune_fits": 0.0, "tune_seconds": 0.0}
    if _is_number(value):
        facts["tune_value"] = float(value)
    return Tuned(trials.setting, facts)


def _chosen(grid: Tuning, index: int, groups: int) -> dict[str, float]:
    value = grid.values[index]
    number = {"tune_value": float(value)} if _is_number(value) else {}
    return {CHOSEN: float(index), **number, "tune_groups": float(groups)}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _write(path: Path, trial: Trial) -> None:
    rows = [counts.to_json() for counts in trial.counts]
    content = {"counts": rows, "seconds": trial.seconds, "error": trial.error}
    write_atomic(path, json.dumps(content).encode())


def _read(path: Path, task: Task) -> Trial | None:
    """Return a trial that was kept, None where there is none, or its file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        counts = [task.read_counts(row) for row in content["counts"]]
        return Trial(counts, float(content["seconds"]), str(content["error"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
