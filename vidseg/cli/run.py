"""``vidseg run``: one pipeline on one frame setting, logged to MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand
from vidseg.experiment.options import OPTIONS

if TYPE_CHECKING:
    from vidseg.api.results import RunResult

PLACES = options.several(
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML with these options, such as a run's config.yaml; the command line wins.",
    ),
    click.option("--experiment", metavar="NAME", help="MLflow experiment.  [default: vidseg]"),
    click.option("--run-name", metavar="NAME", help="MLflow run name.  [default: the setting]"),
    click.option("--register", metavar="NAME", help="Register the model under this name."),
    options.tracking_uri,
    options.store,
    options.store_limit,
    options.ledger,
    options.executor,
    click.option(
        "--dry-run", is_flag=True, help="Print the folds and what they take, and do none."
    ),
    click.option("--fresh", is_flag=True, help="Do finished stages again."),
    options.quiet,
)


@click.command(cls=ProjectCommand)
@options.conditions(*OPTIONS)
@PLACES
def run(
    config_file: Path | None,
    experiment: str | None,
    run_name: str | None,
    register: str | None,
    tracking_uri: str | None,
    store_root: Path | None,
    store_limit: str | None,
    ledger_root: Path | None,
    executor: str,
    dry_run: bool,
    fresh: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train one pipeline on one frame setting, test it on held-out videos, log it to MLflow.

    A SPEC is name:key=value,key=value; `vidseg plugins list` and `vidseg plugins show` tell the
    names and keys. A run that was stopped goes on from its finished stages when the same command
    is given again.
    """
    from vidseg.api.runs import do_run, prepare_run
    from vidseg.api.screen import Screen
    from vidseg.api.session import Places

    conditions = {name: value for name, value in given.items() if value != ""}
    places = Places.find(store_root, store_limit, ledger_root, executor, fresh)
    prepared = prepare_run(conditions, config_file, places)
    screen = Screen(quiet=quiet)
    if dry_run:
        from vidseg.cli.plan_lines import show_plan

        show_plan(*prepared.session.open(screen), fresh=fresh)
        return
    with screen.showing():
        done = do_run(
            prepared,
            tracking_uri=tracking_uri,
            experiment=experiment,
            run_name=run_name,
            register=register,
            progress=screen,
        )
    show_run(done)


def show_run(done: RunResult) -> None:
    """Print the table of IoU per video beside the baselines, the notes, and where to look."""
    from vidseg.cli.screen import show_table

    title, columns, rows = done.table()
    show_table(title, rows, columns)
    for hint in done.hints:
        click.echo(f"look: {hint}")
    for note in done.notes:
        click.echo(f"note: {note}")
    if done.tracked:
        click.echo(options.where_to_look(done.tracked, "this run", "run"))
    if done.registered:
        click.echo(f"registered    {done.registered}")
