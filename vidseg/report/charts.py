"""Charts as SVG text: small, drawn with the page's colours, readable without them.

Colours are CSS variables with a fallback, so that a chart follows a page's theme and also stands
alone. Series differ in dash and marker too. Text that comes from users is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from vidseg.report.wording import minus, number

At = Callable[[float, float], tuple[float, float]]

WIDTH = 460
COLOURS = ("#0b62c4", "#b45309", "#0f766e", "#9d174d", "#6d28d9", "#4d7c0f")
DASHES = ("", "7 4", "2 4", "9 3 2 3", "4 2", "1 3")


@dataclass(frozen=True)
class Bar:
    """One row of a forest chart: an estimate with its interval, in points.

    Attributes:
        label, detail: names it; stands at its right end.
        middle: the estimate.
        low, high: the interval; may be infinite.
        solid: the interval has the level that was asked; otherwise it is drawn dashed.
        dots: the groups' own values.
    """

    label: str
    detail: str
    middle: float
    low: float
    high: float
    solid: bool
    dots: Sequence[float] = ()


@dataclass(frozen=True)
class Line:
    """One series of a curve chart, in percent.

    Attributes:
        label: its name; "" keeps it out of the legend.
        x, y: points; a y of None is a gap.
        smooth: more points of a fitted curve, drawn as the line; without, the points are joined.
        faint: background, such as single groups.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    smooth: Sequence[tuple[float, float]] = ()
    faint: bool = False


@dataclass(frozen=True)
class Band:
    """A shaded range of x with a mark inside it, such as where a curve flattens."""

    low: float
    high: float
    at: float
    label: str


@dataclass
class _Canvas:
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'
        )

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>')

    def rect(self, x: float, y: float, width: float, height: float, style: str) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}" {style}/>'
        )

    def circle(self, x: float, y: float, r: float, style: str) -> None:
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {style}/>')

    def svg(self, title: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:.0f}" '
            f'role="img" font-family="inherit" font-size="14" fill="currentColor">'
            f"<title>{escape(title)}</title>{''.join(self.parts)}</svg>"
        )


GRID = 'stroke="currentColor" stroke-opacity=".14"'
AXIS = 'stroke="currentColor" stroke-opacity=".55"'
QUIET = 'fill-opacity=".7"'
HALO = 'stroke="var(--paper, #fff)" stroke-width="4" paint-order="stroke"'
"""Text over lines stays readable."""


def colour(place: int) -> str:
    """Return the colour of series ``place``, which a page may replace by its variable."""
    i = place % len(COLOURS)
    return f"var(--s{i + 1}, {COLOURS[i]})"


def forest(bars: Sequence[Bar], delta: float, unit: str, title: str) -> str:
    """Draw differences with intervals, the band of no interest (``delta``, points) behind."""
    ends = [v for b in bars for v in (b.low, b.high, b.middle, *b.dots) if math.isfinite(v)]
    ticks = nice_ticks(min([*ends, -2 * delta]), max([*ends, 2 * delta]))
    left, right, row, top = 10.0, WIDTH - 10.0, 46.0, 8.0
    scale = (right - left) / (ticks[-1] - ticks[0])

    def x(value: float) -> float:
        return left + (min(max(value, ticks[0]), ticks[-1]) - ticks[0]) * scale

    canvas = _Canvas(top + row * len(bars) + 44)
    bottom = top + row * len(bars)
    canvas.rect(x(-delta), top, x(delta) - x(-delta), bottom - top, 'fill-opacity=".08"')
    for tick in ticks:
        canvas.line(x(tick), top, x(tick), bottom, AXIS if tick == 0 else GRID)
        canvas.text(x(tick), bottom + 17, minus(f"{tick:g}"), _anchor(x(tick)))
    middle = 'text-anchor="middle" fill-opacity=".7"'
    canvas.text(WIDTH / 2, bottom + 36, f"difference, {unit} points", middle)
    for place, bar in enumerate(bars):
        _forest_row(canvas, bar, top + place * row, x)
    return canvas.svg(title)


def _forest_row(canvas: _Canvas, bar: Bar, y: float, x: Callable[[float], float]) -> None:
    canvas.text(10, y + 14, shortened(bar.label, 38), HALO)
    canvas.text(WIDTH - 10, y + 14, bar.detail, f'text-anchor="end" {QUIET} {HALO}')
    level = y + 30
    dash = "" if bar.solid else 'stroke-dasharray="5 4"'
    style = f'stroke="{colour(0)}" stroke-width="2.5" {dash}'
    canvas.line(x(bar.low), level, x(bar.high), level, style)
    if bar.solid:
        for end in (bar.low, bar.high):
            canvas.line(x(end), level - 5, x(end), level + 5, style)
    for dot in bar.dots:
        canvas.circle(x(dot), level, 2.6, 'fill-opacity=".45"')
    canvas.circle(x(bar.middle), level, 5.5, f'fill="{colour(0)}"')


def curves(
    lines: Sequence[Line],
    unit: str,
    title: str,
    band: Band | None = None,
    across: str = "frames per video",
    up: str = "",
) -> str:
    """Draw scores (percent) against frames per video on a logarithmic axis.

    Args:
        lines: the series.
        unit: name of the score.
        title: for readers without pictures.
        band: where a curve flattens.
        across, up: what x and y are, where it is something else.
    """
    named = [line for line in lines if line.label]
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in line.y if y is not None]
    ys += [y for line in lines for _, y in line.smooth]
    ticks = nice_ticks(min(ys), max(ys))
    left, right, top, bottom = 44.0, WIDTH - 14.0, 12.0, 262.0
    low, high = math.log(min(xs)), math.log(max(xs))
    wide = (right - left) / max(high - low, 1e-9)
    tall = (bottom - top) / (ticks[-1] - ticks[0])

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (math.log(x) - low) * wide, bottom - (y - ticks[0]) * tall

    canvas = _Canvas(bottom + 42 + 20 * len(named))
    for tick in ticks:
        y = at(min(xs), tick)[1]
        canvas.line(left, y, right, y, GRID)
        canvas.text(left - 7, y + 4, minus(f"{tick:g}"), f'text-anchor="end" {QUIET}')
    _log_axis(canvas, sorted(set(xs)), at, bottom)
    canvas.text(WIDTH / 2, bottom + 36, across, f'text-anchor="middle" {QUIET}')
    canvas.text(left + 4, top + 8, up or f"{unit}, %", QUIET)
    if band:
        _band(canvas, band, at, top, bottom)
    for line in lines:
        _series(canvas, line, named.index(line) if line.label else 0, at)
    for place, line in enumerate(named):
        _legend(canvas, line, place, bottom + 56 + 20 * place)
    return canvas.svg(title)


def _log_axis(canvas: _Canvas, xs: Sequence[float], at: At, bottom: float) -> None:
    last = -math.inf
    for value in xs:
        x = at(value, 0)[0]
        canvas.line(x, bottom, x, bottom + 4, AXIS)
        if x - last > 26:
            canvas.text(x, bottom + 17, number(value), _anchor(x))
            last = x


def _band(canvas: _Canvas, band: Band, at: At, top: float, bottom: float) -> None:
    x1, x2 = at(band.low, 0)[0], at(band.high, 0)[0]
    canvas.rect(x1, top, x2 - x1, bottom - top, 'fill-opacity=".07"')
    x = at(band.at, 0)[0]
    canvas.line(x, top, x, bottom, f'{AXIS} stroke-dasharray="3 3"')
    end = x > WIDTH * 0.6
    anchor = 'text-anchor="end"' if end else ""
    canvas.text(x - 6 if end else x + 6, bottom - 8, band.label, anchor)


def _series(canvas: _Canvas, line: Line, place: int, at: At) -> None:
    points = [at(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None]
    path = [at(x, y) for x, y in line.smooth] or points
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
    if line.faint:
        canvas.parts.append(
            f'<polyline points="{shape}" fill="none" stroke="currentColor" stroke-opacity=".22"/>'
        )
        return
    dash = f'stroke-dasharray="{DASHES[place % len(DASHES)]}"' if place % len(DASHES) else ""
    canvas.parts.append(
        f'<polyline points="{shape}" fill="none" stroke="{colour(place)}" stroke-width="2.4" '
        f"{dash}/>"
    )
    for x, y in points:
        _marker(canvas, x, y, place)


def _marker(canvas: _Canvas, x: float, y: float, place: int) -> None:
    style = f'fill="{colour(place)}"'
    match place % 3:
        case 0:
            canvas.circle(x, y, 4.2, style)
        case 1:
            canvas.rect(x - 4, y - 4, 8, 8, style)
        case _:
            canvas.parts.append(
                f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" {style}/>',
            )


def _legend(canvas: _Canvas, line: Line, place: int, y: float) -> None:
    dash = f'stroke-dasharray="{DASHES[place % len(DASHES)]}"' if place % len(DASHES) else ""
    canvas.line(44, y - 4, 74, y - 4, f'stroke="{colour(place)}" stroke-width="2.4" {dash}')
    _marker(canvas, 59, y - 4, place)
    canvas.text(82, y, shortened(line.label, 48))


def _anchor(x: float) -> str:
    side = "start" if x < 24 else "end" if x > WIDTH - 24 else "middle"
    return f'text-anchor="{side}" {QUIET}'


def shortened(text: str, longest: int) -> str:
    """Return the text, cut with an ellipsis if it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def nice_ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Return round ticks that enclose ``low..high``, two at least."""
    rough = max(high - low, 1e-6) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]
