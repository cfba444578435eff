"""``vidseg annotate``: annotate a video; and the simulated annotator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.utils.text import plural

if TYPE_CHECKING:
    from vidseg.annotate.simulation import Simulation

PAGE = "page"
"""The command that is meant where the first word is no command: a video or a folder."""


class Annotate(click.Group):
    """A group with a command of its own: ``vidseg annotate VIDEO`` opens the page."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the page's name before words that begin with no command's name."""
        helped = {"-h", "--help"} & set(args[:1])
        if PAGE in self.commands and args and not helped and args[0] not in self.commands:
            args = [PAGE, *args]
        return super().parse_args(ctx, args)


@click.group(cls=Annotate)
def annotate() -> None:
    """Annotate videos with a tracker's help, and know what it saves.

    `vidseg annotate VIDEO` opens the page; `vidseg annotate page --help` has its options.
    """


@annotate.command(PAGE)
@click.argument("video", metavar="VIDEO|FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("annotations"),
    show_default=True,
    metavar="DIR",
    help="Gets a folder of each video; annotated:DIR is the data set.",
)
@click.option(
    "--tracker",
    metavar="SPEC",
    default="lk",
    show_default=True,
    help="lk, dsst, ...; the page can change it.",
)
@click.option(
    "--frames",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="LIST",
    help="List or CSV of `vidseg select`: the page steps through these frames.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Of the page, on this machine only.  [default: the first free one from 8700 on]",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
@options.store
def page(
    video: Path,
    output: Path,
    tracker: str,
    frames: Path | None,
    port: int | None,
    browser: bool,
    store_root: Path | None,
) -> None:
    """Annotate a clip, a folder of pictures, or a folder of either, on a page in the browser.

    Ctrl-C ends it. Every change is on the disk before the page shows it as saved.
    """
    from vidseg.api.annotate import annotate_on_page

    def ready(url: str) -> None:
        click.echo(f"page    {url}")
        click.echo(f"output  {output}")
        click.echo("Ctrl-C ends it; every change is saved at once")
        if browser:
            import webbrowser

            webbrowser.open(url)

    annotate_on_page(
        video,
        output=output,
        tracker=tracker,
        frames=frames,
        port=port,
        store=store_root,
        ready=ready,
        note=lambda text: click.echo(f"note: {text}"),
        progress=True,
    )
    click.echo(f"ended; data set  annotated:{output}")


@annotate.command()
@click.option("--dataset", metavar="SPEC", required=True, help="Has true boxes on every frame.")
@click.option("--tracker", metavar="SPEC", default="lk", show_default=True, help="lk, dsst, ...")
@click.option(
    "--method",
    "methods",
    type=click.Choice(("auto", "blend", "forward", "linear")),
    multiple=True,
    help="A way of working; may be repeated.  [default: forward, linear and auto]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="A box with less IoU is wrong, and drawn again.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Frames from one key box to the next, at first.",
)
@click.option(
    "--doubt",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.7,
    show_default=True,
    help="Where the doubt asks, it asks above this.",
)
@click.option(
    "--objects",
    type=click.Choice(("auto", "ids", "linked", "one")),
    default="auto",
    show_default=True,
    help="What an object is: boxes of one identity (ids); boxes, or parts of masks, that overlap "
    "from one labelled frame to the next (linked); all foreground of a frame (one). auto: ids "
    "where the labels have them, else linked.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the result as JSON too.",
)
@options.several(
    options.store,
    options.tracking_uri,
    click.option("--experiment", metavar="NAME", help="MLflow experiment.  [default: vidseg]"),
    click.option("--no-tracking", is_flag=True, help="Log nothing to MLflow."),
    options.quiet,
)
def simulate(
    dataset: str,
    tracker: str,
    methods: tuple[str, ...],
    threshold: float,
    every: int,
    doubt: float,
    objects: str,
    file: Path | None,
    store_root: Path | None,
    tracking_uri: str | None,
    experiment: str | None,
    no_tracking: bool,
    quiet: bool,
) -> None:
    """Replay true boxes as a human annotator, and count every box that is drawn.

    `forward` is the paper's way: track, and draw a box where the tracker fails. The other methods
    begin with key boxes and mend the worst frame of each gap: found by looking at every frame
    (asked by truth), or where the doubt asks. One that was stopped goes on after the ways and
    videos that are finished, which the store keeps.
    """
    from vidseg.api.annotate import simulate_annotator
    from vidseg.api.screen import Screen

    screen = Screen(quiet=quiet)
    with screen.showing():
        found = simulate_annotator(
            dataset,
            tracker=tracker,
            methods=methods or ("forward", "linear", "auto"),
            threshold=threshold,
            every=every,
            doubt=doubt,
            objects=objects,
            store=store_root,
            tracking=not no_tracking,
            tracking_uri=tracking_uri,
            experiment=experiment,
            progress=screen,
        )
    _show(found)
    if file is not None:
        _write(found.to_dict(), file)


def _show(found: Simulation) -> None:
    from vidseg.cli.screen import show_table

    rows = [
        {
            "way": row["way"],
            "found by": row["ask"],
            "boxes drawn": row["drawn"],
            "per 100 frames": f"{row['boxes_per_100']:.1f}",
            "per object": f"{row['boxes_per_object']:.1f}",
            "looks per 100": f"{row['looks_per_100']:.0f}",
            "labelled": row["labelled"],
            "IoU": f"{row['iou']:.3f}",
            "wrong %": row["wrong_share"],
        }
        for row in found.rows
    ]
    show_table(f"simulated annotator with {found.settings['tracker']}", rows)
    first = found.rows[0]
    objects = f"{first['objects']} {plural('object', first['objects'])}"
    click.echo(f"{first['frames']} true boxes of {objects}")
    if found.straight == found.straight:
        click.echo(
            f"{100 * found.straight:.0f} % of the true boxes lie on a straight line through their "
            "neighbours: linear interpolation gains from that"
        )


def _write(content: dict[str, Any], file: Path) -> None:
    from vidseg.errors import UsageError
    from vidseg.utils.files import write_atomic

    try:
        write_atomic(file, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        what = f"{file} cannot be written ({error.strerror or error})"
        raise UsageError(what, where="--json") from error
