"""``vidseg audit``: what of an existing split's test pictures was seen in training."""

from __future__ import annotations

from pathlib import Path

import click

from vidseg.cli import options


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DATA...")
@click.option(
    "--allow",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Exit with 1 when more test pictures were seen in training.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the pictures, where YOLO or COCO files stand elsewhere.",
)
@click.option(
    "--near",
    type=click.IntRange(min=0),
    metavar="N",
    help="Frames of one video count when they are at most N apart.  [default: always]",
)
@click.option(
    "--pattern",
    metavar="PATTERN",
    default="name",
    help="How frames of one video are found by their names: name, folder, picture, or a regular "
    "expression with (?P<video>...).  [default: name]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Write a picture of the worst pairs.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New folder for a split without a scene on two sides, in the same format.",
)
@click.option(
    "--price", is_flag=True, help="Train with and without the leaks, and compare the scores."
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="SPEC",
    help="What has the labels for --price; may be repeated.  [default: the YOLO or COCO files]",
)
@click.option("--extractor", metavar="SPEC", default="filters", help="Features for --price.")
@click.option("--classifier", metavar="SPEC", default="pixel_svm", help="What learns for --price.")
@click.option(
    "--image-size", metavar="WxH", default="160x120", show_default=True, help="For --price."
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Pictures of each video and side for --price, at most.",
)
@options.several(options.device, options.threads, options.store, options.ledger, options.quiet)
def audit(
    data: tuple[Path, ...],
    allow: int,
    images: Path | None,
    near: int | None,
    pattern: str,
    output: Path | None,
    write: Path | None,
    price: bool,
    datasets: tuple[str, ...],
    extractor: str,
    classifier: str,
    image_size: str,
    frames: int,
    device: str | None,
    threads: int | None,
    store_root: Path | None,
    ledger_root: Path | None,
    quiet: bool,
) -> None:
    """Find what of a split's test pictures was seen in training; exit with 1 when some was.

    DATA is a YOLO data.yaml or its folder; a folder with folders train and val; train.json and
    val.json of COCO; two folders of pictures, the one that is trained on first; or a CSV file with
    the columns file and split.
    """
    from vidseg.api.curate import audit as do_audit
    from vidseg.api.screen import Screen
    from vidseg.tasks.registry import find_task

    screen = Screen(quiet=quiet)
    with screen.showing():
        done = do_audit(
            data,
            images=images,
            near=near,
            pattern=pattern,
            picture=output,
            write=write,
            price=price,
            dataset=list(datasets) or None,
            extractor=extractor,
            classifier=classifier,
            image_size=image_size,
            frames=frames,
            device=device or "auto",
            threads=threads,
            store=store_root,
            ledger=ledger_root,
            progress=screen,
        )
    click.echo("\n".join(done.lines()))
    if done.price is not None:
        click.echo(done.price.text(find_task().scores[done.price.score].label))
    if output is not None and done.pairs:
        click.echo(f"worst pairs {output}")
    if write is not None:
        from vidseg.curate.audit.disjoint import read_back

        click.echo(f"split without leaks: vidseg audit {read_back(done.split, write)}")
    if done.pairs > allow:
        raise click.exceptions.Exit(1)
