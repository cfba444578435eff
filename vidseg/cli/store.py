"""``vidseg store``: what the store of frames and features holds, and how to shrink it."""

from __future__ import annotations

from pathlib import Path

import click

from vidseg.cli import options
from vidseg.utils.bytes import format_bytes, parse_bytes


@click.group()
def store() -> None:
    """Show or prune the store of frames and features."""


@store.command()
@options.store
def info(store_root: Path | None) -> None:
    """Show where the store is and what it holds."""
    from vidseg.store import Store

    found = Store(store_root).info()
    click.echo(f"store       {found.root}")
    click.echo(f"limit       {format_bytes(found.limit)}")
    parts = (("frames", found.frames), ("features", found.features), ("masks", found.masks))
    for kind, part in parts:
        click.echo(f"{kind:<11} {part.entries} entries, {format_bytes(part.nbytes)}")
    if found.temporary.entries:
        click.echo(
            f"unfinished  {found.temporary.entries} files, {format_bytes(found.temporary.nbytes)}"
        )


@store.command()
@options.store
@click.option("--max-size", metavar="SIZE", help="Keep the last used entries up to this, as 5GB.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Remove what was not used for so many days.",
)
@click.option("--all", "everything", is_flag=True, help="Remove every entry.")
def prune(
    store_root: Path | None, max_size: str | None, older_than: float | None, everything: bool
) -> None:
    """Remove entries, and what killed processes left unfinished.

    Without an option only the unfinished ones go. Everything removed is made again when it is
    needed.
    """
    from vidseg.store import Store

    limit = parse_bytes(max_size, where="--max-size") if max_size else None
    removed = Store(store_root).prune(
        max_bytes=0 if everything else limit,
        older_than=None if older_than is None else older_than * 86400,
    )
    click.echo(f"removed {removed.entries} files, {format_bytes(removed.nbytes)}")
