"""Suites on the same videos that advise different frames: why they may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidseg.report.arms import in_words
from vidseg.report.facts import Report, SettingFacts
from vidseg.report.wording import count, joined, level, points

APART = frozenset(
    [
        "name",
        "question",
        "primary",
        "delta",
        "level",
        "dataset",
        "arms",
        "comparisons",
        "device",
        "threads",
        "memory_budget",
        "max_time",
        "executor",
    ]
)
"""Keys of a suite file that do not explain other advice, or are told in other words."""


def with_disagreements(reports: Sequence[Report]) -> list[Report]:
    """Return the reports, each with a line for every other on the same videos that disagrees.

    They are about the advice, so they stand first.
    """
    found = []
    for one in reports:
        lines = [_line(one, other) for other in reports if _differ(one, other)]
        found.append(replace(one, hints=[*lines, *one.hints], near=one.near + len(lines)))
    return found


def _differ(one: Report, other: Report) -> bool:
    a, b = one.chosen, other.chosen
    if one is other or a is None or b is None:
        return False
    if one.unbeaten is not None or other.unbeaten is not None:
        return False
    same_data = one.dataset["digest"] == other.dataset["digest"]
    frames, theirs = one.frames_of(a.name), other.frames_of(b.name)
    same = frames == theirs if frames and theirs else in_words(one, a) == in_words(other, b)
    return same_data and not (same and a.labelled == b.labelled)


def _line(one: Report, other: Report) -> str:
    own, theirs = one.chosen, other.chosen
    if own is None or theirs is None:
        return ""
    said = (
        f"The suite {other.suite} on the same videos "
        f"{'advises' if other.shown else 'guesses'} {_named(other, theirs)}; this one "
        f"{'advises' if one.shown else 'guesses'} {_named(one, own)}"
    )
    lacks = [f"'{arm}'" for words, arm in _arms(other).items() if words not in _arms(one)]
    tried = joined(lacks, limit=4, kind="arm")
    parts = [f"it tried arms that this one has not ({tried})"] if lacks else []
    parts += _conditions(one, other)
    if not (one.shown and other.shown):
        parts.append("what is not proven may differ by chance")
    return f"{said}: {joined(parts)}" if parts else said


def _conditions(one: Report, other: Report) -> list[str]:
    """Return what was not the same for the other suite."""
    parts = []
    if one.primary != other.primary:
        parts.append(f"it goes by {other.unit}, this one by {one.unit}")
    elif one.delta != other.delta:
        sizes = [points(report.delta, sign=False) for report in (other, one)]
        parts.append(f"differences matter from {sizes[0]} points on there, from {sizes[1]} here")
    if one.level != other.level:
        parts.append(f"its level is {level(other.level)}, here {level(one.level)}")
    keys = [key for key in {**one.config, **other.config} if key not in APART]
    changed = [key for key in keys if one.config.get(key) != other.config.get(key)]
    if changed:
        verb = "is" if len(changed) == 1 and not changed[0].endswith("s") else "are"
        parts.append(
            f"its {joined([key.replace('_', ' ') for key in changed])} {verb} not the same"
        )
    return parts


def _named(report: Report, setting: SettingFacts) -> str:
    """Return which frames a suite takes, its name of them, and what they cost and score."""
    mean = report.decision.means[setting.name] if report.decision else None
    score = f"{report.unit} {points(mean, sign=False)} %"
    cost = count(setting.labelled, "label")
    return f"{in_words(report, setting)} ('{setting.arm}': {cost}, {score})"


def _arms(report: Report) -> dict[str, str]:
    """Return the arms' names by their words."""
    return {in_words(report, one): one.arm for one in report.settings if not one.oracle}
