"""The comparisons of a suite, on its primary score: the lead alone, the others under Holm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vidseg.errors import DataError
from vidseg.experiment.records import ComparisonRecord, Row, SettingRecord, SuiteRecord
from vidseg.report.facts import Pair, Role, SettingFacts
from vidseg.stats import Comparison, Verdict, compare, groups_needed, with_holm
from vidseg.tasks.registry import find_task

GUARDED = (Role.FAMILY, Role.EXPLORATORY)
"""Roles of the comparisons that Holm's correction guards, once the lead allows it."""
CARRIED = 0.5
"""A group carries a mean if less than this part is left without it."""


@dataclass(frozen=True)
class _Tried:
    """A comparison before it is guarded: its result, or why there is none."""

    one: ComparisonRecord
    role: Role
    same_groups: list[str]
    result: Comparison | None
    reason: str = ""


def make_pairs(record: SuiteRecord, facts: Mapping[str, SettingFacts]) -> list[Pair]:
    """Return every comparison of the record; those that cannot be made say why."""
    settings = {setting.name: setting for setting in record.settings}
    tried = _guarded([_tried(record, settings, one) for one in record.comparisons])
    family = sum(one.role in GUARDED and one.result is not None for one in tried)
    return [_pair(record, facts, settings, one, family) for one in tried]


def score_by_group(setting: SettingRecord, score: str) -> dict[str, float | None]:
    """Return one score of each group, None where it is undefined."""
    return {group: scores.get(score) for group, scores in setting.group_scores.items()}


def few_folds(split: Row, scenes: int) -> int:
    """Return how many folds test the scenes where they are fewer, so that scenes share models.

    Args:
        split: of the suite's configuration.
        scenes: that are tested on.

    Returns:
        The number of folds; 0 where each scene has a model of its own.
    """
    folds = {"k-fold": int(split.get("k", scenes)), "fixed": 1}.get(split.get("use", ""), scenes)
    return folds if folds < scenes else 0


def alike(a: SettingRecord, b: SettingRecord) -> list[str]:
    """Return the groups for which the models of two settings trained on the same."""
    return [group for group, found in a.trained.items() if b.trained.get(group) == found]


def _tried(
    record: SuiteRecord, settings: Mapping[str, SettingRecord], one: ComparisonRecord
) -> _Tried:
    a, b = settings[one.a], settings[one.b]
    same, role = alike(a, b), _role(record, one)
    try:
        result, reason = _compared(record, a, b, one, same)
    except DataError as error:
        result, reason = None, error.what
    return _Tried(one, role, same, result, reason)


def _role(record: SuiteRecord, one: ComparisonRecord) -> Role:
    if one.lead:
        return Role.LEAD
    if (record.config.get("pipelines", {}).get(one.pipeline) or {}).get("sensitivity"):
        return Role.SENSITIVITY
    arms: Row = record.config.get("arms", {})
    oracle = any((arms.get(arm) or {}).get("oracle") for arm in (one.arm_a, one.arm_b))
    return Role.ORACLE if oracle else Role.FAMILY


def _compared(
    record: SuiteRecord,
    a: SettingRecord,
    b: SettingRecord,
    one: ComparisonRecord,
    same: Sequence[str],
) -> tuple[Comparison | None, str]:
    absent = [setting.name for setting in (a, b) if not setting.group_scores]
    if absent:
        return None, f"no seed of {' or of '.join(absent)} has all its cells"
    every = b.frames and one.same_frames and set(b.frames) <= set(one.same_frames)
    if every or (same and set(same) >= a.group_scores.keys() | b.group_scores.keys()):
        return None, "both arms took the same frames of every video"
    left, right = (
        {g: v for g, v in score_by_group(setting, record.primary).items() if g not in same}
        for setting in (a, b)
    )
    return compare(left, right, record.delta, record.level), ""


def _guarded(tried: Sequence[_Tried]) -> list[_Tried]:
    """Return the comparisons after Holm, or without a verdict where the lead found no difference.

    A lead that could not be compared was not tested: Holm's correction guards the others.
    """
    leads = [one.result for one in tried if one.role is Role.LEAD and one.result is not None]
    if leads and not any(_tells(one) for one in leads):
        return [_explored(one) if one.role is Role.FAMILY else one for one in tried]
    family = [one.result for one in tried if one.role is Role.FAMILY and one.result is not None]
    made = iter(with_holm(family))
    return [
        replace(one, result=next(made))
        if one.role is Role.FAMILY and one.result is not None
        else one
        for one in tried
    ]


def _tells(result: Comparison) -> bool:
    return result.verdict is not Verdict.CANNOT_TELL


def _explored(one: _Tried) -> _Tried:
    if one.result is None:
        return replace(one, role=Role.EXPLORATORY)
    result = replace(one.result, p_adjusted=math.nan, verdict=Verdict.CANNOT_TELL)
    return replace(one, role=Role.EXPLORATORY, result=result)


def _pair(
    record: SuiteRecord,
    facts: Mapping[str, SettingFacts],
    settings: Mapping[str, SettingRecord],
    tried: _Tried,
    family: int,
) -> Pair:
    one, result = tried.one, tried.result
    a, b = settings[one.a], settings[one.b]
    arms: Row = record.config.get("arms", {})
    splits = [(arms.get(arm) or {}).get("split") for arm in (one.arm_a, one.arm_b)]
    guarded = family if tried.role in GUARDED else 1
    carried, without = carrying(result.differences, record.delta) if result else ("", None)
    return Pair(
        a=one.a,
        b=one.b,
        arm_a=one.arm_a,
        arm_b=one.arm_b,
        pipeline=one.pipeline,
        question=one.question,
        result=result,
        reason=tried.reason,
        groups_needed=_needed(result, result.delta, guarded) if result else None,
        groups_for_seen=_needed(result, abs(result.difference), guarded) if result else None,
        secondary=_difference_in(find_task(record.task).secondary, a, b, result),
        same_frames=list(one.same_frames),
        extra_frames=facts[one.b].labelled - facts[one.a].labelled,
        leaky=splits[0] != splits[1],
        role=tried.role,
        family=guarded,
        same_groups=tried.same_groups,
        carried=carried,
        without=without,
        ranking=_difference_in(find_task(record.task).words.ranking, a, b, result),
    )


def carrying(differences: Mapping[str, float], delta: float) -> tuple[str, float | None]:
    """Return the group that makes or hides a difference that matters, and the mean without it.

    It makes it where less than half is left without it. It hides it where it goes against all the
    others and the mean of these is ``delta`` or more, that of all less.

    Example:
        >>> carrying({"a": -0.33, "b": 0.05, "c": 0.05, "d": 0.05}, 0.1)
        ('a', 0.05)
    """
    values = {group: value for group, value in differences.items() if math.isfinite(value)}
    if len(values) < 3:
        return "", None
    mean = math.fsum(values.values()) / len(values)
    sign = math.copysign(1.0, mean)
    without = {
        group: math.fsum(v for other, v in values.items() if other != group) / (len(values) - 1)
        for group in values
    }
    if abs(mean) >= delta:
        group = max(values, key=lambda name: sign * values[name])
        return (
            (group, without[group]) if sign * without[group] < CARRIED * abs(mean) else ("", None)
        )
    return next(((g, w) for g, w in without.items() if _hides(values, g, w, delta)), ("", None))


def _hides(values: Mapping[str, float], group: str, without: float, delta: float) -> bool:
    others = [value for other, value in values.items() if other != group]
    against = all(value * values[group] < 0 for value in others)
    return against and abs(without) >= delta


def _difference_in(
    score: str | None, a: SettingRecord, b: SettingRecord, result: Comparison | None
) -> float | None:
    return _mean_difference(a, b, score, result) if score else None


def _needed(result: Comparison, effect: float, family: int) -> int | None:
    """Return the groups that tell ``effect`` from nothing, None if that many are there."""
    if not effect > 0:
        return None
    values = list(result.differences.values())
    needed = groups_needed(values, effect, level=result.level, comparisons=family)
    return needed if needed is not None and needed > len(values) else None


def _mean_difference(
    a: SettingRecord, b: SettingRecord, score: str, result: Comparison | None
) -> float | None:
    first, second = score_by_group(a, score), score_by_group(b, score)
    used: Sequence[str] = result.groups if result else sorted(first.keys() & second.keys())
    pairs = [(first.get(group), second.get(group)) for group in used]
    defined = [y - x for x, y in pairs if x is not None and y is not None]
    return math.fsum(defined) / len(defined) if defined else None
