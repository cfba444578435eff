"""Pages as one self-contained HTML file: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from vidseg.report.document import Page, code_parts

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TONES = {
    "better": "good",
    "worse": "bad",
    "equivalent": "same",
    "cannot tell": "open",
    "rising": "good",
    "falling": "bad",
    "flat": "same",
    "take it": "good",
    "as good as the best": "same",
    "best guess": "open",
    "exploratory": "open",
}


def to_html(pages: Sequence[Page], title: str) -> str:
    """Return the pages as HTML. Everything but our own SVG is escaped."""
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return _template().render(pages=list(pages), title=title, when=when)


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("vidseg.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tone"] = lambda cell: TONES.get(cell, "")
    environment.filters["marked"] = marked
    return environment.get_template("report.html.j2")


def marked(text: str) -> Markup:
    """Return text as HTML: escaped, and what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = ((escape(_unbroken(part)), code) for part, code in code_parts(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if code else part for part, code in parts
    )


def _unbroken(text: str) -> str:
    """Return the text with spaces that keep a number and its unit together."""
    text = text.replace(" %", "\N{NO-BREAK SPACE}%").replace("p = ", "p\u00a0=\u00a0")
    return re.sub(r"(?<=\d) (?=(?:min|s|h)\b)", "\N{NO-BREAK SPACE}", text)
