"""``vidseg suite``: a whole protocol, resumable, ending in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options

if TYPE_CHECKING:
    from vidseg.cli.screen import Screen
    from vidseg.executors.base import Executor
    from vidseg.ledger import Ledger
    from vidseg.records import Row, SuiteRecord
    from vidseg.store import Store
    from vidseg.suites.bench import Bench
    from vidseg.suites.cells import Cell
    from vidseg.suites.model import Suite


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
    from vidseg.specs import read_yaml
    from vidseg.suites.model import shipped

    rows = [
        {"suite": name, "question": read_yaml(path, where="suite")["question"]}
        for name, path in shipped().items()
    ]
    show_table("suites", rows)


@suite.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a suite's file, the start of one's own."""
    from vidseg.suites.model import find_suite

    click.echo(find_suite(name).read_text(encoding="utf-8"), nl=False)


@suite.command()
@click.argument("name")
@click.option("--dataset", metavar="SPEC", help="Annotated videos, instead of the file's.")
@click.option("--extractor", metavar="SPEC", help="Image features of every pipeline.")
@click.option("--classifier", metavar="SPEC", help="What learns, in every pipeline.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the file: delta=0.02, seeds=[0,1], pipelines.sgd.classifier=sgd:C=1.",
)
@options.several(*options.conditions)
@click.option("--executor", metavar="SPEC", default="local", help="local, processes:n=2 or ray.")
@click.option("--only", metavar="PATTERN", help="Only the cells whose name matches or holds it.")
@click.option("--dry-run", is_flag=True, help="Print the cells and what they take; do nothing.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the report.  [default: report-NAME]",
)
@click.option("--experiment", metavar="NAME", help="MLflow experiment.  [default: vidseg]")
@options.several(
    options.tracking_uri, options.store, options.store_limit, options.ledger, options.quiet
)
@click.option("--fresh", is_flag=True, help="Do finished cells again.")
def run(
    name: str,
    dataset: str | None,
    extractor: str | None,
    classifier: str | None,
    overrides: Sequence[str],
    executor: str,
    only: str | None,
    dry_run: bool,
    output: Path | None,
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
    from vidseg import plugins
    from vidseg.cli.screen import Screen
    from vidseg.ledger import Ledger
    from vidseg.suites.model import load_suite

    workers = plugins.create("executor", executor, where="--executor")
    changed = _changes(overrides, dataset, conditions, workers)
    for part, spec in (("extractor", extractor), ("classifier", classifier)):
        if spec:
            changed[f"pipelines.*.{part}"] = spec
    places = Places(
        load_suite(name, changed),
        name,
        changed,
        options.open_store(store_root, store_limit),
        Ledger(ledger_root),
        fresh,
        only,
    )
    screen = Screen(quiet=quiet)
    if dry_run:
        _show_plan(places, screen)
        return
    folder = output or Path(f"report-{places.suite.name}")
    with screen.showing():
        record, address = _tracked(places, workers, screen, folder, experiment, tracking_uri)
    _show(record, folder, address)
    if not any(setting.complete for setting in record.settings):
        from vidseg.errors import DataError

        first = record.settings[0].failures[0]
        raise DataError(
            f"every cell failed, the first with: {first['error']}", where=f"suite {record.name}"
        )


@dataclass(frozen=True)
class Places:
    """A suite, how it was asked for, and where its things are kept."""

    suite: Suite
    name: str
    changed: dict[str, Any]
    store: Store
    ledger: Ledger
    fresh: bool
    only: str | None

    def open(self, screen: Screen) -> tuple[Bench, list[Cell]]:
        """Open the data set and choose the cells."""
        from vidseg.suites.bench import open_bench
        from vidseg.suites.cells import select

        bench = open_bench(
            self.suite, store=self.store, ledger=self.ledger, progress=screen, fresh=self.fresh
        )
        return bench, select(bench.cells, self.only)


def _changes(
    overrides: Sequence[str], dataset: str | None, conditions: Mapping[str, Any], workers: Executor
) -> dict[str, Any]:
    from vidseg.suites.overrides import parse_overrides

    changed = parse_overrides(overrides)
    changed |= {key: value for key, value in conditions.items() if value not in (None, "")}
    if dataset:
        changed["dataset"] = dataset
    if workers.workers and "threads" not in changed:
        import psutil

        cores = psutil.cpu_count(logical=False) or 1
        changed["threads"] = max(1, cores // workers.workers)
    return changed


def _tracked(
    places: Places,
    workers: Executor,
    screen: Screen,
    folder: Path,
    experiment: str | None,
    tracking_uri: str | None,
) -> tuple[SuiteRecord, str]:
    """Run the suite inside its MLflow run, write and log the report."""
    from vidseg import mlflow_log, mlflow_store, mlflow_suite
    from vidseg.report import build, suite_to_json, write_report
    from vidseg.suites.results import suite_key, suite_record

    with screen.task("opening the tracking store", None):
        mlflow_store.connect(tracking_uri)
    bench, cells = places.open(screen)
    name = options.experiment_name(experiment)
    with mlflow_log.open_run(
        name, places.suite.name, role="suite", key=suite_key(bench), notice=screen.say
    ) as opened:
        results, plan = _do(places, bench, cells, workers, screen, opened)
        record = suite_record(bench, cells, results, plan)
        sentence = build(record).sentence
        write_report([record], folder)
        with screen.task("logging to MLflow", None):
            mlflow_suite.log_suite(
                record,
                opened,
                experiment=name,
                sentence=sentence,
                suite_json=suite_to_json(record),
                report=folder,
            )
        return record, options.where_to_look(opened, "this suite", "setting")


def _do(
    places: Places, bench: Bench, cells: list[Cell], workers: Executor, screen: Screen, opened: Any
) -> tuple[Any, Row]:
    """Fill the ledger from the suite's run, do what is left, send cells as they finish."""
    from vidseg.mlflow_suite import CellLog, kept_cells
    from vidseg.suites.engine import run_cells
    from vidseg.suites.plan import make_plan
    from vidseg.suites.results import cell_content
    from vidseg.suites.worker import context

    log = CellLog(opened, screen.say)
    experiment = next(iter(bench.experiments.values()))
    for cell in kept_cells(opened):
        log.there.add(cell["key"])
        if not places.fresh:
            experiment.restore(cell)
    with screen.task("planning", None):
        plan = make_plan(bench, cells)
    screen.say(describe_plan(plan))
    results = run_cells(
        bench,
        cells,
        workers,
        context=context(places.name, places.changed, places.store, None, places.ledger),
        progress=screen,
        on_finished=lambda cell, found: log.send(cell_content(cell, found)),
    )
    log.flush()
    return results, plan


def _show_plan(places: Places, screen: Screen) -> None:
    from vidseg.cli.screen import show_table
    from vidseg.suites.plan import calibrate, make_plan

    bench, cells = places.open(screen)
    plan = make_plan(bench, cells)
    plan |= calibrate(bench, cells, plan)
    show_table("cells", [{"cell": cell.id, "sampler": str(cell.arm.sampler)} for cell in cells])
    click.echo(describe_plan(plan))


def describe_plan(plan: Row) -> str:
    """Return one line about what is to be done, and one about the time where it was calibrated."""
    about = "" if plan["forwards_exact"] else "at least "
    lines = [
        f"{plan['cells_waiting']} cells to do: {about}{plan['forwards_announced']} extractor "
        f"forwards, {plan['store_bytes'] / 1e9:.2f} GB into the store, "
        f"{plan['training_bytes'] / 1e9:.2f} GB of features in the largest training set"
    ]
    if "seconds_forwards" in plan:
        lines.append(
            f"about {plan['seconds_forwards']:.0f} s for the forwards and "
            f"{plan['seconds_scoring']:.0f} s for scoring, on this machine as it is now; "
            "fits come on top"
        )
    return "\n".join(lines)


def _show(record: SuiteRecord, folder: Path, address: str) -> None:
    from vidseg.report import build, short

    click.echo(short(build(record)))
    for setting in record.settings:
        for failure in setting.failures:
            click.echo(f"failed: {failure['cell']}: {failure['error']}", err=True)
    click.echo(f"report        {(folder / 'report.html').absolute()}")
    click.echo(address)
