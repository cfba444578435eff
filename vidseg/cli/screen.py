"""Tables on standard output."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vidseg.experiment.records import Row


def show_table(title: str, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Print rows as a table on stdout: percentages with one digit, undefined values as a dash."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    names = list(columns or (rows[0] if rows else []))
    for name in names:
        text = all(isinstance(row.get(name), str) for row in rows)
        table.add_column(name, justify="left" if text else "right", overflow="fold")
    for row in rows:
        if row.get("section"):
            table.add_section()
        table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def _cell(value: Any) -> Text:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Text("-")
    return Text(f"{100 * value:.1f}" if isinstance(value, float) else str(value))
