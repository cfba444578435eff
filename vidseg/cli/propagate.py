"""``vidseg propagate``: key boxes of any data set become tracks, without a page."""

from __future__ import annotations

from pathlib import Path

import click

from vidseg.cli import options

METHODS = ("auto", "blend", "forward", "linear")


@click.command()
@click.argument("keys", metavar="SPEC")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Gets a folder of each video; annotated:DIR is the data set.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Use the labels of every N-th frame and of the last.  [default: all that are labelled]",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How the frames between two boxes are filled.",
)
@click.option("--tracker", metavar="SPEC", default="lk", show_default=True, help="lk, dsst, ...")
@click.option(
    "--objects",
    type=click.Choice(("auto", "ids", "linked", "one")),
    default="ids",
    show_default=True,
    help="What an object is: boxes of one identity (ids); boxes, or parts of masks, that overlap "
    "from one labelled frame to the next (linked); all foreground of a frame (one). auto: ids "
    "where the labels have them, else linked.",
)
@options.several(
    options.store,
    click.option("--fresh", is_flag=True, help="Replace annotations that DIR holds."),
    options.quiet,
)
def propagate(
    keys: str,
    output: Path,
    every: int,
    method: str,
    tracker: str,
    objects: str,
    store_root: Path | None,
    fresh: bool,
    quiet: bool,
) -> None:
    """Carry key boxes to the frames between them by a tracker.

    SPEC is a data set whose labelled frames are the key frames, such as
    mot:drafts,labelled=rows or yolo:data.yaml. A stopped call goes on from the finished gaps.
    """
    from vidseg.api.annotate import propagate as do_propagate
    from vidseg.api.screen import Screen
    from vidseg.cli.screen import show_table

    screen = Screen(quiet=quiet)
    with screen.showing():
        done = do_propagate(
            keys,
            output=output,
            every=every,
            method=method,
            tracker=tracker,
            objects=objects,
            store=store_root,
            fresh=fresh,
            progress=screen,
        )
    rows = [
        {
            "video": one.name,
            "frames": one.frames,
            "key frames": one.key_frames,
            "objects": one.objects,
            "key boxes": one.human,
            "propagated": one.propagated,
            "doubtful": one.doubtful,
        }
        for one in done
    ]
    show_table("propagated", rows)
    count = sum(one.doubtful for one in done)
    if count:
        said = "1 box is" if count == 1 else f"{count} boxes are"
        click.echo(f"{said} doubtful: look at them first")
    click.echo(f"data set  annotated:{output}")
