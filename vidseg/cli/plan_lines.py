"""What `vidseg suite` says of its plan, before it starts and instead of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidseg.utils.text import plural

if TYPE_CHECKING:
    from vidseg.experiment.records import Row
    from vidseg.suites.cells import Cell
    from vidseg.suites.opened import OpenedSuite

NAMED = 8
"""Settings that a line names."""


def show_plan(bench: OpenedSuite, cells: Sequence[Cell], *, fresh: bool) -> None:
    """Print the cells, which of them are left to do, what that takes, and what will fail.

    Args:
        bench: the opened suite.
        cells: the cells that are asked for.
        fresh: finished ones are done again.
    """
    from vidseg.cli.screen import show_table
    from vidseg.suites.plan import calibrate, make_plan, refusals, waiting_cells

    waiting = list(cells) if fresh else waiting_cells(bench, cells)
    plan = make_plan(bench, waiting)  # first: it counts the forwards that samplers need
    refused = refusals(bench, cells)
    plan |= calibrate(bench, waiting, plan)
    left = {cell.id for cell in waiting}
    states = {cell.id: "to do" if cell.id in left else "finished" for cell in cells}
    states |= dict.fromkeys(refused, "fails")
    rows = [
        {"cell": cell.id, "state": states[cell.id], "sampler": str(cell.arm.sampler)}
        for cell in cells
    ]
    show_table("cells", rows)
    click.echo(describe_plan(plan))
    for reason, count in Counter(refused.values()).items():
        click.echo(f"{count} {plural('cell', count)} will fail: {reason}")


def describe_plan(plan: Row) -> str:
    """Return one line about what is to be done, and one about the time where it was calibrated."""
    from vidseg.utils.bytes import format_bytes

    about = "" if plan["forwards_exact"] else "at least "
    lines = [
        f"{plan['cells_waiting']} cells to do: {about}{plan['forwards_announced']} extractor "
        f"forwards, {format_bytes(plan['store_bytes'])} into the store, "
        f"{format_bytes(plan['training_bytes'])} of features in the largest training set"
    ]
    if "seconds_forwards" in plan:
        lines.append(
            f"about {plan['seconds_forwards']:.0f} s for the forwards and "
            f"{plan['seconds_scoring']:.0f} s for scoring, on this machine as it is now; "
            "fits come on top"
        )
    return "\n".join(lines)


def describe_rest(waiting: Sequence[Cell]) -> str:
    """Return which settings have cells to do: of a suite that was stopped, or edited."""
    counts = Counter(cell.name for cell in waiting)
    named = [f"{name} ({count})" for name, count in counts.items()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"to do: {', '.join(named[:NAMED])}{more}"
