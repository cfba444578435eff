"""From facts to the page of one suite: which sections there are, in which order."""

from __future__ import annotations

from collections.abc import Callable

from vidseg.report import axes, closing, comparisons, tables
from vidseg.report.document import Page, Section
from vidseg.report.facts import Kind, Report
from vidseg.report.wording import NAMES, count

ORDER: tuple[Callable[[Report], Section | None], ...] = (
    comparisons.comparisons,
    tables.paper,
    axes.gain_curves,
    axes.exchange,
    tables.scores,
    tables.per_video,
    tables.budget,
    tables.baselines,
    closing.cost,
    tables.effective,
    closing.frames,
    closing.failures,
    closing.conditions,
)


def make_page(report: Report, anchor: str) -> Page:
    """Return the page of one suite.

    Args:
        report: its facts.
        anchor: unique among the pages that stand together.
    """
    found = [section for make in ORDER if (section := make(report)) is not None]
    return Page(
        title=report.suite,
        question=report.question,
        sentence=report.sentence,
        marks=_marks(report),
        verdict=_verdict(report),
        sections=[Section(s.title, f"{anchor}-{s.anchor}", s.blocks) for s in found],
        anchor=anchor,
    )


def _verdict(report: Report) -> str:
    if report.kind in (Kind.COMPARISONS, Kind.LEAKAGE) and report.lead is not None:
        result = report.pairs[report.lead].result
        return str(result.verdict) if result else ""
    return ""


def _marks(report: Report) -> list[tuple[str, str]]:
    videos = report.dataset["videos"]
    unit = NAMES.get(report.primary, report.primary)
    seeds = max((setting.seeds for setting in report.settings), default=0)
    marks = [
        ("Data", f"{report.dataset['name']}, {count(len(videos), 'video')}"),
        ("Groups", count(len(report.groups), "scene")),
        ("Primary score", unit),
        ("Difference of interest", count(round(100 * report.delta, 9), "point")),
        ("Seeds", str(seeds)),
    ]
    if report.failures:
        marks.append(("Failed cells", str(len(report.failures))))
    return marks
