"""``vidseg runs``: tends the runs of the tracking store."""

from __future__ import annotations

import click

from vidseg.cli import options


@click.group()
def runs() -> None:
    """Tend the runs of the tracking store."""


@runs.command()
@options.tracking_uri
def reap(tracking_uri: str | None) -> None:
    """Close runs whose process is dead as KILLED.

    Every `vidseg run` does it too, so this is only needed to tidy up without starting one.
    """
    from vidseg.tracking import store

    closed = store.reap(store.connect_existing(tracking_uri))
    for run_id in closed:
        click.echo(f"{run_id} KILLED")
    click.echo(f"{len(closed)} dead runs closed")
