"""``vidseg report``: the report of suites that ran before, rebuilt from MLflow alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand
from vidseg.utils.text import plural

if TYPE_CHECKING:
    from vidseg.experiment.records import SuiteRecord
    from vidseg.tracking.suite import FoundSuite

NAMED = 5
"""Other runs that a line names."""


@click.command(cls=ProjectCommand)
@click.argument("suites", nargs=-1, metavar="[RUN]...")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    metavar="DIR",
    help="Folder of the report.  [default: report]",
)
@options.several(options.pictures, options.tracking_uri)
def report(suites: tuple[str, ...], output: Path, pictures: bool, tracking_uri: str | None) -> None:
    """Write the report of suite runs: run ids or their beginnings, or names of suites.

    Without one it is the latest suite's. Several give one report with a section each.
    """
    from vidseg.api.suites import rebuild_report
    from vidseg.report import short

    # under `mlflow run` an argument that is not meant is empty
    found = rebuild_report(
        *(name for name in suites if name),
        output=output,
        tracking_uri=tracking_uri,
        pictures=pictures,
    )
    for one in found:
        if one.found and one.found.others:
            click.echo(_describe(one.found, one.record))
    names = [one.name for one in found]
    for one in found:
        label = one.name
        if one.found and names.count(label) > 1:
            label = f"{label} {one.found.run_id[:8]}"
        click.echo(f"{label}: {short(one.report)}" if len(found) > 1 else short(one.report))
    for path in found[0].files.values():
        click.echo(path.absolute())


def _describe(found: FoundSuite, record: SuiteRecord) -> str:
    """Return which of several runs was taken, and the ids that choose another."""
    began = datetime.fromtimestamp(found.started / 1000)
    failed = sum(len(setting.failures) for setting in record.settings)
    said = [f"run {found.run_id[:8]} of {began:%Y-%m-%d %H:%M}", record.dataset.source]
    if failed:
        said.append(f"{failed} failed {plural('cell', failed)}")
    count, ids = len(found.others), [run_id[:8] for run_id in found.others[:NAMED]]
    others = f"{count} {plural('other', count)}: give the id to choose, {', '.join(ids)}"
    return f"{record.name}: {', '.join(said)}; {others}{', ...' if count > NAMED else ''}"
