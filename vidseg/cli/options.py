"""Options that several commands share, each stated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidseg.experiment.options import OPTIONS, Option

if TYPE_CHECKING:
    from vidseg.tracking.links import Role
    from vidseg.tracking.run import OpenRun

Command = TypeVar("Command", bound=Callable[..., Any])

tracking_uri = click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow tracking store. [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]",
)
store = click.option(
    "--store",
    "store_root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where frames and features are kept. [default: VIDSEG_STORE, else the user's cache]",
)
store_limit = click.option(
    "--store-limit",
    metavar="SIZE",
    help="What the store may hold, such as 20GB. [default: VIDSEG_STORE_LIMIT, else half of "
    "the free disk]",
)
ledger = click.option(
    "--ledger",
    "ledger_root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where finished stages are kept. [default: VIDSEG_LEDGER, else the user's data folder]",
)
executor = click.option(
    "--executor",
    metavar="SPEC",
    default="local",
    help="Where the work is done: local, processes:n=2 or ray.  [default: local]",
)
pictures = click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Show a few test frames in the report, and keep them with the suite in MLflow.",
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Print results only.")


def dataset(text: str) -> Callable[[Command], Command]:
    """Return ``--dataset``, which may be given several times.

    Args:
        text: of the help.
    """
    return click.option("--dataset", multiple=True, callback=_given, metavar="SPEC", help=text)


def _given(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[str] | None:
    return [value for value in values if value.strip()] or None


class Scalar(click.ParamType):  # type: ignore[type-arg]
    """A number or a word, as YAML reads it; the configuration says what it may be."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number, or the text."""
        from vidseg.utils.yaml import scalar

        return scalar(value) if isinstance(value, str) else value


def conditions(*names: str, defaults: bool = True) -> Callable[[Command], Command]:
    """Return the options of a run of these names.

    Args:
        names: of :data:`vidseg.experiment.options.OPTIONS`.
        defaults: whether the help says them; a suite's file has its own.
    """
    return several(*(_condition(OPTIONS[name], defaults) for name in names))


def _condition(option: Option, defaults: bool) -> Callable[[Command], Command]:
    default = f"  [default: {option.default_text}]" if defaults and option.default_text else ""
    kinds: dict[str, tuple[Any, str | None]] = {
        "integer": (click.IntRange(min=option.ge), None),
        "number": (Scalar(), "NUMBER"),
        "size": (None, "WxH"),
        "bytes": (None, "SIZE"),
        "choice": (click.Choice(option.choices), None),
    }
    kind, metavar = kinds.get("choice" if option.choices else option.kind, (None, "SPEC"))
    if option.kind == "dataset":
        return dataset(option.help + default)
    if option.kind == "flag":
        flags = f"{option.flag}/--no-{option.flag.removeprefix('--')}"
        return click.option(flags, default=None, help=option.help + default)
    return click.option(
        option.flag, type=kind, metavar=option.metavar or metavar, help=option.help + default
    )


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Apply options in the order in which ``--help`` shall list them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


device, threads = conditions("device"), conditions("threads")


def where_to_look(run: OpenRun, what: str, role: Role) -> str:
    """Return lines that say how to see a run, and side by side a suite's settings or all runs."""
    from vidseg.tracking.links import compare_url, run_url, served_by_http, ui_command

    page = run_url(run.uri, run.experiment_id, run.run_id)
    parent = run.run_id if role == "setting" else None
    compare = compare_url(run.uri, run.experiment_id, role, parent)
    start = [] if served_by_http(run.uri) else [f"start MLflow  {ui_command(run.uri)}"]
    return "\n".join([*start, f"{what:<13} {page}", f"compare       {compare}"])
