"""``vidseg run``: one pipeline on one frame setting, logged to MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand
from vidseg.experiment.options import OPTIONS

if TYPE_CHECKING:
    from vidseg.experiment.config import RunConfig
    from vidseg.experiment.records import RunRecord

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
    fresh: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train one pipeline on one frame setting, test it on held-out videos, log it to MLflow.

    A SPEC is name:key=value,key=value; `vidseg plugins list` and `vidseg plugins show` tell the
    names and keys. A run that was stopped goes on from its finished stages when the same command
    is given again.
    """
    from vidseg.cli.screen import Screen
    from vidseg.experiment.config import make_config, read_config

    written = read_config(config_file) if config_file else {}
    config = make_config(written | {k: v for k, v in given.items() if v not in (None, "")})
    _check_register(register, config)
    store = options.open_store(store_root, store_limit)
    screen = Screen(quiet=quiet)
    with screen.showing():
        screen.say(f"{config.name} on {config.dataset}, {config.extractor}")
        address, record = _tracked(
            config,
            screen,
            experiment=experiment,
            run_name=run_name,
            register=register,
            tracking_uri=tracking_uri,
            store=store,
            ledger_root=ledger_root,
            fresh=fresh,
        )
    show_record(record)
    click.echo(address)


def _tracked(
    config: RunConfig,
    screen: Any,
    *,
    experiment: str | None,
    run_name: str | None,
    register: str | None,
    tracking_uri: str | None,
    store: Any,
    ledger_root: Path | None,
    fresh: bool,
) -> tuple[str, RunRecord]:
    """Do the run inside an MLflow run; return where to look, and the record."""
    from vidseg.experiment.ledger import Ledger
    from vidseg.experiment.run import run as do_run
    from vidseg.tracking.log import log_metrics, log_run
    from vidseg.tracking.metrics import fold_points
    from vidseg.tracking.run import open_run
    from vidseg.tracking.store import connect

    with screen.task("opening the tracking store", None):
        connect(tracking_uri)
    name = options.experiment_name(experiment)
    with open_run(
        name, run_name or config.name, params=config.params(), notice=screen.say
    ) as opened:
        record = do_run(
            config,
            store=store,
            ledger=Ledger(ledger_root),
            progress=screen,
            fresh=fresh,
            on_fold=lambda fold: log_metrics(fold_points(fold), opened),
        )
        with screen.task("logging to MLflow", None):
            version = log_run(record, opened, register=register)
        address = options.where_to_look(opened, "this run", "run")
        return (f"{address}\nregistered    {version}" if version else address), record


def _check_register(register: str | None, config: RunConfig) -> None:
    """Refuse, before any work, a name that the registry would refuse after it, and no model."""
    if not register:
        return
    from vidseg.errors import UsageError
    from vidseg.tracking.model import check_name

    check_name(register)
    if not config.refit and config.split.name != "fixed":
        raise UsageError(
            "several folds are several models, and none of them is logged",
            where="--register with --no-refit",
            hint="leave out --no-refit, or give a split with one fold: fixed:test=",
        )


def show_record(record: RunRecord) -> None:
    """Print the table of the primary score per video beside the baselines, and the headline."""
    from vidseg.cli.screen import show_table
    from vidseg.tasks.registry import find_task

    task = find_task(record.task)
    primary = task.primary
    names = [row["baseline"] for row in record.baselines]
    columns = ["video", "frames", primary, *names, *task.shown, "positive_share"]
    rows = [
        {**row, **{name: row[f"{primary}_{name}"] for name in names}} for row in record.per_video
    ]
    means = {name: row.get(primary) for name, row in zip(names, record.baselines, strict=True)}
    rows.append({"section": True, "video": "mean over groups", **record.headline, **means})
    show_table(
        f"{record.name}: {task.scores[primary].label} of each held-out video, in %", rows, columns
    )
    for note in record.notes:
        click.echo(f"note: {note}")
