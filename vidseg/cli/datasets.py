"""``vidseg datasets``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.utils.text import escaped, plural

if TYPE_CHECKING:
    from vidseg.datasets.base import ClassCount
    from vidseg.experiment.open import OpenDataset
    from vidseg.experiment.records import Row
    from vidseg.types import Image, Labels, Video

_MOST_ABSENT = 10


@click.group()
def datasets() -> None:
    """Show what a data set holds, or check it for faults."""


@datasets.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Write a contact sheet: a few frames of each video with their masks drawn.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Frames of each video on the contact sheet.",
)
@options.conditions("groups")
@options.quiet
def show(
    specs: Sequence[str], output: Path | None, frames: int, groups: str | None, quiet: bool
) -> None:
    """Show the videos of a data set: group, frames, size, share of foreground.

    SPEC is as for `vidseg run --dataset`, such as mot:MOT16/train; several are one data set.
    """
    from vidseg import plugins
    from vidseg.api.screen import Screen
    from vidseg.cli.screen import show_table
    from vidseg.experiment.open import open_dataset
    from vidseg.store import Store

    if output is not None:
        _check_output(output)
    screen = Screen(quiet=quiet)
    with screen.showing():
        resolved = plugins.resolve_several("dataset", specs, where="SPEC")
        opened = open_dataset(resolved, screen, Store().fact_cache, unanswered=True, groups=groups)
        rows = [_row(video, opened.groups[video.name], screen) for video in opened.videos]
        sheet = None if output is None else _sheet(opened, frames, screen)
    count = len({row["group"] for row in rows})
    total = sum(row["frames"] for row in rows)
    labelled = sum(row["labelled"] for row in rows)
    if labelled == total:
        rows = [{key: one for key, one in row.items() if key != "labelled"} for row in rows]
    show_table("videos", rows)
    _show_classes(opened.classes())
    said = "" if labelled == total else f", {labelled} of them labelled"
    counts = _count(len(rows), "video"), _count(count, "group"), _count(total, "frame")
    click.echo(f"{', '.join(counts)}{said}")
    if sheet is not None and output is not None:
        _write(sheet, output)
        click.echo(f"contact sheet {output}")


@datasets.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@options.conditions("groups")
@options.quiet
def check(specs: Sequence[str], groups: str | None, quiet: bool) -> None:
    """Look at every frame and label of a data set; exit with 1 when something is wrong.

    Finds frames without label and labels without frame, malformed rows, unreadable and truncated
    images, numbers that contradict each other, boxes outside of their frame, and pictures that
    stand in several groups. A fault is a line that begins with "wrong".
    """
    from vidseg import plugins
    from vidseg.api.screen import Screen
    from vidseg.datasets.checks import examine
    from vidseg.errors import VidsegError
    from vidseg.experiment.open import create_dataset
    from vidseg.utils.stop import check_stop

    def tick(video: Video) -> None:
        check_stop()
        task.advance()

    screen = Screen(quiet=quiet)
    with screen.showing(), screen.task("looking at every frame", None) as task:
        dataset = create_dataset(plugins.resolve_several("dataset", specs, where="SPEC"))
        result = examine(dataset, tick, groups)
        classes: Sequence[ClassCount] = ()
        with contextlib.suppress(VidsegError):
            classes = getattr(dataset, "classes", tuple)()
    for wrong, video, text, _ in result.findings:
        name = f"{video}: " if video and not text.startswith(f"{video}:") else ""
        line = f"{'wrong' if wrong else 'note '}  {escaped(name)}{' '.join(text.split())}"
        click.echo(escaped(line))
    _show_classes(classes)
    faults = sum(finding.times for finding in result.findings if finding.wrong)
    verdict = f"{faults} faults" if faults > 1 else "one fault" if faults else "nothing wrong"
    videos, frames = _count(result.videos, "video"), _count(result.frames, "frame")
    click.echo(f"{verdict} in {videos}, {frames} that decode{'s' if result.frames == 1 else ''}")
    if faults:
        raise click.exceptions.Exit(1)


def _show_classes(classes: Sequence[ClassCount]) -> None:
    """Print the classes where the data set knows them, the most frequent first; those absent last.

    Of hundreds that never occur their number is printed.
    """
    from vidseg.cli.screen import show_table

    ranked = sorted(classes, key=lambda one: -one.boxes)
    shown = [one for one in ranked if one.boxes] or ranked[:_MOST_ABSENT]
    absent = [one for one in ranked if not one.boxes and one not in shown]
    shown += absent if len(absent) <= _MOST_ABSENT else []
    if shown:
        rows: list[Row] = [
            {
                "class": one.name,
                "number": "-" if one.number is None else str(one.number),
                "counts as": one.use,
                "boxes": one.boxes,
                "frames": one.frames,
            }
            for one in shown
        ]
        show_table("classes", rows)
    if len(absent) > _MOST_ABSENT:
        click.echo(f"{len(absent)} more classes do not occur")


def _count(count: int, noun: str) -> str:
    return f"{count} {plural(noun, count)}"


def _row(video: Video, group: str, screen: Any) -> Row:
    """Return a video's line of the table; undefined shares are NaN."""
    from vidseg.tasks.registry import find_task
    from vidseg.types import labelled_frames
    from vidseg.utils.stop import check_stop

    length, size, fps = video.probe()
    labelled = labelled_frames(video)
    with screen.task(f"reading the labels of {video.name}", len(labelled)) as bar:

        def labels() -> Iterator[Labels]:
            for index in labelled:
                yield video.labels(index)
                check_stop()
                bar.advance()

        found = find_task().describe(labels())
    return {
        "video": video.name,
        "group": group,
        "frames": length,
        "labelled": len(labelled),
        "size": str(size),
        "fps": "-" if fps is None else f"{fps:g}",
        **found,
    }


def _sheet(opened: OpenDataset, frames: int, screen: Any) -> Image:
    from vidseg.tasks.base import MOST
    from vidseg.tasks.registry import find_task

    if len(opened.videos) > MOST:
        screen.say(f"the contact sheet shows the first {MOST} of {len(opened.videos)} videos")
    with screen.task("drawing the contact sheet", None):
        return find_task().contact_sheet(opened.videos[:MOST], opened.groups, frames)


def _check_output(file: Path) -> None:
    """Refuse, before any work, a file that could not be written after it."""
    from vidseg.errors import UsageError

    if file.suffix.lower() != ".png":
        raise UsageError(f"{file} is no PNG", where="--output", hint="name it as FILE.png")
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"{file.parent} is no folder", where="--output", hint="make it, or name another"
        )


def _write(image: Image, file: Path) -> None:
    """Write a PNG whole or not at all."""
    from PIL import Image as Pil

    from vidseg.errors import UsageError
    from vidseg.utils.files import replacing

    try:
        with replacing(file) as temporary:
            Pil.fromarray(image).save(temporary, "png")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written ({error.strerror or error})", where="--output"
        ) from error
