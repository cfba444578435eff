"""``vidseg suite``: a whole protocol, resumable, ending in a report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand
from vidseg.experiment.options import CONDITIONS

if TYPE_CHECKING:
    from vidseg.cli.screen import Screen
    from vidseg.experiment.ledger import Ledger
    from vidseg.experiment.records import Row, SuiteRecord
    from vidseg.experiment.stages import CellResult
    from vidseg.store import Store
    from vidseg.suites.cells import Cell
    from vidseg.suites.executors.base import Executor
    from vidseg.suites.opened import OpenedSuite
    from vidseg.suites.suite import Suite
    from vidseg.tracking.suite import CellLog


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
@options.conditions(*CONDITIONS, defaults=False)
@click.option("--executor", metavar="SPEC", default="local", help="local, processes:n=2 or ray.")
@click.option("--only", metavar="PATTERN", help="Only the cells whose name matches or holds it.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the cells and what they take, and do none. Frames are decoded, and features may be "
    "computed into the store where a selector such as k-center looks at them; nothing else.",
)
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
    from vidseg.experiment.ledger import Ledger
    from vidseg.suites.suite import load_suite

    workers = plugins.create("executor", executor, where="--executor")
    changed = _changes(overrides, dataset, conditions)
    for part, spec in (("extractor", extractor), ("classifier", classifier)):
        if spec:
            changed[f"pipelines.*.{part}"] = spec
    store = options.open_store(store_root, store_limit)
    places = SuiteSession(
        load_suite(name, changed), store, store_limit, Ledger(ledger_root), fresh, only
    )
    places = _divided(places, workers, lambda more: load_suite(name, changed | more))
    screen = Screen(quiet=quiet)
    if dry_run:
        from vidseg.cli.plan_lines import show_plan

        show_plan(*places.open(screen), fresh=fresh)
        return
    folder = output or Path(f"report-{places.suite.name}")
    with screen.showing():
        record, address = _tracked(places, workers, screen, folder, experiment, tracking_uri)
    _show(record, folder, address)
    _refuse_failures(record, folder)


@dataclass(frozen=True)
class SuiteSession:
    """A suite, where its things are kept, and which of its cells are asked for."""

    suite: Suite
    store: Store
    store_limit: str | None
    ledger: Ledger
    fresh: bool
    only: str | None

    def open(self, screen: Screen) -> tuple[OpenedSuite, list[Cell]]:
        """Open the data set and choose the cells."""
        from vidseg.suites.cells import select
        from vidseg.suites.opened import open_suite

        bench = open_suite(self.suite, store=self.store, ledger=self.ledger, progress=screen)
        return bench, select(bench.cells, self.only)

    def context(self) -> dict[str, Any]:
        """Return what workers elsewhere need to know."""
        from vidseg.suites.worker import context
        from vidseg.utils.bytes import parse_bytes

        limit = parse_bytes(self.store_limit, where="--store-limit") if self.store_limit else None
        return context(self.suite, self.store, limit, self.ledger)


def _changes(
    overrides: Sequence[str], dataset: str | None, conditions: Mapping[str, Any]
) -> dict[str, Any]:
    from vidseg.suites.overrides import parse_overrides

    changed = parse_overrides([item for item in overrides if item])
    changed |= {key: value for key, value in conditions.items() if value not in (None, "")}
    if dataset:
        changed["dataset"] = dataset
    return changed


def _divided(places: SuiteSession, workers: Executor, load: Callable[[Row], Suite]) -> SuiteSession:
    """Divide this machine's cores among workers, where nobody said how many threads to use."""
    if not workers.workers or "threads" in places.suite.file.conditions:
        return places
    import psutil

    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return replace(places, suite=load({"threads": max(1, cores // workers.workers)}))


def _tracked(
    places: SuiteSession,
    workers: Executor,
    screen: Screen,
    folder: Path,
    experiment: str | None,
    tracking_uri: str | None,
) -> tuple[SuiteRecord, str]:
    """Run the suite inside its MLflow run, write and log the report."""
    from vidseg.report import build, suite_to_json, write_report
    from vidseg.suites.record import suite_key
    from vidseg.tracking.run import open_run
    from vidseg.tracking.store import connect
    from vidseg.tracking.suite import CellLog, log_suite

    with screen.task("opening the tracking store", None):
        connect(tracking_uri)
    bench, cells = places.open(screen)
    name, key = options.experiment_name(experiment), suite_key(bench)
    with open_run(name, places.suite.name, role="suite", key=key, notice=screen.say) as opened:
        log = CellLog(opened, screen.say)
        _refill(places, bench, log)
        record = _do(places, bench, cells, workers, screen, log)
        written = write_report([record], folder)
        with screen.task("logging to MLflow", None), _kept(folder):
            log.flush()
            log_suite(
                record,
                opened,
                experiment=name,
                sentence=build(record).sentence,
                suite_json=suite_to_json(record),
                report=written,
            )
        _refuse_nothing(record, {cell.id for cell in cells}, folder)
        return record, options.where_to_look(opened, "this suite", "setting")


@contextlib.contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Say that nothing is lost when the tracking server is away, or its disk is full."""
    from vidseg.errors import TrackingError, UnreachableError

    try:
        yield
    except TrackingError as error:
        mended = f"{error.hint or 'mend it'}, then"
        if isinstance(error, UnreachableError):
            mended = "when the server is back,"
        raise type(error)(
            error.what,
            where=error.where,
            hint=f"the results are in the ledger and the report in {folder.absolute()}; {mended} "
            "the same command sends them",
        ) from error


def _refuse_nothing(record: SuiteRecord, asked: set[str], folder: Path) -> None:
    """End the suite as failed when every cell failed that was asked for.

    Raises:
        DataError: they did.
    """
    from vidseg.errors import DataError

    failures = [row for setting in record.settings for row in setting.failures]
    if asked <= {row["cell"] for row in failures}:
        raise DataError(
            f"every cell failed, the first with: {failures[0]['error']}",
            where=f"suite {record.name}",
            hint=f"the others are in {(folder / 'report.html').absolute()}",
        )


def _refuse_failures(record: SuiteRecord, folder: Path) -> None:
    """End the command as failed, its report written, where some cells failed.

    Raises:
        DataError: names them.
    """
    from vidseg.cli.cell_lines import shared_error
    from vidseg.errors import DataError
    from vidseg.report.wording import errors

    failures = [row for setting in record.settings for row in setting.failures]
    if failures:
        look = f"all are in {(folder / 'report.html').absolute()}"
        if shared_error([setting.failures for setting in record.settings]):
            look += "; `vidseg datasets check SPEC` finds all faults of the data at once"
        raise DataError(
            f"{len(failures)} of {record.plan['cells']} cells failed: "
            f"{'; '.join(errors(failures))}",
            where=f"suite {record.name}",
            hint=look,
        )


def _refill(places: SuiteSession, bench: OpenedSuite, log: CellLog) -> None:
    """Fill the ledger from runs of suites; they may have been begun on another machine."""
    from vidseg.tracking.suite import kept_cells, read_kept

    if places.fresh:
        return
    experiment = next(iter(bench.experiments.values()))
    keys = [key for cell in bench.cells if (key := bench.key(cell)) is not None]
    absent = [key for key in keys if not _is_there(places.ledger, key)]
    for key, kept in kept_cells(log.run, absent).items():
        if kept.run_id == log.run.run_id:
            log.there.add(key)
        if _is_there(places.ledger, key):
            continue
        cell = read_kept(log.run, kept)
        if cell is None or not experiment.restore(cell):
            log.there.discard(key)


def _is_there(ledger: Ledger, key: str) -> bool:
    fitted = ledger.read(key, "fit") is not None
    return fitted and any(ledger.folder(key).glob("score-*.json"))


def _do(
    places: SuiteSession,
    bench: OpenedSuite,
    cells: list[Cell],
    workers: Executor,
    screen: Screen,
    log: CellLog,
) -> SuiteRecord:
    """Do what is left of the cells, send them as they finish, and return the suite's record."""
    from vidseg.cli.cell_lines import CellLines
    from vidseg.cli.plan_lines import describe_plan, describe_rest
    from vidseg.suites.engine import forget_cells, read_cells, run_cells
    from vidseg.suites.plan import make_plan, waiting_cells
    from vidseg.suites.record import cell_content, suite_record

    if places.fresh:
        forget_cells(bench, cells)
    with screen.task("planning", None):
        waiting = waiting_cells(bench, cells)
        plan = make_plan(bench, waiting)
    screen.say(describe_plan(plan))
    if 0 < len(waiting) < len(cells):
        screen.say(describe_rest(waiting))
    lines = CellLines(screen, [cell.id for cell in waiting], bench.suite.file.primary)

    def finished(cell: Cell, found: CellResult) -> None:
        log.send(cell_content(cell, found))
        lines.finished(cell, found)

    results = run_cells(
        bench,
        cells,
        workers,
        context=places.context(),
        progress=screen,
        on_fitted=lines.fitted,
        on_finished=finished,
        on_failed=lines.failed,
    )
    # settings that --only left out are shown where they are finished
    read_cells(bench, bench.cells, results)
    begun = {c.name for c in bench.cells if c.id in results.finished or c.id in results.failures}
    shown = [cell for cell in bench.cells if cell.name in begun]
    return suite_record(bench, shown, results, plan)


def _show(record: SuiteRecord, folder: Path, address: str) -> None:
    from vidseg.report import build, short

    click.echo(short(build(record)))
    click.echo(f"report        {(folder / 'report.html').absolute()}")
    click.echo(address)
