"""The sections of a report about suites over axes: gain curves, new videos or more frames."""

from __future__ import annotations

import math

import numpy as np

from vidseg.report.charts import Band, Line, curves
from vidseg.report.document import Block, Bullets, Figure, Section, Table, Text
from vidseg.report.facts import Curve, Grid, Report
from vidseg.report.sentence import rate_interval
from vidseg.report.wording import (
    MISSING,
    count,
    joined,
    level,
    number,
    p_value,
    points,
    span,
)


def gain_curves(report: Report) -> Section | None:
    """Return score against frames per video, and where it flattens."""
    if not report.curves:
        return None
    unit = report.unit
    drawn = [curve for curve in report.curves if any(m is not None for m in curve.means)]
    blocks: list[Block] = [_curve_figure(report, curve, unit) for curve in drawn[:1]]
    if len(drawn) > 1:
        lines = [Line(_curve_name(report, c), c.counts, _percent(c.means)) for c in drawn]
        title = f"{unit} against frames per video, {len(drawn)} series"
        blocks.append(Figure(curves(lines, unit, title), "Means over groups, points joined."))
    blocks.append(_points_table(report, unit))
    if alike := [line for c in report.curves for line in c.alike]:
        blocks.append(Bullets([f"{line}." for line in alike]))
    if any(c.fit for c in report.curves):
        blocks.append(_fit_table(report))
    unfitted = [f"{_curve_name(report, c)}: no curve, {c.reason}." for c in drawn if not c.fit]
    if unfitted:
        blocks.append(Bullets(unfitted))
    return Section("Gain curve", "curve", blocks)


def _delta(report: Report) -> str:
    return count(round(100 * report.delta, 9), "point")


def _curve_name(report: Report, curve: Curve) -> str:
    several = len({s.pipeline for s in report.settings}) > 1
    parts = [curve.label, curve.pipeline if several or not curve.label else ""]
    return " · ".join(part for part in parts if part)


def _percent(values: list[float | None]) -> list[float | None]:
    return [None if value is None else 100 * value for value in values]


def _curve_figure(report: Report, curve: Curve, unit: str) -> Figure:
    fit, band, smooth = curve.fit, None, []
    if fit:
        places = np.geomspace(curve.counts[0], curve.counts[-1], 60)
        smooth = list(zip(places.tolist(), (100 * fit.predict(places)).tolist(), strict=True))
        if fit.shape == "rising" and fit.flattens is not None and fit.flattens_at is not None:
            ends = (fit.flattens.low, fit.flattens.high)
            band = Band(*ends, fit.flattens_at, f"flattens at {fit.flattens_at}")
    lines = [Line("", curve.counts, _percent(row), faint=True) for row in curve.groups.values()]
    lines.append(Line(_curve_name(report, curve), curve.counts, _percent(curve.means), smooth))
    caption = "Markers: means over groups; thin lines: single groups."
    if fit:
        caption += " Thick line: power law a − b n^−c, fitted."
    if band and fit and fit.flattens:
        caption += (
            f" Dashed: from there less than {_delta(report)} is left; shaded: "
            f"its {level(fit.flattens.level)} interval."
        )
    title = f"{unit} against frames per video: {_curve_name(report, curve)}"
    return Figure(curves(lines, unit, title, band), caption)


def _points_table(report: Report, unit: str) -> Table:
    rows = [
        [_curve_name(report, c), number(n), points(mean, sign=False), _seed_spread(report, name)]
        for c in report.curves
        for n, mean, name in zip(c.counts, c.means, c.settings, strict=True)
    ]
    head = ["curve", "frames per video", f"{unit}, %", "spread over seeds"]
    notes = ["Spread: standard deviation over seeds (other starts) of the mean over groups."]
    return Table("Points of the curve", head, rows, notes=notes)


def _seed_spread(report: Report, name: str) -> str:
    return points(report.setting(name).seed_spread, sign=False)


def _fit_table(report: Report) -> Table:
    head = [
        "curve",
        "shape",
        "p flat",
        "gain",
        "interval",
        "its level",
        "flattens at",
        "from",
        "to",
        "highest mean at",
    ]
    rows = []
    for c in report.curves:
        if c.fit is None:
            continue
        f = c.fit
        flattens = f.flattens if f.shape == "rising" else None
        ends = [number(flattens.low), number(flattens.high)] if flattens else [MISSING] * 2
        rows.append(
            [
                _curve_name(report, c),
                f.shape,
                p_value(f.p_value),
                points(f.gain),
                span(f.gain_interval),
                level(f.gain_interval.level),
                number(f.flattens_at) if flattens else MISSING,
                *ends,
                number(f.best),
            ]
        )
    floors = sorted({c.fit.p_floor for c in report.curves if c.fit})
    notes = [
        "Gain: from the fewest to the most frames, points. Flattens at: frames per video from "
        f"which less than {_delta(report)} is left, on the fitted power law. "
        f"Smallest possible p: {joined([p_value(p) for p in floors])}. No point is named where the "
        f"means lie more than {_delta(report)} from the fitted curve, or fall at the end.",
        *(
            f"{_curve_name(report, c)}: the means lie {points(c.fit.rms, sign=False)} points from "
            "the fitted curve (root mean square)."
            for c in report.curves
            if c.fit
        ),
    ]
    return Table("Fitted curves", head, rows, notes=notes)


def exchange(report: Report) -> Section | None:
    """Return score over videos x frames, the exchange rate, and what a budget buys."""
    if not report.grids:
        return None
    blocks: list[Block] = []
    for grid in report.grids:
        blocks += _grid_blocks(report, grid)
    return Section("New videos or more frames", "exchange", blocks)


def _grid_blocks(report: Report, grid: Grid) -> list[Block]:
    unit = report.unit
    name = " · ".join(part for part in (grid.pipeline, grid.label) if part)
    lines = [
        Line(count(v, "video"), grid.frames, _percent(row))
        for v, row in zip(grid.videos, grid.means, strict=True)
        if any(m is not None for m in row)
    ]
    blocks: list[Block] = []
    if lines:
        svg = curves(lines, unit, f"{unit} against frames per video for each number of videos")
        blocks.append(Figure(svg, f"{name}: means over groups."))
    head = ["training videos", *(count(f, "frame") for f in grid.frames)]
    rows = [
        [str(v), *(points(m, sign=False) for m in row)]
        for v, row in zip(grid.videos, grid.means, strict=True)
    ]
    notes = [f"{unit}, percent; frames per video."]
    blocks.append(Table(f"Videos × frames, {name}", head, rows, notes=notes))
    if grid.alike:
        blocks.append(Bullets([f"{line}." for line in grid.alike]))
    if not grid.around:
        return [*blocks, Text(f"No exchange rate: {grid.reason}.")]
    blocks.append(_rate_table(report, grid, name))
    if grid.splits:
        blocks.append(_split_table(grid, name))
    return blocks


def _rate_table(report: Report, grid: Grid, name: str) -> Table:
    rows = [
        [
            f"{number(rate.at[0])} × {number(rate.at[1])}",
            number(rate.rate, 2),
            rate_interval(rate),
            "yes" if rate.identified else "no",
            points(rate.new_videos * math.log(2)),
            points(rate.extra_frames * math.log(2)),
        ]
        for rate in grid.around
    ]
    head = [
        "videos × frames",
        "rate",
        "interval",
        f"identified at {level(report.level)}",
        "twice the videos",
        "twice the frames",
    ]
    notes = [
        "Rate: how many extra frames of the videos one has are worth one frame of a new video. "
        "Above 1 new videos pay more. Last columns: points gained by doubling.",
    ]
    return Table(f"Exchange rate around each place, {name}", head, rows, notes=notes)


def _ends(low: int, high: int) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _split_table(grid: Grid, name: str) -> Table:
    rows = [
        [
            number(split.video_cost),
            number(split.budget),
            number(split.best.videos),
            number(split.best.frames),
            _ends(split.best.frames_low, split.best.frames_high),
            "yes" if split.best.extrapolates else "no",
        ]
        for split in grid.splits
    ]
    head = [
        "cost of a video",
        "budget",
        "best videos",
        "best frames per video",
        "over the rate's interval",
        "beyond the data",
    ]
    notes = [
        "Costs in frames: one more video costs as much to get as labelling that many frames. A "
        "local model: far from the grid it extrapolates."
    ]
    return Table(f"What a budget buys best, {name}", head, rows, notes=notes)
