"""Suites over axes: gain curves (frames per video) and grids (videos x frames per video)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidseg.errors import DataError, UsageError, VidsegError
from vidseg.experiment.records import Row, SuiteRecord
from vidseg.report.facts import Curve, Grid, SettingFacts, Split
from vidseg.report.wording import count
from vidseg.stats import ExchangeRate, best_allocation, exchange_rate, fit_gain_curve

FRAMES, VIDEOS = "frames", "videos"
VIDEO_COSTS = (0, 10, 100)
"""What one more video may cost, in frames that could be labelled instead."""


@dataclass(frozen=True)
class Place:
    """A setting of a grid, where it stands on the axes.

    Attributes:
        setting: the setting.
        asked: frames per video of the suite's file.
        frames: those that were trained on, the mean over the videos, one decimal.
        videos: training videos, None where they are no axis.
        rest: the other axes.
    """

    setting: SettingFacts
    asked: int
    frames: float
    videos: int | None
    rest: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """The other axes in words."""
        return ", ".join(f"{name} {value}" for name, value in self.rest)


def make_curves(record: SuiteRecord, settings: Sequence[SettingFacts]) -> list[Curve]:
    """Return one curve for each pipeline and each value of the other axes, two counts or more."""
    curves = []
    for (pipeline, label), places in _families(record, settings).items():
        if any(place.videos is not None for place in places):
            continue
        by_count: dict[float, SettingFacts] = {}
        alike = []
        for place in sorted(places, key=lambda one: (one.frames, one.asked)):
            first = by_count.setdefault(place.frames, place.setting)
            if first is not place.setting:
                alike.append(_alike(place.setting, first, place.frames))
        if len(places) > 1:
            counts, ordered = list(by_count), list(by_count.values())
            curves.append(_curve(record, pipeline, label, counts, ordered, alike))
    return curves


def make_grids(record: SuiteRecord, settings: Sequence[SettingFacts]) -> list[Grid]:
    """Return one grid for each pipeline, where arms differ in videos and in frames."""
    return [
        _grid(record, pipeline, label, places)
        for (pipeline, label), places in _families(record, settings).items()
        if len({p.videos for p in places}) > 1 and all(p.videos is not None for p in places)
    ]


def _families(
    record: SuiteRecord, settings: Sequence[SettingFacts]
) -> dict[tuple[str, str], list[Place]]:
    families: dict[tuple[str, str], list[Place]] = {}
    varied = _varied(list(record.axes.values()))
    for setting in settings:
        place = _place(record.axes.get(setting.arm, {}), setting, varied)
        if place is not None:
            families.setdefault((setting.pipeline, place.label), []).append(place)
    return families


def _varied(rows: Sequence[Row]) -> list[str]:
    """Return the axes beside videos and frames that have more than one value."""
    names = dict.fromkeys(name for row in rows for name in row if name not in (FRAMES, VIDEOS))
    return [name for name in names if len({str(row.get(name)) for row in rows}) > 1]


def _place(axes: Row, setting: SettingFacts, varied: Sequence[str]) -> Place | None:
    if FRAMES not in axes:
        return None
    asked = _whole(axes[FRAMES])
    frames = asked if setting.mean_frames is None else setting.mean_frames
    frames = frames and (int(frames) if frames == int(frames) else frames)
    videos = _whole(axes[VIDEOS]) if VIDEOS in axes else None
    if VIDEOS in axes and videos is None:
        videos = round(setting.budget.get("train_videos", 0)) or None
    if frames is None or (VIDEOS in axes and videos is None):
        return None
    rest = tuple((name, str(axes[name])) for name in varied if name in axes)
    return Place(setting, asked or math.ceil(frames), frames, videos, rest)


def _alike(one: SettingFacts, first: SettingFacts, frames: float) -> str:
    return f"{one.name} has {count(frames, 'frame')} per video, as {first.name}: one point"


def _whole(value: object) -> int | None:
    try:
        return int(str(value)) if int(str(value)) > 0 else None
    except ValueError:
        return None


def _curve(
    record: SuiteRecord,
    pipeline: str,
    label: str,
    counts: list[float],
    settings: Sequence[SettingFacts],
    alike: list[str],
) -> Curve:
    groups = {
        group: [setting.groups.get(group) for setting in settings]
        for group in sorted({name for setting in settings for name in setting.groups})
    }
    fit, reason = None, ""
    try:
        fit = fit_gain_curve(counts, groups, record.delta, record.level)
    except VidsegError as error:
        reason = error.what
    whole = [row for row in groups.values() if all(value is not None for value in row)]
    means = [_mean([row[i] for row in whole]) for i in range(len(counts))]
    names = [setting.name for setting in settings]
    return Curve(pipeline, label, names, counts, means, groups, fit, reason, alike)


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def _grid(record: SuiteRecord, pipeline: str, label: str, places: Sequence[Place]) -> Grid:
    videos = sorted({place.videos for place in places if place.videos is not None})
    used, alike = _columns(places)
    frames = sorted(set(used.values()))
    at = {(p.videos, used[p.asked]): p.setting for p in reversed(places)}
    here = [[at.get((v, f)) for f in frames] for v in videos]
    groups = {name for row in here for one in row if one for name in one.groups}
    scores = {
        group: [[one.groups.get(group) if one else None for one in row] for row in here]
        for group in sorted(groups)
    }
    rates, reason = _rates(videos, frames, scores, record.level)
    middle = (videos[len(videos) // 2], frames[len(frames) // 2])
    rate = next((one for one in rates if one.at == middle), None)
    return Grid(
        pipeline=pipeline,
        label=label,
        videos=videos,
        frames=frames,
        settings=[[one.name if one else "" for one in row] for row in here],
        means=[[_mean(list(one.groups.values())) if one else None for one in row] for row in here],
        rate=rate,
        reason="" if rate else reason,
        around=rates,
        splits=_splits(record, rate) if rate else [],
        alike=alike,
    )


def _columns(places: Sequence[Place]) -> tuple[dict[int, float], list[str]]:
    """Return the frames used for each number asked, and a line where two are the same."""
    used: dict[int, float] = {}
    alike = []
    for asked in sorted({place.asked for place in places}):
        own = [place.frames for place in places if place.asked == asked]
        mean = round(math.fsum(own) / len(own), 1)
        same = next((n for n, found in used.items() if found == mean), None)
        used[asked] = int(mean) if mean == int(mean) else mean
        if same is not None:
            alike.append(
                f"{asked} frames asked for are {count(mean, 'frame')} per video, as for {same}: "
                "one column"
            )
    return used, alike


def _rates(
    videos: Sequence[int],
    frames: Sequence[float],
    scores: Mapping[str, Sequence[Sequence[float | None]]],
    level: float,
) -> tuple[list[ExchangeRate], str]:
    rates, reason = [], ""
    for v in videos:
        for f in frames:
            try:
                rates.append(exchange_rate(videos, frames, scores, (v, f), level))
            except VidsegError as error:
                reason = reason or error.what
    return rates, reason


def _splits(record: SuiteRecord, rate: ExchangeRate) -> list[Split]:
    """Return the best split of the budget that the named place takes."""
    longest = max((int(row.get("frames") or 0) for row in record.dataset.videos), default=0)
    splits = []
    for cost in VIDEO_COSTS:
        budget = int(rate.at[0] * (cost + rate.at[1]))
        try:
            best = best_allocation(rate, budget, cost, 1, math.ceil(max(longest, *rate.frames)))
        except (DataError, UsageError):
            continue
        splits.append(Split(cost, budget, best))
    return splits
