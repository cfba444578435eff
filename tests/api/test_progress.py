"""What is said of each cell, and how long the others will take."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from vidseg.api import screen
from vidseg.api.progress import CellLines


class Told:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_the_last_line_says_how_long_the_other_cells_take() -> None:
    told: Any = Told()
    now = [0.0]
    lines = CellLines(told, ["a", "b", "c", "d"], "iou", clock=lambda: now[0])

    def after(seconds: float) -> None:
        now[0] += seconds

    for cell in "ab":
        after(10)
        lines.fitted(cell)
    after(4)
    lines.failed("a", ValueError("no"))
    lines.failed("b", ValueError("no"))
    # two fits of 10 s are left, and two scores: those of the two cells took 4 s together
    assert told.lines[-1] == "cell 2 of 4, b: failed: no; about 24 s left"
    for cell in "cd":
        after(10)
        lines.fitted(cell)
    after(4)
    lines.failed("c", ValueError("no"))
    lines.failed("d", ValueError("no"))
    assert told.lines[-1] == "cell 4 of 4, d: failed: no"


def test_a_line_of_a_log_says_how_far_it_is_and_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(screen._Log, "_again", lambda log: None)
    out = io.StringIO()
    log = screen._Log(Console(file=out, width=200), "fits and scores", 8)
    log._tell()
    log.advance(2)
    now[0] += 30
    log._tell()
    assert out.getvalue().splitlines() == [
        "fits and scores: 0 of 8",
        "fits and scores: 2 of 8, about 90 s left",
    ]
