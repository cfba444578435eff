"""What a suite will do, before it does it: cells, forwards, disk, memory, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vidseg import plugins
from vidseg.experiment.config import Setting
from vidseg.experiment.inner import inner_groups, without
from vidseg.experiment.records import Row
from vidseg.experiment.training import TrainingFrames
from vidseg.plugins.spec import Spec
from vidseg.suites.cells import Cell
from vidseg.suites.engine import Results, read_cells
from vidseg.suites.opened import OpenedSuite, reads_features
from vidseg.suites.suite import Suite
from vidseg.suites.worker import explain, reraise_fatal
from vidseg.utils.bytes import format_bytes
from vidseg.utils.text import rounded_seconds

HEADER = 4096
"""Bytes of a store entry beside its payload."""
NAMED = 8
"""Settings that a line names."""


def waiting_cells(opened: OpenedSuite, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that are not in the ledger and that nothing refuses."""
    results = Results()
    read_cells(opened, cells, results)
    return results.left(cells)


def refusals(opened: OpenedSuite, cells: Sequence[Cell]) -> dict[str, str]:
    """Return by id why cells will fail, as far as training frames show it, theirs or those of the
    cells that come before them.

    Raises:
        StoreError: it ends the suite, not the cell.
    """
    found = {}
    for cell in cells:
        try:
            opened.experiments[cell.pipeline].training(cell.setting, cell.fold)
        except Exception as error:  # samplers are anybody's
            reraise_fatal(error)
            found[cell.id] = str(explain(error))
    for cell in sorted(cells, key=lambda cell: cell.depth):
        if cell.parent in found and cell.id not in found:
            how = "start from" if cell.setting.init else "take the choice of"
            found[cell.id] = f"they {how} {cell.parent}, which fails"
    return found


def make_plan(opened: OpenedSuite, waiting: Sequence[Cell]) -> Row:
    """Return what cells will take that are not in the ledger.

    Args:
        opened: the opened suite.
        waiting: the cells.

    Returns:
        ``cells_waiting``; ``forwards_announced`` (extractor forwards: one for each distinct frame
        that the store lacks, one for each time a changed frame is seen, and those that selectors
        needed while planning); ``forwards_exact``: False where that is the least, because the
        store cannot hold all features, a classifier does not say how often it reads, or changed
        frames are seen in inner fits;
        ``store_bytes`` that will be added; ``training_bytes``: the features of the largest
        training set; ``inner_fits`` beside those of the cells, and ``cells_untuned``, of one
        training group, with ``values_kept``, where a pipeline is tuned; ``cells_path``: those of
        the cells that are fitted at a value of a path; ``images_trained`` and ``images_scored`` by
        networks.
    """
    before = opened.forwards
    entries, held = _entries(opened, waiting)
    features = sum(kind == "features" for kind, _ in entries.values())
    planning = opened.forwards - before
    changed = [_changed_reads(opened, cell) for cell in waiting]
    added = sum(nbytes for _, nbytes in entries.values())
    fits = not entries or added + held <= opened.store.info().limit
    return {
        "cells_waiting": len(waiting),
        "forwards_announced": features + planning + sum(reads for reads, _ in changed),
        "forwards_exact": fits and all(exact for _, exact in changed),
        "store_bytes": added,
        "training_bytes": max((_training_bytes(opened, cell) for cell in waiting), default=0),
        **_inner_fits(opened, waiting),
        **({"cells_path": path} if (path := sum(c.at is not None for c in waiting)) else {}),
        **_network_images(opened, waiting),
    }


def _inner_fits(opened: OpenedSuite, cells: Sequence[Cell]) -> Row:
    """Return the inner fits of tuned pipelines, and the cells that cannot be tuned."""
    fits = untuned = 0
    kept: set[str] = set()
    for cell in cells:
        tuning, train = cell.setting.tune, opened.training(cell)
        if tuning is None or train is None or not train.refs or not cell.setting.chooses:
            continue
        if opened.experiments[cell.pipeline].is_fitted(cell.setting, cell.fold):
            continue
        groups = inner_groups(train, cell.setting.seed)
        fits += len(groups) * len(tuning.values)
        untuned += not groups
        if not groups:
            value = cell.setting.classifier.params.get(tuning.parameter)
            kept.add(f"{tuning.parameter}={value}")
    if not fits and not untuned:
        return {}
    return {"inner_fits": fits, "cells_untuned": untuned, "values_kept": sorted(kept)}


def _network_images(opened: OpenedSuite, cells: Sequence[Cell]) -> Row:
    """Return how many images networks are trained on, repeats counted, and how many they score."""
    trained = scored = 0
    for cell in cells:
        train, experiment = opened.training(cell), opened.experiments[cell.pipeline]
        if train is None or not train.refs or reads_features(cell):
            continue
        for material in experiment.members(cell.fold.test):
            scored += len(experiment.test_frames(cell.fold, material))
        if not experiment.is_fitted(cell.setting, cell.fold):
            trained += _images_seen(train, cell.setting, cell.setting.classifier)
            trained += _inner_images(train, cell.setting)
    return {"images_trained": trained, "images_scored": scored} if trained or scored else {}


def _inner_images(train: TrainingFrames, setting: Setting) -> int:
    if setting.tune is None or not setting.chooses:
        return 0
    parts = [without(train, group) for group in inner_groups(train, setting.seed)]
    specs = [setting.tune.candidate(setting.classifier, i) for i in range(len(setting.tune.values))]
    return sum(_images_seen(part, setting, spec) for part in parts for spec in specs)


def _images_seen(train: TrainingFrames, setting: Setting, classifier: Spec) -> int:
    reads = getattr(plugins.create("classifier", classifier), "reads", None)
    times = 1 if reads is None else int(reads(len(train.refs) / train.videos, setting.budget))
    return times * len(train.refs)


def _entries(opened: OpenedSuite, cells: Sequence[Cell]) -> tuple[dict[Path, tuple[str, int]], int]:
    """Return (kind, bytes) of the store's entries that cells need and lack, and bytes of the rest.

    Pipelines with different extractors share the frames.
    """
    absent: dict[Path, tuple[str, int]] = {}
    held: dict[Path, int] = {}
    for (pipeline, video), frames in opened.wanted(cells).items():
        material = opened.experiments[pipeline].materials[video]
        image = 3 * material.image_size.height * material.image_size.width + HEADER
        features = material.stored_features.nbytes + HEADER
        for index in frames:
            for kind, path, nbytes in (
                ("frames", material.stored.path(index), image),
                ("features", material.stored_features.path(index), features),
            ):
                if path.exists():
                    held[path] = nbytes
                else:
                    absent[path] = kind, nbytes
    return absent, sum(held.values())


def _changed_reads(opened: OpenedSuite, cell: Cell) -> tuple[int, bool]:
    """Return how many changed frames a fit computes, and whether that is known exactly."""
    train = opened.training(cell)
    if train is None or not reads_features(cell):
        return 0, True
    changed = sum(ref.variant is not None for ref in train.refs)
    if not changed or opened.experiments[cell.pipeline].is_fitted(cell.setting, cell.fold):
        return 0, True
    classifier = plugins.create("classifier", cell.setting.classifier)
    reads = getattr(classifier, "reads", None)
    if reads is None:
        return changed, False
    times = int(reads(len(train.refs) / train.videos, cell.setting.budget))
    exact = cell.setting.budget.max_time is None and not cell.setting.chooses
    return changed * times, exact


def _training_bytes(opened: OpenedSuite, cell: Cell) -> int:
    train = opened.training(cell)
    if train is None or not reads_features(cell):
        return 0
    materials = opened.experiments[cell.pipeline].materials
    return sum(materials[ref.video].stored_features.nbytes for ref in train.refs)


def describe_plan(plan: Row) -> str:
    """Return one line about what is to be done, and one about the time where it was calibrated."""
    about = "" if plan["forwards_exact"] else "at least "
    lines = [
        f"{plan['cells_waiting']} cells to do: {about}{plan['forwards_announced']} extractor "
        f"forwards, {format_bytes(plan['store_bytes'])} into the store, "
        f"{format_bytes(plan['training_bytes'])} of features in the largest training set"
    ]
    if "cells_path" in plan:
        lines.append(f"{plan['cells_path']} of the cells are fitted at other values, along a path")
    if "inner_fits" in plan:
        lines.append(_told_inner(plan))
    if "images_trained" in plan:
        lines.append(
            f"networks are trained on {plan['images_trained']} images, repeats counted, and score "
            f"{plan['images_scored']}"
        )
    if "seconds_fits" in plan:
        lines.append(_told_seconds(plan))
    return "\n".join(lines)


def _told_seconds(plan: Row) -> str:
    told = {
        "labels": "for training labels",
        "forwards": "for frames, features and masks",
        "fits": "for fits",
        "scoring": "for scoring",
    }
    parts = {name: float(plan.get(f"seconds_{name}", 0.0)) for name in told}
    named = [name for name in told if name != "labels" or parts[name]]
    text = (
        f"about {rounded_seconds(sum(parts.values()))} in one process on this machine when it is "
        f"idle: {', '.join(f'{rounded_seconds(parts[name])} {told[name]}' for name in named)}"
    )
    if "untimed" in plan:
        text += f"; {', '.join(plan['untimed'])} could not be timed and come on top"
    return text


def describe_not_run(suite: Suite) -> str:
    """Return which pipelines of its file a suite does not run, and how to choose."""
    return (
        f"pipelines that are left out: {', '.join(suite.not_run)}; --pipeline NAME runs one, and "
        "only those that are named"
    )


def _told_inner(plan: Row) -> str:
    text = f"{plan['inner_fits']} inner fits choose the values of grids"
    if plan["cells_untuned"]:
        text += (
            f"; {plan['cells_untuned']} cells have one training group, so that none can be held "
            f"out: they take the pipeline's own {', '.join(plan['values_kept'])}"
        )
    return text


def describe_rest(waiting: Sequence[Cell]) -> str:
    """Return which settings have cells to do: of a suite that was stopped, or edited."""
    counts = Counter(cell.name for cell in waiting)
    named = [f"{name} ({count})" for name, count in counts.items()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"to do: {', '.join(named[:NAMED])}{more}"
