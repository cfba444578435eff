"""Pages as GitHub-flavoured Markdown; charts stay in the HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vidseg.report.document import (
    Block,
    Bullets,
    Code,
    Figure,
    Page,
    Pictures,
    Strip,
    Table,
    Text,
    code_parts,
)

SPECIAL = re.compile(r"[\\`*{}\[\]<>|#~$&]|(?<!\w)_+|_+(?!\w)")


def to_markdown(pages: Sequence[Page], title: str) -> str:
    """Return the pages as Markdown. Characters that mean something to it are escaped."""
    parts = [f"# {escaped(title)}"]
    if len(pages) > 1:
        head = ["suite", "answer"]
        rows = [[page.title, page.sentence] for page in pages]
        parts += _table(Table("Summary", head, rows))
    for page in pages:
        parts += _page(page, heading=len(pages) > 1)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return text on one line that Markdown, and HTML within it, shows as it is.

    What stands between backticks stays code. ``_`` within a word means nothing to Markdown.
    """
    flat = " ".join(text.split())
    return "".join(
        f"`{part}`" if code and "|" not in part else SPECIAL.sub(_with_backslashes, part)
        for part, code in code_parts(flat)  # a bar ends a cell of a table, also within code
    )


def _with_backslashes(found: re.Match[str]) -> str:
    return "".join(f"\\{letter}" for letter in found[0])


def _page(page: Page, *, heading: bool) -> list[str]:
    parts = [f"## {escaped(page.title)}"] if heading else []
    parts.append(f"**{escaped(page.headline)}** {escaped(page.certainty)}".strip())
    if page.question:
        parts.append(f"*{escaped(page.question)}*")
    parts.append("\n".join(f"- {escaped(k)}: {escaped(v)}" for k, v in page.marks))
    for section in page.sections:
        parts.append(f"{'###' if heading else '##'} {escaped(section.title)}")
        for block in section.blocks:
            parts += _block(block)
    return parts


def _block(block: Block) -> list[str]:
    match block:
        case Text(text):
            return [escaped(text)]
        case Bullets(items):
            return ["\n".join(f"- {escaped(item)}" for item in items)]
        case Code(summary, text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return [escaped(summary) + ":", f"{fence}yaml\n{text.rstrip()}\n{fence}"]
        case Figure(_, caption):
            return [f"*Chart in report.html: {escaped(caption)}*"]
        case Pictures():
            return ["\n".join(_strip(one) for one in block.strips), "*Pictures in report.html*"]
        case Table():
            return _table(block)


def _strip(strip: Strip) -> str:
    mark = f" ({escaped(strip.mark)})" if strip.mark else ""
    shown = "; ".join(escaped(one.caption) for one in strip.pictures)
    return f"- **{escaped(strip.title)}**{mark}: {escaped(strip.text)} {shown}"


def _table(table: Table) -> list[str]:
    over = [name for name, width in table.spans for _ in range(width)] or [""] * len(table.head)
    head = [f"{title} {name}".strip() for title, name in zip(over, table.head, strict=True)]
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    lines = [_row([escaped(cell) for cell in head]), _row(rule)]
    lines += [_row([escaped(cell) for cell in row]) for row in table.rows]
    notes = [f"*{escaped(note)}*" for note in table.notes]
    return [f"**{escaped(table.caption)}**", "\n".join(lines), *notes]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
