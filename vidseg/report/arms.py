"""Arms in words: which frames they take, and what their labels cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from vidseg.report.facts import Report, SettingFacts
from vidseg.report.wording import count, number, seconds

BOX_SECONDS, POLYGON_SECONDS = 7.0, 79.0
"""Seconds a box (extreme clicking, Papadopoulos et al. 2017) and a polygon (Lin et al. 2014)."""
SIMILAR: Mapping[str, Callable[[str], str]] = {
    "uniform": lambda n: f"{n} spread evenly over each video",
    "random": lambda n: f"{n} at random from each video",
    "middle": lambda n: f"{n} around the middle of each video",
    "frame-difference": lambda n: f"{n} of each video where the picture changes most",
    "k-center": lambda n: f"{n} of each video that look most different",
    "foreground-random": lambda n: f"{n} of each video with much foreground",
}
FIRST = ("1", "20", "400", "first", "successive")
EVERY = ("1by20", "strided")
COPIES = {
    "1x20": "the first frame of each video, and 20 noisy copies of it",
    "20x20": "every 20th frame of each video, and 20 noisy copies of each",
}


def in_words(report: Report, setting: SettingFacts) -> str:
    """Return which frames a setting takes: ``every 20th frame of each video``."""
    arms = report.config.get("arms", {})
    arm = arms.get(setting.arm) or {}
    said = _frames(_sampler(arm), setting, _spacing(report, setting))
    videos = arm.get("videos")
    differ = len({str((one or {}).get("videos")) for one in arms.values()}) > 1
    if not differ or not isinstance(videos, int):
        return said
    return f"{said}, of {count(videos, 'training video')}"


def _sampler(arm: Any) -> str:
    sampler = arm.get("sampler") if isinstance(arm, Mapping) else None
    name = sampler.get("use", "") if isinstance(sampler, Mapping) else sampler or ""
    return str(name).partition(":")[0]


def _frames(sampler: str, setting: SettingFacts, spacing: int | None) -> str:
    n = _number(setting)
    if sampler == "all":
        return "every frame of each video"
    if sampler in COPIES:
        return COPIES[sampler]
    if sampler == "per-second":
        return "one frame a second of each video"
    if sampler in EVERY and spacing:
        return f"every {ordinal(spacing)} frame of each video"
    if sampler in FIRST:
        return f"the first {n} of each video".replace("first 1 frame ", "first frame ")
    if sampler == "window":
        apart = f", {count(spacing, 'frame')} apart" if spacing and spacing > 1 else ""
        row = " in a row" if spacing == 1 else apart
        return f"{n} of each video{row}, anywhere in it"
    if sampler in SIMILAR:
        return SIMILAR[sampler](n)
    return f"{n} of each video"


def _number(setting: SettingFacts) -> str:
    if setting.per_video is None:
        return "some frames"
    low, high = setting.per_video
    return count(high, "frame") if low == high else f"{number(low)} to {number(high)} frames"


def _spacing(report: Report, setting: SettingFacts) -> int | None:
    """Return the usual distance of the frames that were taken."""
    for one in report.frame_lists:
        if one.arm == setting.arm:
            steps = Counter(b - a for own in one.frames.values() for a, b in pairwise(own))
            return steps.most_common(1)[0][0] if steps else None
    return None


def label_cost(setting: SettingFacts) -> str:
    """Return the frames that a setting needs labels for, and minutes for one object in each."""
    boxes, polygons = (seconds(setting.labelled * each) for each in (BOX_SECONDS, POLYGON_SECONDS))
    return f"{count(setting.labelled, 'frame')}: {boxes} as boxes, {polygons} as polygons"


def ordinal(n: int) -> str:
    """Return ``20th``, ``2nd``."""
    last = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"
