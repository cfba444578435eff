"""Suites on the same videos that advise different frames: why they may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidseg.report.arms import in_words
from vidseg.report.facts import Report, SettingFacts
from vidseg.report.wording import count, joined, points


def with_disagreements(reports: Sequence[Report]) -> list[Report]:
    """Return the reports, each with a line for every other on the same videos that disagrees."""
    return [
        replace(
            one,
            hints=[*one.hints, *(_line(one, other) for other in reports if _differ(one, other))],
        )
        for one in reports
    ]


def _differ(one: Report, other: Report) -> bool:
    a, b = one.chosen, other.chosen
    if one is other or a is None or b is None:
        return False
    same_data = one.dataset["digest"] == other.dataset["digest"]
    same_advice = in_words(one, a) == in_words(other, b) and a.labelled == b.labelled
    return same_data and not same_advice


def _line(one: Report, other: Report) -> str:
    own, theirs = one.chosen, other.chosen
    if own is None or theirs is None:
        return ""
    said = (
        f"The suite {other.suite} on the same videos "
        f"{'advises' if other.shown else 'guesses'} {in_words(other, theirs)} "
        f"({_told(other, theirs)}), this one {in_words(one, own)} ({_told(one, own)})"
    )
    lacks = [arm for arm in _arms(other) if arm not in _arms(one)]
    parts = [f"it tried arms that this one has not ({joined(lacks)})"] if lacks else []
    for key, name in (("pipelines", "pipelines"), ("image_size", "image size"), ("split", "split")):
        if one.config.get(key) != other.config.get(key):
            parts.append(f"its {name} {'are' if name == 'pipelines' else 'is'} not the same")
    if not (one.shown and other.shown):
        parts.append("what is not proven may differ by chance")
    return f"{said}: {joined(parts)}" if parts else said


def _told(report: Report, setting: SettingFacts) -> str:
    mean = report.decision.means[setting.name] if report.decision else None
    score = f"{report.unit} {points(mean, sign=False)} %"
    return f"{count(setting.labelled, 'label')}, {score}"


def _arms(report: Report) -> list[str]:
    return list(dict.fromkeys(in_words(report, one) for one in report.settings if not one.oracle))
