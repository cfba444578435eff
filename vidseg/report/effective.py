"""Effective test frames of each test video, over settings and folds."""

from __future__ import annotations

from collections.abc import Sequence

from vidseg.experiment.records import FoldRecord, Row, SettingRecord


def effective_rows(fold: FoldRecord) -> list[Row]:
    """Return for each test video: video, frames (scored), effective.

    A video whose scored frames are not equally spaced, or in one of which the score is undefined,
    is left out.
    """
    return list(fold.cell.get("effective", []))


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
