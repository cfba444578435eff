"""Reads the documentation: its code blocks, commands, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

PAGES = (
    *(
        ROOT / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
)

_FENCE = re.compile(r"^```(\w*)\s*$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, and the number of its first line."""

    language: str
    text: str
    line: int


@dataclass
class Command:
    """A command of a page.

    Attributes:
        text: as a user types it.
        where: ``README.md:12``.
        output: what the page shows below it.
    """

    text: str
    where: str
    output: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """The lines that it must end with; none where it must succeed."""
        return [line for line in self.output if line.startswith("vidseg: error:")]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    language, lines, start = None, [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, lines, start = fence[1], [], number + 1
        elif fence:
            yield Block(language or "", "\n".join(lines) + "\n", start)
            language = None
        elif language is not None:
            lines.append(line)


def commands(page: Path) -> list[Command]:
    """Return the commands of a page's ``console`` and ``bash`` blocks, in order."""
    found: list[Command] = []
    for block in blocks(page):
        if block.language not in ("console", "bash", "sh", "shell"):
            continue
        for offset, line in enumerate(block.text.splitlines()):
            if line.startswith("$ ") or block.language != "console":
                found.append(Command(line.removeprefix("$ "), f"{page.name}:{block.line + offset}"))
            elif found and line:
                found[-1].output.append(line)
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return _LINK.findall(prose(page))


def inline(page: Path) -> list[str]:
    """Return the inline code of a page."""
    return _INLINE.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
