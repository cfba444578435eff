"""A run's artifacts as files: configuration, tables, cells, overlays, precision-recall plot."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vidseg.experiment.records import Row, RunRecord
from vidseg.utils.hashing import plain
from vidseg.utils.json import finite

TABLES = ("per_video.json", "baselines.json")


def write_files(record: RunRecord, folder: Path) -> None:
    """Write all artifacts but the model and the cells into ``folder``, as they are to stand.

    Raises:
        OSError: the disk is full or the folder unwritable.
    """
    config = yaml.safe_dump(plain(record.config), sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    _write_json(folder / "per_video.json", table(record.per_video))
    _write_json(folder / "baselines.json", table(record.baselines))
    if record.notes:
        (folder / "notes.txt").write_text("\n".join(record.notes) + "\n", encoding="utf-8")
    _write_overlays(record, folder / "overlays")
    if record.pr_curve is not None:
        plot_precision_recall(record, folder / "precision_recall.png")


def write_cell(key: str, cell: Row, folder: Path) -> Path:
    """Write a cell as ``cells/<key>.json``, in one line: histograms are long.

    Raises:
        OSError: the disk is full or the folder unwritable.
    """
    path = folder / "cells" / f"{_file_name(key)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(finite(plain(cell)), allow_nan=False) + "\n", encoding="utf-8")
    return path


def table(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return rows in the layout of ``mlflow.log_table``: column names, and the values by row.

    Columns stand in the order of their first appearance; what a row lacks is null. Numbers are
    rounded to four places, as narrow columns show them; ``cells/`` has the counts they come from.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    data = [[_rounded(plain(row.get(column))) for column in columns] for row in rows]
    return {"columns": columns, "data": data}


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(plain(content)), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).strip(".") or "_"


def _write_overlays(record: RunRecord, folder: Path) -> None:
    from PIL import Image

    for name, picture in record.overlays:
        path = folder.joinpath(*(_file_name(part) for part in name.split("/") if part))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path.with_name(f"{path.name}.png"))


def plot_precision_recall(record: RunRecord, path: Path) -> None:
    """Draw ``record.pr_curve`` as a PNG, with AP and the headline's working point where known.

    AP and point are means over groups, so the point need not lie on the curve; the legend says so.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    assert record.pr_curve is not None
    recall, precision = record.pr_curve
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(recall, precision, color="#1f77b4", label="mean over test videos")
    at = record.headline.get("recall", math.nan), record.headline.get("precision", math.nan)
    if all(map(math.isfinite, at)):
        label = f"threshold used, mean over groups: P {at[1]:.2f}, R {at[0]:.2f}"
        axes.plot(*at, "o", color="#d62728", label=label)
    ap = record.headline.get("ap", math.nan)
    title = f"{record.name}   AP {ap:.3f} (mean over groups)" if math.isfinite(ap) else record.name
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    FigureCanvasAgg(figure).print_png(path)
