"""``vidseg select``: frames worth labelling from videos that have no labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.cli import options

if TYPE_CHECKING:
    from vidseg.curate.selection import Selection

EXPORTS = ("list", "csv", "cvat", "yolo", "folder")


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATHS..."
)
@click.option(
    "--n",
    "n",
    type=click.IntRange(min=1),
    help="Frames of each video.  [default: 20, or what the sampler says]",
)
@click.option(
    "--total", type=click.IntRange(min=1), help="Frames of all videos together, instead of --n."
)
@click.option(
    "--by",
    metavar="SAMPLER",
    help="How frames are chosen: k-center, frame-difference, uniform, per-second, random, ...  "
    "[default: k-center]",
)
@click.option(
    "--like",
    metavar="SUITE",
    help="As a finished suite advises: a report's folder, a run id or a suite's name.",
)
@click.option(
    "--extractor",
    metavar="SPEC",
    help="Whose features k-center compares.  [default: filters, or the suite's]",
)
@click.option(
    "--image-size",
    metavar="WxH",
    help="What it sees, or native.  [default: the longer side 160, or the suite's]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of random samplers.")
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    help="Frames per second of videos that do not state them.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New folder for the contact sheet and the exports.  [default: print the list]",
)
@click.option(
    "--export",
    "exports",
    type=click.Choice(EXPORTS),
    multiple=True,
    help="What DIR gets beside the contact sheet; may be repeated.  [default: list and csv]",
)
@options.several(
    options.device,
    options.threads,
    options.store,
    options.store_limit,
    options.tracking_uri,
    options.quiet,
)
def select(
    paths: tuple[Path, ...],
    n: int | None,
    total: int | None,
    by: str | None,
    like: str | None,
    extractor: str | None,
    image_size: str | None,
    seed: int,
    fps: float | None,
    output: Path | None,
    exports: tuple[str, ...],
    device: str | None,
    threads: int | None,
    store_root: Path | None,
    store_limit: str | None,
    tracking_uri: str | None,
    quiet: bool,
) -> None:
    """Choose frames worth labelling from clips and folders of pictures without labels.

    PATHS are clips, folders of pictures, or folders of either; each clip and each folder of
    pictures is a video. A video that cannot be read is left out and named; then the exit code is 1.
    """
    from vidseg.api.curate import select as do_select
    from vidseg.api.screen import Screen

    if exports and output is None:
        raise click.UsageError("--export needs --output")
    screen = Screen(quiet=quiet)
    with screen.showing():
        done = do_select(
            paths,
            n=n,
            by=by,
            total=total,
            like=like,
            extractor=extractor,
            image_size=image_size,
            seed=seed,
            fps=fps,
            output=output,
            export=exports or ("list", "csv"),
            device=device or "auto",
            threads=threads,
            store=store_root,
            store_limit=store_limit,
            tracking_uri=tracking_uri,
            progress=screen,
        )
    _show(done, quiet)
    for fault in done.faults:
        click.echo(f"vidseg: error: {fault}", err=True)
    if done.faults:
        raise click.exceptions.Exit(1)


def _show(done: Selection, quiet: bool) -> None:
    """Print tables and notes, and the list or where it was written."""
    from vidseg.cli.screen import show_table

    if not quiet:
        show_table(f"{len(done.frames)} frames, chosen by {done.sampler}", done.video_rows())
        if done.spacings:
            show_table("Of 10,000 frames, when every n-th is kept", done.spacing_rows())
        for note in done.notes:
            click.echo(f"note: {note}")
    if done.files:
        for kind, path in done.files.items():
            click.echo(f"{kind:<7} {path}")
    else:
        for frame in done.frames:
            click.echo(frame.place)
