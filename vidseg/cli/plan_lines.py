"""What ``--dry-run`` prints: the cells, and what they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from vidseg.utils.text import plural

if TYPE_CHECKING:
    from vidseg.labels.effort import Effort, Price
    from vidseg.suites.cells import Cell
    from vidseg.suites.opened import OpenedSuite


def show_plan(opened: OpenedSuite, cells: Sequence[Cell], *, fresh: bool) -> None:
    """Print the cells, which of them are left to do, what that takes, and what will fail.

    Args:
        opened: the opened suite.
        cells: the cells that are asked for.
        fresh: finished ones are done again.
    """
    from vidseg.cli.screen import show_table
    from vidseg.suites.chances import describe_chances
    from vidseg.suites.effort import efforts
    from vidseg.suites.estimate import calibrate
    from vidseg.suites.plan import (
        describe_not_run,
        describe_plan,
        make_plan,
        refusals,
        waiting_cells,
    )

    waiting = list(cells) if fresh else waiting_cells(opened, cells)
    plan = make_plan(opened, waiting)  # first: it counts the forwards that samplers need
    refused = refusals(opened, cells)
    # it makes the labels of simulated annotators, which are kept: there is nothing to time then
    found = efforts(opened) if opened.suite.price is not None else {}
    plan |= calibrate(opened, waiting, plan)
    left = {cell.id for cell in waiting}
    states = {cell.id: "to do" if cell.id in left else "finished" for cell in cells}
    states |= dict.fromkeys(refused, "fails")
    rows = [
        {"cell": cell.id, "state": states[cell.id], "sampler": str(cell.arm.sampler)}
        for cell in cells
    ]
    show_table("cells", rows)
    click.echo(describe_plan(plan))
    if opened.suite.not_run:
        click.echo(describe_not_run(opened.suite))
    if opened.suite.price is not None:
        show_minutes(found, opened.suite.price)
    for line in describe_chances(opened):
        click.echo(line)
    for reason, count in Counter(refused.values()).items():
        click.echo(f"{count} {plural('cell', count)} will fail: {reason}")


def show_minutes(found: Mapping[str, Effort], price: Price) -> None:
    """Print what a human does for the labels of each arm."""
    from vidseg.cli.screen import show_table
    from vidseg.labels.effort import OF_MASKS

    rows = [
        {
            "arm": arm,
            "boxes drawn": effort.boxes,
            "frames looked at": effort.looks,
            "minutes": f"{price.seconds(effort) / 60:.1f}",
        }
        for arm, effort in found.items()
    ]
    show_table("annotation", rows)
    click.echo(f"{price.box:g} s a box drawn, {price.look:g} s a frame looked at")
    if any(effort.of_masks for effort in found.values()):
        click.echo(OF_MASKS)
