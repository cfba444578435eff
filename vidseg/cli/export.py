"""``vidseg export``: a logged network as a file that other programs run."""

from __future__ import annotations

from pathlib import Path

import click

from vidseg.cli import options


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="ONNX file to write; one that is there is replaced.",
)
@click.option("--to", type=click.Choice(["onnx"]), default="onnx", help="Format.  [default: onnx]")
@click.option(
    "--image-size",
    metavar="WxH",
    help="Size of the pictures that it takes, for a model of images at their native size.",
)
@options.several(options.tracking_uri, options.quiet)
def export(
    model: str,
    output: Path,
    to: str,
    image_size: str | None,
    tracking_uri: str | None,
    quiet: bool,
) -> None:
    """Write a network that `vidseg run` logged as an ONNX file.

    MODEL is runs:/RUN_ID/model, models:/NAME/VERSION or a model's folder. The file takes RGB
    pictures of one size, any number at a time, and returns their scores. It is compared with the
    network before it is written. It needs the extra vidseg[onnx].
    """
    from vidseg.api.data import export as do_export
    from vidseg.api.screen import Screen

    screen = Screen(quiet=quiet)
    with screen.showing():
        done = do_export(
            model, output, image_size=image_size, tracking_uri=tracking_uri, progress=screen
        )
    click.echo(f"file       {done.file} ({done.nbytes / 1e6:.1f} MB)")
    click.echo(f"images     {done.input}, RGB")
    click.echo(f"scores     {done.output}; above {done.threshold:g} is foreground")
    click.echo(f"checked    with onnxruntime: scores differ by at most {done.difference:.1g}")
