"""Options that several commands share, each stated once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
quiet = click.option("--quiet", "-q", is_flag=True, help="Print results only.")


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Apply options in the order in which ``--help`` shall list them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def open_store(root: Path | None, limit: str | None) -> Any:
    """Return the store that the options name.

    Raises:
        UsageError: the limit is no amount of disk.
    """
    from vidseg.store import Store, parse_bytes

    return Store(root, limit=parse_bytes(limit, where="--store-limit") if limit else None)
