"""Effective test frames of each test video, from a fold's counts per frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vidseg.experiment.records import FoldRecord, Row, SettingRecord
from vidseg.stats import effective_frames

MODEL = "model"


def effective_rows(fold: FoldRecord) -> list[Row]:
    """Return for each test video: video, frames (scored), effective.

    Empty where the cell holds no counts per frame. A video whose scored frames are not equally
    spaced, or that has no positives, is left out.
    """
    if "effective" in fold.cell:
        return list(fold.cell["effective"])
    rows = (_row(video) for video in fold.cell.get("counts", {}).get(MODEL, []))
    return [row for row in rows if row is not None]


def effective_table(settings: Sequence[SettingRecord]) -> list[Row]:
    """Return for each test video: video, frames, and the lowest and highest effective frames."""
    found: dict[str, list[Row]] = {}
    for setting in settings:
        for fold in setting.run.folds:
            for row in effective_rows(fold):
                found.setdefault(str(row["video"]), []).append(row)
    return [
        {
            "video": video,
            "frames": max(int(row["frames"]) for row in rows),
            "low": min(float(row["effective"]) for row in rows),
            "high": max(float(row["effective"]) for row in rows),
        }
        for video, rows in found.items()
    ]


def _row(video: Mapping[str, object]) -> Row | None:
    frames = np.asarray(video["frames"], np.int64)
    counts = np.asarray(video["counts"], np.float64).reshape(len(frames), -1)
    if len(frames) < 3 or len(set(np.diff(frames).tolist())) > 1:
        return None
    tp, fp, fn = counts[:, 0], counts[:, 1], counts[:, 2]
    positives = tp + fn
    if not positives.any():
        return None
    iou = np.where(positives > 0, tp / np.maximum(tp + fp + fn, 1), np.nan)
    return {
        "video": str(video["video"]),
        "frames": len(frames),
        "effective": effective_frames(iou),
    }
