"""Options that several commands share, each stated once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
quiet = click.option("--quiet", "-q", is_flag=True, help="Print results only.")
device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[default: auto]"
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of the extractor.  [default: physical cores]",
)


class NumberOr(click.ParamType):  # type: ignore[type-arg]
    """A number, or one word."""

    name = "number"

    def __init__(self, word: str) -> None:
        self._word = word

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Return the number or the word; anything else is refused."""
        if value == self._word:
            return self._word
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor {self._word}", param, ctx)


conditions = (
    click.option(
        "--image-size",
        metavar="WxH",
        help="What the extractor sees, or native.  [default: 320x240]",
    ),
    click.option("--mask-size", metavar="WxH", help="Size of masks.  [default: as the image size]"),
    click.option(
        "--split",
        metavar="SPEC",
        help="leave-one-group-out, k-fold:k=, or fixed:test=a,test=b.  "
        "[default: leave-one-group-out]",
    ),
    click.option(
        "--test-stride",
        type=click.IntRange(min=1),
        help="Score every n-th test frame.  [default: 1, all]",
    ),
    click.option(
        "--train-labels",
        metavar="SPEC",
        help="What training labels are; tests are on the truth.  [default: truth]",
    ),
    click.option(
        "--refine",
        type=click.Choice(["box", "ellipse", "grabcut"]),
        help="What a box becomes in a training mask.  [default: box]",
    ),
    click.option(
        "--prior",
        metavar="SHARE",
        type=float,
        help="Weigh classes as if this share of the pixels were foreground.  [default: no weights]",
    ),
    click.option(
        "--budget",
        type=click.Choice(["paper", "equal-steps", "equal-epochs"]),
        help="How epochs depend on the number of frames.  [default: paper]",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Epochs at one frame per video.  [default: the classifier's]",
    ),
    click.option(
        "--max-time", type=click.FloatRange(min=0, min_open=True), help="Seconds for one fit."
    ),
    click.option(
        "--memory-budget", metavar="SIZE", help="Memory that a fit may take.  [default: 8GB]"
    ),
    device,
    threads,
)
"""Options of a run that a suite states once for all of its settings."""


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


def experiment_name(given: str | None) -> str:
    """Return the MLflow experiment: the option, the environment's, or ``vidseg``."""
    return given or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "vidseg"


def where_to_look(run: OpenRun, what: str, role: Role) -> str:
    """Return lines that say how to see a run, and side by side a suite's settings or all runs."""
    from vidseg.tracking.links import compare_url, run_url, served_by_http, ui_command

    page = run_url(run.uri, run.experiment_id, run.run_id)
    parent = run.run_id if role == "setting" else None
    compare = compare_url(run.uri, run.experiment_id, role, parent)
    start = [] if served_by_http(run.uri) else [f"start MLflow  {ui_command(run.uri)}"]
    return "\n".join([*start, f"{what:<13} {page}", f"compare       {compare}"])
