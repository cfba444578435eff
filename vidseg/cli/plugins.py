"""``vidseg plugins``: what is installed, whether it works, what it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidseg.plugins.registry import Plugin

CHECK_SECONDS = 120
_CHECK = """
import sys
from vidseg import plugins
print("\\x1e" + plugins.check(plugins.Plugin(*sys.argv[1:])))
"""


@click.group()
def plugins() -> None:
    """List, check and describe plugins: data sets, samplers, classifiers and other kinds."""


@plugins.command("list")
@click.option("--check", is_flag=True, help="Import each one, in a process of its own.")
def list_plugins(check: bool) -> None:
    """List every plugin; imports none unless --check. Exits with 1 when a check fails."""
    from vidseg.cli.screen import show_table
    from vidseg.plugins.describe import summary
    from vidseg.plugins.registry import KINDS, available

    kinds = {kind: available(kind) for kind in KINDS}
    found = [plugin for own in kinds.values() for plugin in own]
    verdicts = _check(found) if check else [""] * len(found)
    rows = []
    for plugin, verdict in zip(found, verdicts, strict=True):
        twice = [other for other in found if (other.kind, other.name) == (plugin.kind, plugin.name)]
        clash = "another package brings this name too" if len(twice) > 1 else ""
        rows.append(
            {
                "kind": plugin.kind,
                "name": plugin.name,
                "package": f"{plugin.package} {plugin.version}",
                "what": clash or verdict or summary(plugin) or "(its source cannot be found)",
                **({"check": "broken" if verdict or clash else "ok"} if check else {}),
            }
        )
    none = {"name": "-", "package": "-", "check": "-", "what": "(none is installed)"}
    rows += [{"kind": kind, **none} for kind, own in kinds.items() if not own]
    columns = ["kind", "name", "package", *(["check"] if check else []), "what"]
    show_table("plugins", rows, columns)
    if any(row.get("check") == "broken" for row in rows):
        raise click.exceptions.Exit(1)


@plugins.command()
@click.argument("kind")
@click.argument("name")
def show(kind: str, name: str) -> None:
    """Describe one plugin: what it does, and its parameters with types and defaults."""
    from vidseg.cli.screen import show_table
    from vidseg.errors import UsageError
    from vidseg.plugins.describe import describe
    from vidseg.plugins.registry import KINDS, find
    from vidseg.utils.suggest import did_you_mean

    if kind not in KINDS:
        hint = f"{did_you_mean(kind, KINDS)}choose {', '.join(KINDS)}"
        raise UsageError(f"there is no kind {kind!r}", hint=hint)
    plugin = find(kind, name)
    text, parameters = describe(plugin)
    click.echo(f"{kind} {name} ({plugin.target}, {plugin.package} {plugin.version})\n\n{text}\n")
    rows = [
        {
            "parameter": parameter.name,
            "type": parameter.type,
            "default": "required" if parameter.default is None else parameter.default,
            "what": parameter.doc,
        }
        for parameter in parameters
    ]
    if rows:
        show_table("parameters", rows)
    else:
        click.echo("It takes no parameters.")


def _check(found: Sequence[Plugin]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_check_one, found))


def _check_one(plugin: Plugin) -> str:
    fields = [plugin.kind, plugin.name, plugin.target, plugin.package, plugin.version]
    command = [sys.executable, "-c", _CHECK, *fields]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False, env=here
        )
    except subprocess.TimeoutExpired:
        return f"the {plugin.blame} is not imported within {CHECK_SECONDS} s"
    if done.returncode == 0 and "\x1e" in done.stdout:
        return done.stdout.rpartition("\x1e")[2].strip()
    lines = done.stderr.strip().splitlines() or ["no message"]
    return f"the {plugin.blame} ends the process with {done.returncode}: {lines[-1]}"
