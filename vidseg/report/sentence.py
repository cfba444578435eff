"""The evidence behind a report's advice: verdict, interval at its true level, groups, p floor."""

from __future__ import annotations

import math

from vidseg.report.facts import Curve, Grid, Kind, Pair, Report, Role, SettingFacts
from vidseg.report.wording import NOT_FEASIBLE, count, level, number, p_value, points, span
from vidseg.stats import Comparison, ExchangeRate, GainCurve, Interval, Verdict, smallest_groups
from vidseg.utils.text import plural

PER_VIDEO = "per video"
NEW_VIDEOS = "Label new videos before more frames"
SAME_WORTH = 1.25
"""Exchange rates within this factor of 1 are said to be the same."""


def evidence(report: Report) -> str:
    """Return the comparison, curve or grid behind the advice, in words with all statistics."""
    if report.lead is None or not any(setting.groups for setting in report.settings):
        return ""
    return f"{_about(report, report.lead)}."


def _about(report: Report, lead: int) -> str:
    if report.kind is Kind.GAIN_CURVE:
        return _curve(report, report.curves[lead])
    if report.kind is Kind.ISO_BUDGET:
        return _grid(report, report.grids[lead])
    pair = report.pairs[lead]
    if pair.result is None:
        return f"{pair.a} against {pair.b} could not be compared: {pair.reason}"
    return _leakage(report, pair, pair.result) if pair.leaky else _pair(report, pair, pair.result)


def _pair(report: Report, pair: Pair, result: Comparison) -> str:
    a, b = (arm(report, report.setting(name)) for name in (pair.a, pair.b))
    plain = a.endswith(PER_VIDEO) and b.endswith(PER_VIDEO)
    a_again = a.split()[0] if plain else a
    where = _pipeline(report, pair.pipeline)
    unit = report.unit
    by = f"{points(result.difference)} {unit} points"
    match result.verdict:
        case Verdict.BETTER:
            claim = f"{b} beat {a_again}{where} by {_amount(result)} {unit} points"
        case Verdict.WORSE:
            claim = f"{b} do worse than {a_again}{where} by {_amount(result)} {unit} points"
        case Verdict.EQUIVALENT:
            claim = f"{b} do as well as {a_again}{where}: {by}, surely less than {_delta(report)}"
        case _:
            claim = f"We cannot tell yet whether {b} beat {a_again}{where}: {by}"
    return f"{claim} ({_evidence(pair, result)}); {_floor(report, pair, result)}"


def _leakage(report: Report, pair: Pair, result: Comparison) -> str:
    where, unit = _pipeline(report, pair.pipeline), report.unit
    by = f"{points(result.difference)} {unit} points"
    a, b = f"'{pair.arm_a}'", f"'{pair.arm_b}'"
    match result.verdict:
        case Verdict.BETTER:
            claim = f"Do not trust the split {b}: it scores {by} above {a}{where}"
        case Verdict.WORSE:
            claim = f"The split {b} does not flatter: it scores {by} against {a}{where}"
        case Verdict.EQUIVALENT:
            claim = f"The splits {b} and {a} score the same{where}: they differ by {by}"
        case _:
            claim = f"We cannot tell yet whether the split {b} flatters{where}: it scores {by} "
            claim += f"against {a}"
    return f"{claim} ({_evidence(pair, result)}); {_floor(report, pair, result)}"


def _evidence(pair: Pair, result: Comparison) -> str:
    shown = result.equivalence if result.verdict is Verdict.EQUIVALENT else result.interval
    parts = [_interval(shown), f"p = {p_value(result.p_value)}"]
    if pair.role is Role.EXPLORATORY:
        parts.append("exploratory, as the lead comparison could not tell")
    elif result.p_adjusted != result.p_value:
        parts.append(f"{p_value(result.p_adjusted)} after Holm's correction")
    return ", ".join(parts)


def _interval(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return "no interval from one group"
    return f"{level(interval.level)} interval {span(interval)}"


def _floor(report: Report, pair: Pair, result: Comparison) -> str:
    """Return how many groups there are, what they allow, what matters, and what would settle it."""
    groups = count(len(result.groups), "group")
    said = f"with {groups} the smallest possible p is {p_value(result.p_floor)}"
    if pair.p_floor > result.p_floor:
        said += f", {p_value(pair.p_floor)} after Holm's correction over {pair.family}"
    if not result.interval.bounded:
        said += f" and no {level(report.level)} interval is bounded"
    elif pair.p_floor > 1 - report.level:
        said += ", so that none of them can be shown better or worse"
    if pair.same_groups:
        left = count(len(pair.same_groups), "group")
        said += f"; {left} left out, where both arms trained on the same frames"
    if pair.carried:
        said += f"; without {pair.carried} it is {points(pair.without)} points"
    said += f"; the smallest difference of interest is {_delta(report)}"
    if result.verdict in (Verdict.BETTER, Verdict.WORSE):
        return said + ("" if result.beyond_delta else ", which the interval does not rule out")
    if result.verdict is Verdict.CANNOT_TELL:
        return said + _would_tell(report, pair, len(result.groups))
    return said


def _would_tell(report: Report, pair: Pair, groups: int) -> str:
    seen, needed = pair.groups_for_seen, pair.groups_needed
    if seen is not None and needed is not None and seen < needed:
        return (
            f"; to confirm a difference this large takes {_such(seen)}, one of "
            f"{_delta(report)} {_such(needed)}"
        )
    if needed is not None:
        return f"; {_such(needed)} would tell"
    return "; more groups like these may not settle it" if groups > 1 else ""


def _such(groups: int) -> str:
    if groups > NOT_FEASIBLE:
        return f"more than {NOT_FEASIBLE} groups (not feasible)"
    return f"about {groups} such groups"


def _curve(report: Report, curve: Curve) -> str:
    unit, where = report.unit, _pipeline(report, curve.pipeline, curve.label)
    if curve.fit is None:
        ends = [curve.means[0], curve.means[-1]]
        change = None if None in ends else (ends[1] or 0.0) - (ends[0] or 0.0)
        return (
            f"There is no curve to fit{where}: {curve.reason}; from {number(curve.counts[0])} to "
            f"{number(curve.counts[-1])} frames per video {unit} changed by {points(change)} points"
        )
    fit, first, last = curve.fit, curve.counts[0], curve.counts[-1]
    gained = (
        f"from {number(first)} to {number(last)} frames {unit} changed by {points(fit.gain)} "
        f"points ({_interval(fit.gain_interval)})"
    )
    return f"{_shape(report, fit, where)}; {gained}; {_curve_floor(report, fit)}"


def _shape(report: Report, fit: GainCurve, where: str) -> str:
    first, last = fit.counts[0], fit.counts[-1]
    per = f"{number(first)} to {number(last)} frames per video{where}"
    if fit.shape == "flat":
        return f"From {per} the curve is flat: more frames add nothing that matters"
    if fit.shape == "falling":
        return f"From {per} the curve falls: more frames make it worse"
    if fit.shape == "peaked":
        return f"From {per} the curve rises to {number(fit.best)}, then it falls"
    if fit.shape == "cannot tell":
        return f"We cannot tell yet how many frames per video pay{where}"
    best = f"the highest mean is that of {count(fit.best, 'frame')} per video"
    if fit.flattens_at is None or fit.flattens is None:
        return f"From {per} the curve rises, but not as a power law does; {best}"
    if fit.flattens_at > fit.counts[-2]:
        return f"From {per} the curve does not flatten"
    ends = f"{number(fit.flattens.low)} to {number(fit.flattens.high)}"
    return (
        f"The curve flattens at {count(fit.flattens_at, 'frame')} per video{where}: beyond, up to "
        f"{number(last)}, less than {_delta(report)} is left ({level(fit.flattens.level)} interval "
        f"{ends} frames)"
    )


def _curve_floor(report: Report, fit: GainCurve) -> str:
    said = (
        f"with {count(len(fit.groups), 'group')} the smallest possible p is "
        f"{p_value(fit.p_floor)} (a flat curve has p = {p_value(fit.p_value)})"
    )
    least = smallest_groups(report.level)
    if not fit.gain_interval.bounded:
        said += (
            f" and no {level(report.level)} interval is bounded: {least} groups at least are needed"
        )
    return f"{said}; the smallest difference of interest is {_delta(report)}"


def _grid(report: Report, grid: Grid) -> str:
    where = _pipeline(report, grid.pipeline, grid.label)
    if grid.rate is None:
        return f"The exchange rate cannot be computed{where}: {grid.reason}"
    rate = grid.rate
    at = f"at {number(rate.at[0])} videos × {number(rate.at[1])} frames"
    groups = count(len(rate.groups), "group")
    floor = p_value(min(1.0, 2.0 ** (1 - len(rate.groups))))
    tail = f"with {groups} the smallest possible p is {floor}"
    advice = rate_advice(rate, report.level)
    if not rate.identified and advice:
        return f"{advice}{where}: {at} one frame of a new video is worth {_at_least(rate)}; {tail}"
    if not rate.identified:
        seen = (
            "more frames of the videos one has gained nothing"
            if math.isinf(rate.rate)
            else f"one frame of a new video is estimated at {worth(rate)}"
        )
        return (
            f"We cannot tell yet what a new video is worth{where}: {at} {seen} "
            f"({rate_interval(rate)}), which is not identified at {level(report.level)}; {tail}"
        )
    unsure = "We cannot tell yet what a new video is worth"
    return (
        f"{advice or unsure}{where}: {at} one frame of a new video is worth {worth(rate)} "
        f"({rate_interval(rate)}); {tail}"
    )


def rate_advice(rate: ExchangeRate, asked: float) -> str:
    """Return what an exchange rate says to do, "" where it says nothing yet.

    That a frame of a new video is worth one frame of the others is said only where the whole
    interval lies close to 1: within a factor of :data:`SAME_WORTH`.
    """
    surely_new = rate.level >= asked and rate.low > 1 and rate.new_videos > 0
    if not rate.identified:
        return NEW_VIDEOS if surely_new else ""
    if rate.low >= 1 / SAME_WORTH and rate.high <= SAME_WORTH:
        return "Count frames, not videos"
    if rate.low > 1:
        return NEW_VIDEOS
    return "Label more frames before new videos" if rate.high < 1 else ""


def _at_least(rate: ExchangeRate) -> str:
    if math.isinf(rate.low):
        return f"any number of extra frames: those are seen not to gain ({level(rate.level)} level)"
    return (
        f"at least {number(rate.low, 2)} extra frames of the videos one has ({level(rate.level)} "
        "level); those may gain nothing at all"
    )


def worth(rate: ExchangeRate) -> str:
    """Return an exchange rate in words."""
    if math.isnan(rate.rate):
        return "nothing, since neither videos nor frames gain"
    if math.isinf(rate.rate):
        return "any number of extra frames, since those gain nothing"
    extra = number(rate.rate, 2)
    return f"{extra} extra {plural('frame', extra)} of the videos one has"


def rate_interval(rate: ExchangeRate) -> str:
    """Return the interval of an exchange rate in words."""
    if math.isinf(rate.low):
        return f"{level(rate.level)} interval empty: extra frames are seen not to gain"
    if math.isinf(rate.high):
        least = f"at least {number(rate.low, 2)}" if rate.low > 0 else "no bound"
        return f"{least} at {level(rate.level)}"
    return f"{level(rate.level)} interval {number(rate.low, 2)} to {number(rate.high, 2)}"


def arm(report: Report, setting: SettingFacts) -> str:
    """Return an arm in words: ``20 frames per video``, ``1by20 (20 frames per video)``."""
    if setting.per_video is None:
        return f"'{setting.arm}'"
    low, high = setting.per_video
    if low == high and setting.arm == str(high):
        return f"{count(high, 'frame')} {PER_VIDEO}"
    twice = [
        other.arm
        for other in report.settings
        if other.per_video == setting.per_video and other.arm != setting.arm
    ]
    images = setting.budget.get("train_frames", 0) / max(setting.budget.get("train_videos", 1), 1)
    what = f"{low} to {high} frames" if low != high else count(high, "frame")
    if twice and round(images) > high:
        return f"'{setting.arm}' ({what} per video, {number(images)} images with copies)"
    return f"'{setting.arm}' ({what} per video)"


def _amount(result: Comparison) -> str:
    return points(abs(result.difference), sign=False)


def _delta(report: Report) -> str:
    return count(round(100 * report.delta, 9), f"{report.unit} point")


def _pipeline(report: Report, name: str, label: str = "") -> str:
    several = len({setting.pipeline for setting in report.settings}) > 1
    return (f" ({label})" if label else "") + (f" with {name}" if several else "")
