"""``vidseg report``: the report of suites that ran before, rebuilt from MLflow alone."""

from __future__ import annotations

from pathlib import Path

import click

from vidseg.cli import options
from vidseg.cli.project import ProjectCommand


@click.command(cls=ProjectCommand)
@click.argument("suites", nargs=-1, metavar="[RUN]...")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    metavar="DIR",
    help="Folder of the report.  [default: report]",
)
@options.several(options.tracking_uri)
def report(suites: tuple[str, ...], output: Path, tracking_uri: str | None) -> None:
    """Write the report of suite runs: run ids or their beginnings, or names of suites.

    Without one it is the latest suite's. Several give one report with a section each.
    """
    from vidseg import mlflow_store
    from vidseg.mlflow_suite import find_suites
    from vidseg.report import build, short, suite_from_json, write_report

    # under `mlflow run` an argument that is not meant is empty
    uri = mlflow_store.connect_existing(tracking_uri)
    found = find_suites(uri, [name for name in suites if name])
    records = [suite_from_json(content) for _, content in found]
    written = write_report(records, output)
    for record in records:
        click.echo(short(build(record)))
    for path in written.values():
        click.echo(path.absolute())
