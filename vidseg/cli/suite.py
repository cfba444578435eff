"""``vidseg suite``: a whole protocol, resumable, ending in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand
from vidseg.experiment.options import CONDITIONS

if TYPE_CHECKING:
    from vidseg.api.results import SuiteResult
    from vidseg.experiment.records import Row


class Named(click.Group):
    """A group whose first word may also be the name of a suite: ``vidseg suite paper``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a word that is no command for the name of a suite to run."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=Named)
def suite() -> None:
    """Run a protocol: `vidseg suite NAME`, with a shipped suite's name or a YAML file.

    `vidseg suite list` shows the shipped ones, `vidseg suite run --help` the options.
    """


@suite.command("list")
def list_suites() -> None:
    """List the suites that come with vidseg, and the question of each."""
    from vidseg.cli.screen import show_table
    from vidseg.suites.suite import shipped
    from vidseg.utils.yaml import read_yaml

    rows = [
        {"suite": name, "question": read_yaml(path, where="suite")["question"]}
        for name, path in shipped().items()
    ]
    show_table("suites", rows)


@suite.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a suite's file, the start of one's own."""
    from vidseg.suites.suite import find_suite

    click.echo(find_suite(name).read_text(encoding="utf-8"), nl=False)


@suite.command(cls=ProjectCommand)
@click.argument("name")
@options.dataset("Annotated videos, instead of the file's; may be repeated.")
@click.option("--extractor", metavar="SPEC", help="Image features of every pipeline.")
@click.option("--classifier", metavar="SPEC", help="What learns, in every pipeline.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the file: delta=0.02, seeds=[0,1], pipelines.sgd.classifier=sgd:C=1.",
)
@options.conditions(*CONDITIONS, defaults=False)
@options.several(options.executor)
@click.option(
    "--pipeline",
    "pipelines",
    multiple=True,
    metavar="NAME",
    help="Only this pipeline of the file, also where it is optional; may be repeated.",
)
@click.option(
    "--seconds-per-box",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="What drawing a box takes; shows the minutes of each arm.",
)
@click.option(
    "--seconds-per-look",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="What looking at a frame takes; shows the minutes of each arm.",
)
@click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Only the cells whose name matches or holds it; may be repeated.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the cells and what they take, and do none. Some frames are decoded, and their "
    "features computed into the store: for the estimate, and for selectors such as k-center.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the report.  [default: report-NAME]",
)
@options.pictures
@click.option("--experiment", metavar="NAME", help="MLflow experiment.  [default: vidseg]")
@options.several(
    options.tracking_uri, options.store, options.store_limit, options.ledger, options.quiet
)
@click.option("--fresh", is_flag=True, help="Do finished cells again.")
def run(
    name: str,
    overrides: Sequence[str],
    executor: str,
    pipelines: Sequence[str],
    only: tuple[str, ...],
    dry_run: bool,
    output: Path | None,
    pictures: bool,
    experiment: str | None,
    tracking_uri: str | None,
    store_root: Path | None,
    store_limit: str | None,
    ledger_root: Path | None,
    quiet: bool,
    fresh: bool,
    **conditions: Any,
) -> None:
    """Run a suite, or what is left of it, log it to MLflow and write its report.

    A suite that was stopped goes on from its finished cells when the same command is given again.
    """
    from vidseg.api.screen import Screen
    from vidseg.api.session import Places
    from vidseg.api.suites import do_suite, prepare_suite
    from vidseg.suites.overrides import parse_overrides

    changes = parse_overrides([item for item in overrides if item])
    places = Places.find(store_root, store_limit, ledger_root, executor, fresh)
    given = {key: value for key, value in conditions.items() if value != ""}
    named = [one for one in pipelines if one]
    session = prepare_suite(name, changes, given, only, places, named)
    screen = Screen(quiet=quiet)
    if dry_run:
        from vidseg.cli.plan_lines import show_plan

        show_plan(*session.open(screen), fresh=fresh)
        return
    folder = output or Path(f"report-{session.suite.name}")
    with screen.showing():
        done = do_suite(
            session,
            output=folder,
            tracking_uri=tracking_uri,
            experiment=experiment,
            pictures=pictures,
            progress=screen,
        )
    _show(done, folder)
    _refuse_failures(done, folder)


def _show(done: SuiteResult, folder: Path) -> None:
    from vidseg.report import short

    click.echo(short(done.report))
    click.echo(f"report        {(folder / 'report.html').absolute()}")
    if done.tracked:
        click.echo(options.where_to_look(done.tracked, "this suite", "setting"))


def _refuse_failures(done: SuiteResult, folder: Path) -> None:
    """End the command as failed, its report written, where some cells failed.

    Raises:
        DataError: names them.
    """
    from vidseg.errors import DataError
    from vidseg.report.wording import errors

    if done.failures:
        look = f"all are in {(folder / 'report.html').absolute()}"
        if shared_error([setting.failures for setting in done.record.settings]):
            look += "; `vidseg datasets check SPEC` finds all faults of the data at once"
        raise DataError(
            f"{len(done.failures)} of {done.record.plan['cells']} cells failed: "
            f"{'; '.join(errors(done.failures))}",
            where=f"suite {done.name}",
            hint=look,
        )


def shared_error(settings: Sequence[Sequence[Row]]) -> bool:
    """Return whether one error ended cells of several settings: then it may be the data's.

    Args:
        settings: the failures of each setting.
    """
    counts = Counter(error for rows in settings for error in {row["error"] for row in rows})
    return max(counts.values(), default=0) > 1
