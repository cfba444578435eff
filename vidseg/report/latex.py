"""The tables of pages as LaTeX: plain ``tabular`` in ``table``, no package beyond the kernel's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vidseg.report.document import Page, Table, code_parts

NOTHING = "\0"
SPECIAL = {
    NOTHING: "{}",
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\`{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "·": r"$\cdot$",
    "¹": "$^{1}$",
    "²": "$^{2}$",
    "³": "$^{3}$",
    "⁴": "$^{4}$",
    "⁵": "$^{5}$",
}
LONG = 40
NARROW = 7


def to_latex(pages: Sequence[Page], title: str) -> str:
    """Return every table as a LaTeX ``table``, for ``\\input``; each suite's sentence before."""
    parts = [f"% {' '.join(title.split())}: tables for \\input"]
    for page in pages:
        parts.append(f"\\paragraph{{{escaped(page.title)}}} {escaped(page.sentence)}")
        for section in page.sections:
            parts += [_table(block) for block in section.blocks if isinstance(block, Table)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return text on one line that LaTeX prints as it is."""
    flat = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split(" "))
    return "".join(_code(part) if code else _words(part) for part, code in code_parts(flat))


def _code(text: str) -> str:
    return rf"\texttt{{{_letters(text)}}}"


def _words(text: str) -> str:
    """Return text with single quotes that open as such."""
    quoted = re.split(r"(?<!\w)'([^']+)'(?!\w)", text)
    return "".join(
        f"`{_letters(part)}'" if place % 2 else _letters(part) for place, part in enumerate(quoted)
    )


def _letters(text: str) -> str:
    apart = re.sub(r"-(?=-)", f"-{NOTHING}", text)  # together they would be set as a dash
    return "".join(SPECIAL.get(letter, letter) for letter in apart)


def _table(table: Table) -> str:
    size = r"\footnotesize" if len(table.head) > NARROW else r"\small"
    lines = [
        r"\begin{table}",
        rf"  \caption{{{escaped(table.caption)}}}",
        rf"  \centering{size}",
        rf"  \begin{{tabular}}{{{_columns(table)}}}",
        r"    \hline",
    ]
    if table.spans:
        over = [rf"\multicolumn{{{width}}}{{c}}{{{escaped(name)}}}" for name, width in table.spans]
        lines.append(_row(over))
    lines += [_row([escaped(name) for name in table.head]), r"    \hline"]
    lines += [_row([escaped(cell) for cell in row]) for row in table.rows]
    lines += [r"    \hline", r"  \end{tabular}"]
    lines += [rf"  \par\smallskip\footnotesize {escaped(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"])


def _columns(table: Table) -> str:
    def kind(place: int) -> str:
        if table.numeric[place]:
            return "r"
        longest = max((len(row[place]) for row in table.rows), default=0)
        return r"p{0.4\linewidth}" if longest > LONG else "l"

    return "".join(kind(place) for place in range(len(table.head)))


def _row(cells: Sequence[str]) -> str:
    # a bracket or star after the previous row's \\ would be read as its argument
    cells = ["{}" + cell if cell[:1] in ("[", "*") else cell for cell in cells]
    return f"    {' & '.join(cells)} \\\\"
