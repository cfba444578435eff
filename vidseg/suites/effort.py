"""Which frames an arm trains on, and what a human does for their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidseg.errors import StoreError, VidsegError
from vidseg.labels.effort import Effort, by_hand
from vidseg.suites.cells import Cell
from vidseg.suites.opened import OpenedSuite


def used_frames(opened: OpenedSuite, cells: Sequence[Cell]) -> dict[str, list[int]]:
    """Return the frames of each training video in the first seed.

    Folds draw for themselves: a video's are those of the first fold that trains on it. Of an arm
    that trains on some videos only, the first fold's are all; where a split holds out frames,
    every fold adds some.
    """
    found: dict[str, set[int]] = {}
    for cell in cells:
        train = opened.training(cell) if cell.seed == cells[0].seed else None
        own: dict[str, set[int]] = {}
        for ref in train.refs if train else ():
            own.setdefault(ref.video, set()).add(ref.index)
        for video, frames in own.items():
            known = found.setdefault(video, frames)
            if cell.fold.part is not None:
                known |= frames
        if found and cell.arm.videos is not None:
            break
    return {v.name: sorted(found[v.name]) for v in opened.dataset.videos if v.name in found}


def arm_effort(opened: OpenedSuite, cell: Cell, frames: Mapping[str, Sequence[int]]) -> Effort:
    """Return what a human does for the labels of a cell's arm, each video counted once.

    Args:
        opened: the opened suite.
        cell: one of the arm's cells.
        frames: of :func:`used_frames`.
    """
    experiment = opened.experiments[cell.pipeline]
    total = Effort()
    for video, indices in frames.items():
        if cell.setting.labelling.plain:
            total += by_hand(experiment.materials[video].video, indices)
        else:
            total += experiment.labels_of(cell.setting, video).labels.effort(indices)
    return total


def has_boxes(opened: OpenedSuite, cell: Cell) -> bool:
    """Return whether the true labels are boxes, so that counting them opens no mask."""
    experiment = opened.experiments[cell.pipeline]
    first = next(iter(experiment.materials.values()))
    return bool(first.labelled) and first.video.labels(first.labelled[0]).boxes is not None


def efforts(opened: OpenedSuite) -> dict[str, Effort]:
    """Return what a human does for the labels of each arm; arms that cannot be had are left out.

    Raises:
        StoreError: it ends the suite, not the arm.
    """
    found: dict[str, Effort] = {}
    for name in dict.fromkeys(cell.arm.name for cell in opened.cells):
        cells = [cell for cell in opened.cells if cell.arm.name == name]
        cells = [cell for cell in cells if cell.pipeline == cells[0].pipeline]
        try:
            found[name] = arm_effort(opened, cells[0], used_frames(opened, cells))
        except StoreError:
            raise
        except VidsegError:
            continue  # its fit says why
    return found
