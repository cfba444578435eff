"""Numbers in words: points, levels, p values."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import PurePath

from vidseg.experiment.records import Row
from vidseg.stats import Interval
from vidseg.utils.text import plural

MISSING = "–"
NOT_FEASIBLE = 200
"""Groups beyond which a study is called not feasible."""


def points(value: float | None, *, sign: bool = True) -> str:
    """Return a score or a difference in hundredths, one decimal: ``+6.2``."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return minus("∞" if value > 0 else "-∞")
    text = f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"
    return minus("0.0" if float(text) == 0 else text)


def whole(value: float | None) -> str:
    """Return a score in whole percents, as the paper prints them."""
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.0f}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a plain number with ``digits`` significant ones, thousands set apart."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return minus("∞" if value > 0 else "-∞")
    if value == int(value) or abs(value) >= 10 ** (digits - 1):
        return minus(f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}"))
    return minus(f"{value:.{digits}g}")


def level(value: float) -> str:
    """Return a confidence level, as attained: ``87.5 %``."""
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def p_value(value: float | None) -> str:
    """Return a p value: ``0.125``, ``0.0031``."""
    if value is None or math.isnan(value):
        return MISSING
    if value > 0.9995:
        return "1"
    return f"{value:.3f}".rstrip("0") if value >= 0.01 else f"{value:.2g}"


def span(interval: Interval, *, sign: bool = True) -> str:
    """Return an interval of scores: ``+1.0 to +9.3``."""
    if math.isinf(interval.low) or math.isinf(interval.high):
        return "unbounded"
    return f"{points(interval.low, sign=sign)} to {points(interval.high, sign=sign)}"


def between(interval: Interval) -> str:
    """Return an interval with its level: ``95 % +1.0 to +9.3``; there may be none."""
    if not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return "no interval"
    return f"{level(interval.level)} {span(interval)}"


def sentence_case(text: str, names: Collection[str] = ()) -> str:
    """Return a text with a capital, unless it begins with a name, or a path.

    >>> sentence_case("merged: a and b"), sentence_case("a_orig shows c")
    ('Merged: a and b', 'a_orig shows c')
    """
    first = (text.split(maxsplit=1) or [""])[0].rstrip(":,")
    plain = first.replace("-", "").replace("'", "").isalpha()
    return text[:1].upper() + text[1:] if plain and first not in names else text


def data_name(dataset: Row) -> str:
    """Return what a data set is: its folder, where its spec names one, and its format.

    >>> data_name({"name": "masks", "source": "masks:../data/persons-masks,void=128"})
    'persons-masks (masks)'
    """
    place = str(dataset["source"]).partition(":")[2].split(",")[0]
    folder = "" if "=" in place else PurePath(place).name
    name = str(dataset["name"])
    return f"{folder} ({name})" if folder and folder != name else name


def count(value: float, one: str) -> str:
    """Return ``1 group``, ``4 groups``, ``0.5 points``."""
    return f"{number(value)} {plural(one, value)}"


def would_take(groups: int | None) -> str:
    """Return a number of groups that a finding would take: ``21``, ``not feasible``."""
    if groups is not None and groups > NOT_FEASIBLE:
        return "not feasible"
    return number(groups)


def joined(names: Sequence[str], limit: int = 6, kind: str = "") -> str:
    """Return ``a, b and c``; beyond ``limit`` names how many more, and what they are."""
    shown = list(names[:limit])
    if len(names) > limit:
        more = len(names) - limit
        return f"{', '.join(shown)} and {more} more{f' {plural(kind, more)}' if kind else ''}"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def seconds(value: float | None) -> str:
    """Return a duration: ``42 s``, ``3.5 min``, ``2.1 h``."""
    if value is None or math.isnan(value):
        return MISSING
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if value >= 2 * size:
            return f"{number(value / size, 2)} {unit}"
    return f"{number(value, 2)} s"


def minus(text: str) -> str:
    """Return the text with true minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def errors(failures: Sequence[Row], limit: int = 3) -> list[str]:
    """Return each error once, the most frequent first: ``2 cells (a, b): no disk``.

    Args:
        failures: rows of ``cell`` and ``error``.
        limit: cells that are named of each error, and errors that are told.
    """
    cells: dict[str, list[str]] = {}
    for row in failures:
        cells.setdefault(str(row["error"]), []).append(str(row["cell"]))
    ranked = sorted(cells.items(), key=lambda entry: -len(entry[1]))
    said = [
        f"{count(len(names), 'cell')} ({', '.join(names[:limit])}"
        f"{', ...' if len(names) > limit else ''}): {error}"
        for error, names in ranked[:limit]
    ]
    more = len(ranked) - limit
    return said + ([f"and {count(more, 'more error')}"] if more > 0 else [])
