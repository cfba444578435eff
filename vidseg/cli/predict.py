"""``vidseg predict``: masks and overlays of new pictures, by a model that a run logged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from vidseg.cli import options
from vidseg.errors import DataError


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURES..."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="New folder for masks and overlays.",
)
@click.option(
    "--threshold", type=float, help="Scores above it are foreground.  [default: the model's]"
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    help="Frames per second of the overlay clip.  [default: the clip's; 25 for a folder]",
)
@options.several(
    options.device,
    options.threads,
    options.tracking_uri,
    click.option("--fresh", is_flag=True, help="Replace a prediction that DIR holds."),
    options.quiet,
)
def predict(
    model: str,
    inputs: tuple[Path, ...],
    output: Path,
    threshold: float | None,
    fps: float | None,
    device: str | None,
    threads: int | None,
    tracking_uri: str | None,
    fresh: bool,
    quiet: bool,
) -> None:
    """Find masks in new pictures with a model that `vidseg run` logged.

    MODEL is runs:/RUN_ID/model, models:/NAME/VERSION or a model's folder. PICTURES are image files,
    or one folder of them, or one clip or GIF. DIR gets masks/*.png, overlays/*.jpg and, for a clip
    or a folder of consecutive frames, overlay.mp4. What is there already is not done again;
    pictures that cannot be read are left out, and the exit status is 1.
    """
    from vidseg.api.data import predict as do_predict
    from vidseg.api.screen import Screen

    screen = Screen(quiet=quiet)
    with screen.showing():
        done = do_predict(
            model,
            inputs,
            output=output,
            threshold=threshold,
            fps=fps,
            device=device or "auto",
            threads=threads,
            tracking_uri=tracking_uri,
            fresh=fresh,
            progress=screen,
        )
    made = done.count - len(done.failed)
    there = made - done.computed
    click.echo(f"masks     {done.masks} ({made}{f', {there} were there' if there else ''})")
    click.echo(f"overlays  {done.overlays}")
    if done.clip:
        click.echo(f"clip      {done.clip}")
    if done.failed:
        raise _broken(done.failed, done.count)


def _broken(failed: Mapping[str, str], count: int) -> DataError:
    """Return the error that names pictures that could not be read, and why the first could not."""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    others = "the others are done; " if len(failed) < count else ""
    return DataError(
        f"{len(failed)} of {count} pictures could not be read: {next(iter(failed.values()))}{more}",
        where="PICTURES",
        hint=f"{others}mend these and use --fresh, or leave them out",
    )
