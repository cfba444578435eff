"""From a suite to its cells: which settings are fitted on which fold with which seed."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vidseg.errors import UsageError
from vidseg.experiment.config import Scalar, Setting
from vidseg.experiment.splits import Fold, folds
from vidseg.suites.arms import Arm, setting_name
from vidseg.suites.suite import Suite


@dataclass(frozen=True)
class Cell:
    """One setting on one fold with one seed.

    Attributes:
        id: ``"20 liblinear/fold 0/seed 0"``; unique within the suite.
        name: of its setting, ``"20 liblinear"``.
        arm: of the suite.
        pipeline: name of the pipeline.
        setting: what is trained.
        fold: training and test side.
        seed: of the suite's seeds.
        parent: id of the cell whose fitted model it starts from, or whose choice it takes; None
            without one.
        depth: how many cells come before it along such edges.
        at: the value of its pipeline's path, None for what the setting itself is.
    """

    id: str
    name: str
    arm: Arm
    pipeline: str
    setting: Setting
    fold: Fold
    seed: int
    parent: str | None = None
    depth: int = 0
    at: Scalar | None = None


def expand(suite: Suite, groups: Mapping[str, str]) -> list[Cell]:
    """Return the cells of a suite: settings in the file's order, then folds, then seeds.

    Args:
        suite: the suite.
        groups: group by video name, after the content check.

    Raises:
        DataError: the split needs more groups than there are.
    """
    plans: dict[str, list[Fold]] = {}
    cells = []
    for arm, pipeline in suite.settings:
        split = str(arm.split)
        if split not in plans:
            plans[split] = folds(arm.split, groups, suite.file.fold_seed)
        name = setting_name(arm, pipeline)
        for seed in suite.seeds(arm):
            setting, depth = suite.setting(arm, pipeline, seed), suite.depth(arm, pipeline)
            for fold in plans[split]:
                before = setting.before
                parent = f"{before.name}/{_place(fold, before.setting.seed)}" if before else None
                id_ = f"{name}/{_place(fold, seed)}"
                cells.append(Cell(id_, name, arm, pipeline, setting, fold, seed, parent, depth))
                cells += _along_path(suite, arm, pipeline, seed, fold)
    return cells


def _along_path(suite: Suite, arm: Arm, pipeline: str, seed: int, fold: Fold) -> list[Cell]:
    """Return the cells of one setting at each value of its path; none where it has none."""
    path, cells = suite.path(arm, pipeline), []
    setting = suite.setting(arm, pipeline, seed)
    for index, value in enumerate(path.values if path else ()):
        assert path is not None
        own = replace(
            setting,
            classifier=path.candidate(setting.classifier, index),
            init=None,
            tune=None,
            follow=None,
            twin=setting if setting.tune else None,
        )
        name = f"{setting_name(arm, pipeline)} {path.parameter}={value}"
        id_ = f"{name}/{_place(fold, seed)}"
        cells.append(Cell(id_, name, arm, pipeline, own, fold, seed, at=value))
    return cells


def _place(fold: Fold, seed: int) -> str:
    return f"fold {fold.index}/seed {seed}"


def select(cells: Sequence[Cell], patterns: str | Sequence[str] | None) -> list[Cell]:
    """Return the cells whose id matches a shell pattern, or holds it, and those they start from.

    Args:
        cells: of a suite.
        patterns: one, or several of which one is enough; none: all cells.

    Raises:
        UsageError: no cell matches one of them.
    """
    asked = [patterns] if isinstance(patterns, str) else list(patterns or ())
    if not any(asked):
        return list(cells)
    found = [cell for pattern in asked for cell in _matching(cells, pattern)]
    by_id, wanted = {cell.id: cell for cell in cells}, set[str]()
    for cell in found:
        before: Cell | None = cell
        while before is not None and before.id not in wanted:
            wanted.add(before.id)
            before = by_id.get(before.parent or "")
    return [cell for cell in cells if cell.id in wanted]


def _matching(cells: Sequence[Cell], pattern: str) -> list[Cell]:
    found = [cell for cell in cells if fnmatch.fnmatchcase(cell.id, pattern) or pattern in cell.id]
    if not found:
        names = list(dict.fromkeys(cell.name for cell in cells))
        raise UsageError(
            f"no cell matches {pattern!r}",
            where="--only",
            hint=f"settings are {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}",
        )
    return found
