"""How long cells will take: small fits and scorings are timed, and grown with frames and epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidseg.experiment.inner import inner_groups, without
from vidseg.experiment.options import INNER
from vidseg.experiment.records import Row
from vidseg.experiment.training import TrainingFrames
from vidseg.suites.cells import Cell
from vidseg.suites.label_times import time_labels
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.probes import Times, further, time_parts


def calibrate(opened: OpenedSuite, waiting: Sequence[Cell], plan: Row) -> Row:
    """Return estimated seconds of one process, from small fits and scorings that are timed.

    The times are those of an idle machine (:class:`vidseg.utils.stopwatch.Stopwatch`).

    Args:
        opened: the opened suite.
        waiting: the cells that are to be done.
        plan: of :func:`vidseg.suites.plan.make_plan`.

    Returns:
        ``seconds_forwards``: frames decoded, features computed, and true masks made;
        ``seconds_fits``: all fits, inner ones of grids and thresholds too; ``seconds_scoring``:
        every test frame of every cell, with the baselines; ``seconds_labels``: training labels that
        are made, where there are any; ``untimed``: what could not be timed.
    """
    if not waiting:
        return {"seconds_forwards": 0.0, "seconds_fits": 0.0, "seconds_scoring": 0.0}
    own = {name: [c for c in waiting if c.pipeline == name] for name in opened.experiments}
    times = {name: time_parts(opened, cells) for name, cells in own.items() if cells}
    fits = sum(_cell_seconds(opened, cell, times[cell.pipeline]) for cell in waiting)
    frame, label = (_slowest(opened, times, part) for part in ("frame", "label"))
    seconds: Row = {
        "seconds_forwards": frame * float(plan["forwards_announced"])
        + label * _masks(opened, waiting),
        "seconds_fits": fits,
        "seconds_scoring": _scoring(opened, waiting, times),
    }
    untimed = [f"the fits of {name}" for name, one in times.items() if one.fit is None]
    made, unknown = time_labels(opened, waiting)
    if made:
        seconds["seconds_labels"] = made
    if untimed := [*untimed, *(f"the labels {name}" for name in unknown)]:
        seconds["untimed"] = untimed
    return seconds


def _slowest(opened: OpenedSuite, times: Mapping[str, Times], part: str) -> float:
    """Return a part of the slowest experiment, so that the estimate errs on the long side.

    Of pipelines that share one, the least is taken: they were timed at different moments.
    """
    least: dict[int, float] = {}
    for name, one in times.items():
        place, seconds = id(opened.experiments[name]), float(getattr(one, part))
        least[place] = min(seconds, least.get(place, seconds))
    return max(least.values())


def _cell_seconds(opened: OpenedSuite, cell: Cell, times: Times) -> float:
    """Return what the fits of one cell take; 0 where they are done, or not known."""
    experiment, train = opened.experiments[cell.pipeline], opened.training(cell)
    if times.fit is None or train is None or not train.refs:
        return 0.0
    if experiment.is_fitted(cell.setting, cell.fold):
        return 0.0
    setting = cell.setting
    seconds = times.check * len(train.refs) + _fit_seconds(cell, train, times)
    if not (setting.chooses or experiment.config.threshold == INNER):
        return seconds
    factor = times.grid if setting.chooses else 1.0
    models = len(setting.tune.values) if setting.tune and setting.chooses else 1
    for group in inner_groups(train, setting.seed):
        part = without(train, group)
        held = {(ref.video, ref.index) for ref in train.refs} - {
            (ref.video, ref.index) for ref in part.refs
        }
        seconds += factor * _fit_seconds(cell, part, times) if part.refs else 0.0
        seconds += len(held) * (times.read + models * times.model)
    return seconds


def _fit_seconds(cell: Cell, train: TrainingFrames, times: Times) -> float:
    """Return what one fit takes, which may be ended by the budget."""
    assert times.fit is not None
    setting = cell.setting
    seconds = times.fit(len(train.refs), further(setting, train, setting.budget))
    seconds *= times.specs.get(str(setting.classifier), 1.0)
    return min(seconds, setting.budget.max_time or seconds)


def _masks(opened: OpenedSuite, cells: Sequence[Cell]) -> int:
    """Return how many true masks are made: once for each frame, then they are remembered."""
    found: set[tuple[str, int]] = set()
    for cell in cells:
        experiment, train = opened.experiments[cell.pipeline], opened.training(cell)
        for material in experiment.members(cell.fold.test):
            name = material.video.name
            found.update((name, at) for at in experiment.test_frames(cell.fold, material))
        if train is not None and cell.setting.labelling.plain:
            found.update((ref.video, ref.index) for ref in train.refs)
    return len(found)


def _scoring(opened: OpenedSuite, cells: Sequence[Cell], times: Mapping[str, Times]) -> float:
    """Return what scoring takes: each test frame is read once for the cells of a fold."""
    seconds = 0.0
    for together in opened.together(cells):
        own = times[together[0].pipeline]
        experiment, fold = opened.experiments[together[0].pipeline], together[0].fold
        members = experiment.members(fold.test)
        frames = sum(len(experiment.test_frames(fold, material)) for material in members)
        trains = [train for cell in together if (train := opened.training(cell)) is not None]
        sets = {train.content: train for train in trains}
        models = sum(times[cell.pipeline].model for cell in together)
        seconds += frames * (own.read + models + own.baselines * len(sets))
        seconds += own.learn * sum(len(train.refs) for train in sets.values())
    return seconds
