"""What pages are made of: sections of paragraphs, lists, tables, figures, code. No layout."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from vidseg.report.wording import MISSING

SIGNED = r"[+\N{MINUS SIGN}-]?[\d.\N{NARROW NO-BREAK SPACE}]+"
NUMERIC = re.compile(SIGNED + "( ?(%|s|min|h))?[¹²³⁴⁵]*")


def code_parts(text: str) -> list[tuple[str, bool]]:
    """Return text in parts, each with whether it stood between backticks; these are left out.

    >>> code_parts("try `--prior`.")
    [('try ', False), ('--prior', True), ('.', False)]
    """
    parts = re.split(r"`([^`]+)`", text)
    return [(part, place % 2 == 1) for place, part in enumerate(parts) if part]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: list[str]
    kind: str = "bullets"


@dataclass(frozen=True)
class Code:
    """Preformatted text under a summary that unfolds."""

    summary: str
    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        svg: safe markup, escaped where it was made.
        caption: what it shows.
    """

    svg: str
    caption: str
    kind: str = "figure"


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Attributes:
        jpeg: its bytes, base64.
        width, height: in pixels.
        caption: what it shows.
    """

    jpeg: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Strip:
    """Pictures side by side.

    Attributes:
        title, mark: of what they are; ``mark`` is a short standing, "" without one.
        text: about it, in a line.
        pictures: from left to right.
    """

    title: str
    mark: str
    text: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Pictures:
    """Strips of pictures with one legend: (CSS colour, what it stands for)."""

    strips: list[Strip]
    legend: list[tuple[str, str]]
    note: str
    kind: str = "pictures"


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows.

    Attributes:
        caption: what it shows.
        head: names of the columns.
        rows: cells as text.
        spans: titles over the columns and how many each covers; empty without.
        notes: what stands below.
        folded: hidden until asked for, where a page can do that.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]
    spans: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folded: bool = False
    kind: str = "table"

    @cached_property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers only, one at least."""
        return [
            i > 0 and self._holds_numbers([row[i] for row in self.rows])
            for i in range(len(self.head))
        ]

    @staticmethod
    def _holds_numbers(cells: list[str]) -> bool:
        known = [cell for cell in cells if cell not in (MISSING, "")]
        return bool(known) and all(NUMERIC.fullmatch(cell) for cell in known)


Block = Text | Bullets | Code | Figure | Pictures | Table


@dataclass(frozen=True)
class Section:
    """A titled part of a page."""

    title: str
    anchor: str
    blocks: list[Block]


@dataclass(frozen=True)
class Page:
    """One suite's part of a page.

    Attributes:
        title, question: of the suite.
        headline, certainty: what to do, and how sure that is.
        marks: short facts beside the sentence, (name, value).
        tone: ``told`` where the headline is a finding, ``open`` where it is not.
        sections: in the order to read.
        front: how many of them stand above the fold.
        anchor: unique on the page.
    """

    title: str
    question: str
    headline: str
    certainty: str
    marks: list[tuple[str, str]]
    tone: str
    sections: list[Section]
    front: int
    anchor: str

    @property
    def sentence(self) -> str:
        """The answer: what to do, and how sure that is."""
        return f"{self.headline} {self.certainty}".strip()
