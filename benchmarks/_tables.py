"""Tables and plot of the SVM benchmark, from its plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._frames import Bench
from benchmarks._markdown import table
from benchmarks._runs import GAPS, Case, Run, median_curve, seconds_to

LIMIT = 8 * 2**30


def preamble(bench: Bench, extractors: Sequence[str]) -> str:
    """Return what is measured on which data."""
    clips = "real MOT clips" if bench.real else "GENERATED clips (no real samples found)"
    weights = "; ".join(f"{name}: {bench.extractor(name)[1]}" for name in extractors)
    return f"Features of {clips}. {weights}. One core, CPU seconds from stored features to weights."


def progress(case: Case, cost: float, turn: int, runs: Sequence[Run]) -> str:
    """Return one line for one cost of one case."""
    used = sum(run.cpu for run in runs)
    return f"round {turn + 1}, {case}, C={cost:g}: {len(runs)} fits, {used:.0f} CPU seconds"


def everything(result: dict[str, Any]) -> str:
    """Return all tables as Markdown."""
    runs, references = [Run(**run) for run in result["runs"]], result["references"]
    parts = []
    if runs:
        parts += [solvers(runs, references), room(runs, references)]
    parts += [bandwidth(result["bandwidth"])] if "bandwidth" in result else []
    parts += [alternative(result["alternative"])] if "alternative" in result else []
    return "\n".join(parts)


def solvers(runs: Sequence[Run], references: Sequence[dict[str, Any]]) -> str:
    """Return CPU seconds to each gap, best gap, peak memory and readings, by case and solver."""
    rows = []
    for ref in references:
        chosen = [r for r in runs if (r.case, r.loss, r.cost) == _key(ref)]
        for method in dict.fromkeys(r.method for r in chosen):
            mine = [r for r in chosen if r.method == method]
            curve = median_curve(mine, ref["optimum"])
            passes = [r.passes for r in mine if r.passes is not None and r.turn == 0]
            rows.append([
                ref["case"], ref["loss"], f"{ref['cost']:g}", method,
                *(_seconds(curve, gap) for gap in GAPS),
                f"{max(min(g for _, g in curve), 0):.0e}",
                f"{max(r.peak for r in mine) / 2**20:,.0f}",
                "/".join(f"{p:.0f}" for p in passes) or "",
                len({r.turn for r in mine}),
            ])  # fmt: skip
    head = ["case", "loss", "C", "solver", *(f"s to {g:g}" for g in GAPS), "best gap", "peak MiB"]
    notes = [
        f"{loss}: {max((ref['error'] for ref in references if ref['loss'] == loss), default=0):.0e}"
        for loss in ("squared_hinge", "hinge")
    ]
    note = f"\nReference optima are certified to (relative, the worst): {', '.join(notes)}.\n"
    return table([*head, "readings by rung", "rounds"], rows) + note


def _key(ref: dict[str, Any]) -> tuple[str, str, float]:
    return ref["case"], ref["loss"], ref["cost"]


def _seconds(curve: Sequence[tuple[float, float]], gap: float) -> str:
    found = seconds_to(curve, gap)
    if found is None:
        return f">{max(cpu for cpu, _ in curve):.2f}"
    return f"{'<' if found[1] else ''}{found[0]:.2f}"


def room(runs: Sequence[Run], references: Sequence[dict[str, Any]]) -> str:
    """Return peak bytes per value, and the frames of 320x240 that fit 8 GiB, by arithmetic."""
    sizes = {ref["case"]: (ref["points"], ref["dimensions"]) for ref in references}
    rows = []
    for method in dict.fromkeys(run.method for run in runs):
        mine = [run for run in runs if run.method == method]
        largest = max(mine, key=lambda r: sizes[r.case][0] * sizes[r.case][1]).case
        points, dimensions = sizes[largest]
        peak = median(r.peak for r in mine if r.case == largest)
        per_value = peak / (points * dimensions)
        frames = LIMIT / (per_value * 320 * 240 * dimensions)
        rows.append([method, largest, f"{peak / 2**20:,.0f}", f"{per_value:.2f}", f"{frames:,.0f}"])
    return table(
        ["solver", "measured at", "peak MiB", "bytes/value", "frames of 320x240 in 8 GiB"], rows
    )


def bandwidth(found: dict[str, Any]) -> str:
    """Return the share of a reading that is memory bandwidth, in a sentence."""
    return (
        f"One reading of {found['case']} ({found['bytes'] / 2**20:,.0f} MiB of features): "
        f"{1e3 * found['reading']:.0f} ms; memory: copy {found['copy'] / 2**30:.1f} GiB/s, read "
        f"{found['read'] / 2**30:.1f} GiB/s; streaming the features once is "
        f"{found['share']:.0%} of the reading. Extracting them took {found['extraction']:.1f} s.\n"
    )


def alternative(found: dict[str, Any]) -> str:
    """Return IoU on held-out groups and CPU seconds, by share of the pixels."""
    groups = list(found["rows"][0]["groups"])
    rows = [
        [
            row["name"], f"{row['points']:,.0f}",
            f"{row['iou']:.3f}" + (f" ± {row['spread']:.3f}" if row["spread"] is not None else ""),
            *(f"{row['groups'][g]:.3f}" for g in groups), f"{row['cpu']:.1f}", row["draws"],
        ]
        for row in found["rows"]
    ]  # fmt: skip
    head = ["pixels", "points", "IoU", *groups, "CPU s a fit", "draws"]
    title = (
        f"Held-out groups, {found['size']}, {found['frames']} frames a video; extraction of all "
    )
    return title + f"frames: {found['extraction']:.1f} CPU s\n\n" + table(head, rows)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw gap against CPU seconds, a panel for each case and C."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = [Run(**run) for run in result["runs"]]
    squared = [ref for ref in result["references"] if ref["loss"] == "squared_hinge"]
    columns = max(1, len({ref["cost"] for ref in squared}))
    rows = -(-len(squared) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.5 * columns, 3.3 * rows), squeeze=False, layout="constrained"
    )
    methods = list(dict.fromkeys(run.method for run in runs if run.loss == "squared_hinge"))
    for axis, ref in zip(axes.flat, squared, strict=False):
        for number, method in enumerate(methods):
            mine = [r for r in runs if (r.case, r.loss, r.cost, r.method) == (*_key(ref), method)]
            curve = [(cpu, max(gap, 1e-8)) for cpu, gap in median_curve(mine, ref["optimum"])]
            if curve:
                axis.loglog(*zip(*curve, strict=True), "o-", color=f"C{number}", label=method, ms=3)
        axis.set(title=f"{ref['case']}, C={ref['cost']:g}", xlabel="CPU seconds", ylabel="gap")
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
