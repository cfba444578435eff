"""From facts to the page of one suite: which sections there are, in which order."""

from __future__ import annotations

from collections.abc import Callable

from vidseg.report import axes, closing, comparisons, front, minutes, regularisation, tables
from vidseg.report.document import Page, Section
from vidseg.report.facts import Kind, Report
from vidseg.report.sentence import rate_advice
from vidseg.report.wording import MISSING, count, data_name

ORDER: tuple[Callable[[Report], Section | None], ...] = (
    comparisons.comparisons,
    regularisation.regularisation,
    tables.paper,
    axes.gain_curves,
    axes.exchange,
    tables.scores,
    tables.per_video,
    tables.budget,
    tables.baselines,
    minutes.minutes,
    closing.cost,
    tables.effective,
    closing.frames,
    closing.failures,
    front.more_hints,
    closing.conditions,
)


def make_page(report: Report, anchor: str) -> Page:
    """Return the page of one suite.

    Args:
        report: its facts.
        anchor: unique among the pages that stand together.
    """
    figure, found = front.chart([one for make in ORDER if (one := make(report)) is not None])
    first = [front.pictures(report), figure, front.hints(report), front.arms(report)]
    above = [section for section in first if section is not None]
    below = [section for section in (front.evidence(report), *found) if section is not None]
    return Page(
        title=report.suite,
        question=report.question,
        headline=report.headline,
        certainty=report.certainty,
        marks=_marks(report),
        tone=_tone(report),
        sections=[Section(s.title, f"{anchor}-{s.anchor}", s.blocks) for s in [*above, *below]],
        front=len(above),
        anchor=anchor,
    )


def _tone(report: Report) -> str:
    """Return how sure the headline is."""
    told = report.shown
    if report.lead is not None and report.kind is Kind.ISO_BUDGET:
        rate = report.grids[report.lead].rate
        told = rate is not None and bool(rate_advice(rate, report.level))
    elif report.lead is not None and report.kind is Kind.LEAKAGE:
        told = report.pairs[report.lead].told
    return "told" if told else "open"


def _marks(report: Report) -> list[tuple[str, str]]:
    videos = report.dataset["videos"]
    unit = report.unit
    seeds = max((setting.seeds for setting in report.settings), default=0)
    marks = [
        ("Data", f"{data_name(report.dataset)}, {count(len(videos), 'video')}"),
        ("Groups", count(len(report.groups), "scene")),
        ("Image size", str(report.config.get("image_size", MISSING)).replace("x", " × ")),
        ("Primary score", unit),
        ("Difference of interest", count(round(100 * report.delta, 9), "point")),
        ("Seeds", str(seeds)),
    ]
    if report.failures:
        marks.append(("Failed cells", str(len(report.failures))))
    return marks
