"""``vidseg runs``: closes runs of the tracking store that were left open."""

from __future__ import annotations

import click

from vidseg.cli import options


@click.group()
def runs() -> None:
    """Close runs that a killed process left open."""


@runs.command()
@options.tracking_uri
def reap(tracking_uri: str | None) -> None:
    """Close, as KILLED, the runs of this machine whose process has ended.

    Every `vidseg run` and `vidseg suite` does so when it starts.
    """
    from vidseg.tracking.processes import reap
    from vidseg.tracking.store import connect_existing

    closed = reap(connect_existing(tracking_uri))
    for run_id in closed:
        click.echo(f"{run_id} KILLED")
    click.echo(f"runs closed: {len(closed)}")
