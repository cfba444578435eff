"""The comparisons of a suite, on its primary score, guarded together by Holm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vidseg.errors import DataError
from vidseg.experiment.records import ComparisonRecord, Row, SettingRecord, SuiteRecord
from vidseg.report.facts import Pair, SettingFacts
from vidseg.stats import (
    Comparison,
    Verdict,
    compare,
    groups_needed,
    smallest_groups,
    with_holm,
)
from vidseg.tasks.registry import find_task


def make_pairs(record: SuiteRecord, facts: Mapping[str, SettingFacts]) -> list[Pair]:
    """Return every comparison of the record; those that cannot be made say why."""
    by_name = {setting.name: setting for setting in record.settings}
    tried = [_compared(record, by_name, one) for one in record.comparisons]
    made = iter(with_holm([found for found, _ in tried if found is not None]))
    results = [(next(made) if found is not None else None, reason) for found, reason in tried]
    family = sum(found is not None for found, _ in results)
    return [
        _pair(record, facts, by_name, one, result, reason, family)
        for one, (result, reason) in zip(record.comparisons, results, strict=True)
    ]


def score_by_group(setting: SettingRecord, score: str) -> dict[str, float | None]:
    """Return one score of each group, None where it is undefined."""
    return {group: scores.get(score) for group, scores in setting.group_scores.items()}


def winner(pair: Pair) -> str | None:
    """Return the name of the setting that a pair tells to take; of equals the cheaper one."""
    if pair.result is None or pair.leaky:
        return None
    match pair.result.verdict:
        case Verdict.BETTER:
            return pair.b
        case Verdict.WORSE:
            return pair.a
        case Verdict.EQUIVALENT:
            return pair.a if pair.extra_frames >= 0 else pair.b
        case _:
            return None


def _compared(
    record: SuiteRecord, settings: Mapping[str, SettingRecord], one: ComparisonRecord
) -> tuple[Comparison | None, str]:
    absent = [name for name in (one.a, one.b) if not settings[name].group_scores]
    if absent:
        return None, f"no seed of {' or of '.join(absent)} has all its cells"
    taken = settings[one.b].frames
    if taken and one.same_frames and set(taken) <= set(one.same_frames):
        return None, "both arms took the same frames of every video"
    a, b = (score_by_group(settings[name], record.primary) for name in (one.a, one.b))
    try:
        return compare(a, b, record.delta, record.level), ""
    except DataError as error:
        return None, error.what


def _pair(
    record: SuiteRecord,
    facts: Mapping[str, SettingFacts],
    settings: Mapping[str, SettingRecord],
    one: ComparisonRecord,
    result: Comparison | None,
    reason: str,
    family: int,
) -> Pair:
    a, b = settings[one.a], settings[one.b]
    arms: Row = record.config.get("arms", {})
    splits = [(arms.get(arm) or {}).get("split") for arm in (one.arm_a, one.arm_b)]
    return Pair(
        a=one.a,
        b=one.b,
        arm_a=one.arm_a,
        arm_b=one.arm_b,
        pipeline=one.pipeline,
        question=one.question,
        result=result,
        reason=reason,
        groups_needed=_needed(result, result.delta, family) if result else None,
        groups_for_seen=_needed(result, abs(result.difference), family) if result else None,
        secondary=_secondary(record, a, b, result),
        same_frames=list(one.same_frames),
        extra_frames=facts[one.b].labelled - facts[one.a].labelled,
        leaky=splits[0] != splits[1],
    )


def _secondary(
    record: SuiteRecord, a: SettingRecord, b: SettingRecord, result: Comparison | None
) -> float | None:
    name = find_task(record.task).secondary
    return None if name is None else _mean_difference(a, b, name, result)


def _needed(result: Comparison, effect: float, family: int) -> int | None:
    """Return the groups that tell ``effect`` from nothing, None if that many are there."""
    values = list(result.differences.values())
    groups = groups_needed(values, effect, level=result.level) if effect > 0 else None
    if groups is None:
        return None
    needed = max(groups, smallest_groups(result.level, family))
    return needed if needed > len(values) else None


def _mean_difference(
    a: SettingRecord, b: SettingRecord, score: str, result: Comparison | None
) -> float | None:
    first, second = score_by_group(a, score), score_by_group(b, score)
    used: Sequence[str] = result.groups if result else sorted(first.keys() & second.keys())
    pairs = [(first.get(group), second.get(group)) for group in used]
    defined = [y - x for x, y in pairs if x is not None and y is not None]
    return math.fsum(defined) / len(defined) if defined else None
