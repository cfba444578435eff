"""What a run and a suite give back: records as plain data, as pandas tables, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.experiment.records import Row, RunRecord, SuiteRecord
from vidseg.report import Report
from vidseg.report.document import Page, Table
from vidseg.report.hints import run_hints
from vidseg.report.html import marked
from vidseg.tasks.registry import find_task

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

    from vidseg.tracking.run import OpenRun
    from vidseg.tracking.suite import FoundSuite

FRAME_HEIGHT = 720
"""Height of a report in a notebook, in pixels."""


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        record: everything that it found.
        tracked: its run in MLflow, None where it was not logged.
        registered: ``models:/NAME/VERSION`` of its model, None where it was not registered.
    """

    record: RunRecord
    tracked: OpenRun | None = None
    registered: str | None = None

    @property
    def name(self) -> str:
        """``"20 sgd"``: setting and pipeline."""
        return self.record.name

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """By test video: its scores (0..1, None where undefined), group, frames, positive share."""
        return {row["video"]: _without(row, "video") for row in self.record.per_video}

    @property
    def means(self) -> dict[str, float]:
        """Mean of each score over groups, and the pooled ones; undefined ones are absent."""
        return dict(self.record.headline)

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """The means of each baseline."""
        return {row["baseline"]: _without(row, "baseline") for row in self.record.baselines}

    @property
    def notes(self) -> list[str]:
        """Facts that the reader should know, one line each."""
        return list(self.record.notes)

    @property
    def hints(self) -> list[str]:
        """What looks wrong in the scores and what to try, one line each, as a report says it."""
        return run_hints(self.record)

    @property
    def run_id(self) -> str | None:
        """Id of the run in MLflow."""
        return self.tracked.run_id if self.tracked else None

    def table(self) -> tuple[str, list[str], list[Row]]:
        """Return title, columns and rows of the table of primary scores beside the baselines'."""
        task = find_task(self.record.task)
        primary, names = task.primary, [row["baseline"] for row in self.record.baselines]
        rows = [
            {**row, **{name: row[f"{primary}_{name}"] for name in names}}
            for row in self.record.per_video
        ]
        means = {row["baseline"]: row.get(primary) for row in self.record.baselines}
        last = {"section": True, "video": "mean over groups", **self.record.headline, **means}
        columns = ["video", "frames", primary, *names, *task.shown, "positive_share"]
        label = task.scores[primary].label
        return f"{self.name}: {label} of each held-out video, in %", columns, [*rows, last]

    def to_pandas(self) -> pd.DataFrame:
        """Return :attr:`scores` with a row a video."""
        import pandas as pd

        return pd.DataFrame(self.record.per_video).set_index("video")

    def __repr__(self) -> str:
        primary = find_task(self.record.task).primary
        mean = _percent(self.means.get(primary))
        return f"RunResult({self.name!r}, {primary}: {mean} %, videos: {len(self.scores)})"

    def _repr_html_(self) -> str:
        title, columns, rows = self.table()
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        hints = "".join(f"<p>Look: {marked(hint)}</p>" for hint in self.hints)
        return _html_table(title, columns, rows) + hints + notes


@dataclass(frozen=True)
class SuiteResult:
    """A suite's record with its report.

    Attributes:
        record: everything that it found.
        report: the facts of its report.
        files: path of each written file of the report, by kind; empty where none was asked for.
        tracked: its run in MLflow, None where it was not logged.
        found: the run that the record was read from, None where the suite was run now.
    """

    record: SuiteRecord
    report: Report
    files: Mapping[str, Path] = field(default_factory=dict)
    tracked: OpenRun | None = None
    found: FoundSuite | None = None

    @property
    def name(self) -> str:
        """Name of the suite."""
        return self.record.name

    @property
    def sentence(self) -> str:
        """The answer, in one sentence."""
        return self.report.sentence

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """By setting: the mean of each score over groups, 0..1."""
        return {setting.name: dict(setting.scores) for setting in self.report.settings}

    @property
    def failures(self) -> list[Row]:
        """One row a failed cell: setting, cell, error."""
        return self.report.failures

    @property
    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The tables of the report by caption: rows of texts, as the report shows them."""
        found = _tables(self._page)
        names = _unique([table.caption for table in found])
        return {
            name: [dict(zip(_unique(table.head), row, strict=True)) for row in table.rows]
            for name, table in zip(names, found, strict=True)
        }

    @property
    def _page(self) -> Page:
        from vidseg.report.pages import make_page

        return make_page(self.report, "s0")

    def to_pandas(self) -> pd.DataFrame:
        """Return the scores of every setting on every test video: one row for each pair of them."""
        import pandas as pd

        rows = [
            {
                "setting": one.name,
                "arm": one.arm,
                "pipeline": one.pipeline,
                "video": video,
                **scores,
            }
            for one in self.record.settings
            for video, scores in one.video_scores.items()
        ]
        return pd.DataFrame(rows, columns=None if rows else ["setting", "arm", "pipeline", "video"])

    def to_html(self) -> str:
        """Return the report as one self-contained page."""
        from vidseg.report.html import to_html

        return to_html([self._page], f"{self.name}: report")

    def __repr__(self) -> str:
        return f"SuiteResult({self.name!r}, {self.sentence!r})"

    def _repr_html_(self) -> str:
        page = html.escape(self.to_html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="" '
            f'style="width:100%;height:{FRAME_HEIGHT}px;border:0"></iframe>'
        )


def _without(row: Row, key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def _tables(page: Page) -> list[Table]:
    return [b for section in page.sections for b in section.blocks if isinstance(b, Table)]


def _unique(names: Sequence[str]) -> list[str]:
    """Return names; one that stands before is numbered."""
    return [
        name if names.index(name) == place else f"{name} ({place + 1})"
        for place, name in enumerate(names)
    ]


def _html_table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(_percent(row.get(c)))}</td>' for c in columns)}</tr>"
        for row in rows
    )
    caption = f"<caption>{html.escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _percent(value: object) -> str:
    """Return a share in percent with one digit, anything else as text, nothing as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)
