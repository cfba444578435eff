"""``vidseg convert``: a data set in another format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.cli import options
from vidseg.utils.text import plural

if TYPE_CHECKING:
    from vidseg.datasets.writers.convert import Conversion


@click.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option(
    "--to",
    required=True,
    metavar="FORMAT",
    help="mot, virat, masks (DAVIS), cvat, coco or yolo.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A folder that is new or empty.",
)
@click.option(
    "--images",
    metavar="WAY",
    default="link",
    show_default=True,
    help="link (hard links) or copy the pictures, or write them all as png (exact) or jpg (not "
    "exact). Frames of clips are written as PNG by link and copy.",
)
@click.option(
    "--label",
    metavar="NAME",
    default="foreground",
    show_default=True,
    help="Class of what is foreground, in formats with names.",
)
@options.quiet
def convert(
    specs: Sequence[str], to: str, output: Path, images: str, label: str, quiet: bool
) -> None:
    """Write a data set in another format, and say what that cannot hold.

    SPEC is as for `vidseg run --dataset`, such as mot:MOT16/train; several are one data set. The
    folder appears when it is whole: a stopped conversion leaves nothing.
    """
    from vidseg.api.convert import convert as done
    from vidseg.api.screen import Screen

    screen = Screen(quiet=quiet)
    with screen.showing():
        found = done(specs, to=to, output=output, images=images, label=label, progress=screen)
    _show(found)


def _show(found: Conversion) -> None:
    counts = [f"{found.videos} {plural('video', found.videos)}"]
    counts.append(f"{found.frames} {plural('frame', found.frames)}")
    if found.labelled < found.frames:
        counts.append(f"{found.labelled} of them labelled")
    ways = ", ".join(f"{count} {how}" for how, count in found.pictures.items())
    click.echo(f"{', '.join(counts)}; pictures: {ways}")
    for name, folder in found.renamed.items():
        click.echo(f"name  {name!r} is {folder!r}")
    for line in found.losses:
        click.echo(f"lost  {line}")
    groups = "" if found.groups is None else f", with --groups {found.groups}"
    click.echo(f"read it as {found.spec}{groups}")
