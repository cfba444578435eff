"""Arms in words: which frames they take, and what their labels cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from vidseg.experiment.records import Row
from vidseg.report.facts import Report, SettingFacts
from vidseg.report.taken import Taken
from vidseg.report.wording import count, number

BOX_SECONDS, POLYGON_SECONDS, LOOK_SECONDS = 7.0, 79.0, 1.0
"""Seconds a box (Papadopoulos et al. 2017), a polygon (Lin et al. 2014), a look take."""
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
SOURCES: Mapping[str, str] = {
    "hand": "as far as the budget goes",
    "propagated": "key boxes drawn, the frames between filled in",
    "assisted": "boxes by a tracker, wrong ones drawn anew",
    "pseudo": "key frames drawn, those between labelled by the model",
}
"""What a human does for labels that are not all drawn by hand, by label source."""
REFINED: Mapping[str, str] = {
    "ellipse": "boxes drawn as ellipses",
    "grabcut": "boxes cut out by grabCut",
}
TESTED: Mapping[str, str] = {
    "block": "another time of the same videos",
    "frame": "other frames of the same videos",
}
"""What arms are tested on that are not split by scene, by split."""
COPIES: Mapping[str, tuple[str, str]] = {
    "1x20": ("1", "noisy"),
    "20x20": ("1by20", "noisy"),
    "noised": ("1", "noisy"),
    "augmented": ("1", "augmented"),
}
"""Samplers that train on 20 copies, or as many as ``copies``, and not on the frames: on which."""


def in_words(report: Report, setting: SettingFacts) -> str:
    """Return which frames a setting takes, and how they are labelled where that is told.

    Such as ``every 20th frame of each video``.
    """
    arms = report.config.get("arms", {})
    arm = arms.get(setting.arm) or {}
    plain = _used(arm.get("train_labels")) not in SOURCES
    frames = _frames(arm.get("sampler"), setting, _taken(report, setting), plain)
    said = ", ".join([frames, *_how(arm)])
    split = _used(arm.get("split") or report.config.get("split"))
    if split and len({str((one or {}).get("split")) for one in arms.values()}) > 1:
        said += f", tested on {TESTED.get(split, 'other scenes')}"
    differ = len({drawn_videos(report.config, name) for name in arms}) > 1
    videos = drawn_videos(report.config, setting.arm)
    if not differ or videos is None:
        return said
    return f"{said}, of {count(videos, 'training video')}"


def drawn_videos(config: Row, arm: str) -> int | None:
    """Return on how many videos of a fold an arm trains, drawn at random; None: on all."""
    videos = (config.get("arms", {}).get(arm) or {}).get("videos")
    return videos if isinstance(videos, int) else None


def fewer_videos(config: Row) -> list[str]:
    """Return the arms that train on fewer videos than another one of the suite."""
    drawn = {name: drawn_videos(config, name) for name in config.get("arms", {})}
    most = max((videos or math.inf for videos in drawn.values()), default=math.inf)
    return [name for name, videos in drawn.items() if (videos or math.inf) < most]


def _used(spec: Any) -> str:
    """Return the name of the plugin that a spec names, "" without one."""
    name = spec.get("use", "") if isinstance(spec, Mapping) else spec or ""
    return str(name).partition(":")[0]


def _how(arm: Mapping[str, Any]) -> list[str]:
    """Return how an arm's training labels are made, where they are not the plain truth."""
    own = SOURCES.get(_used(arm.get("train_labels"))), REFINED.get(_used(arm.get("refine")))
    return [said for said in own if said]


def _taken(report: Report, setting: SettingFacts) -> Taken | None:
    """Return the frames that a setting takes, None where they are not known."""
    frames = report.frames_of(setting.name) or {}
    kept = {video: own for video, own in frames.items() if own}
    rows = report.dataset["videos"]
    lengths = {str(r["video"]): int(r["frames"]) for r in rows if r.get("frames") is not None}
    start = _given(report.config.get("arms", {}).get(setting.arm), "sampler", "start")
    return Taken(kept, lengths, start if isinstance(start, int) else 0) if kept else None


def _given(arm: Any, key: str, option: str) -> Any:
    """Return an option of the plugin that an arm names under a key, None without one."""
    spec = arm.get(key) if isinstance(arm, Mapping) else None
    return spec.get(option) if isinstance(spec, Mapping) else None


def _frames(spec: Any, setting: SettingFacts, taken: Taken | None, plain: bool) -> str:
    """Return which frames a sampler takes: by its name, and by those that it really took.

    Args:
        spec: of the sampler.
        setting: for how many frames of a video.
        taken: the frames; None where they are not known.
        plain: the training labels are the data set's own.
    """
    sampler = _used(spec)
    if sampler in COPIES:
        return _copies(sampler, spec, setting, taken, plain)
    if sampler == "all":
        return _all(taken, plain)
    if sampler == "per-second":
        return _per_second(spec, taken)
    if sampler in (*FIRST, *EVERY) and taken is not None:
        return taken.in_words(nth=sampler in EVERY)
    n, fewer = _number(setting)
    if sampler == "window":
        return _window(n, fewer, taken.spacing if taken else None)
    if sampler in SIMILAR:
        return SIMILAR[sampler](n) + (", all where there are fewer" if fewer else "")
    if fewer and setting.per_video is not None:
        n = f"{number(setting.per_video[0])} to {n}"
    return f"{n} of each video"


def _per_second(spec: Any, taken: Taken | None) -> str:
    """Return how many frames a second, how far apart they lie, and what fps was assumed."""
    options = spec if isinstance(spec, Mapping) else {}
    rate = options.get("rate", 1)
    words = "one frame" if rate == 1 else count(rate, "frame")
    words += " a second of each video"
    if taken is not None and taken.spacing is not None:
        words += f", {count(taken.spacing, 'frame')} apart"
    if options.get("fps"):
        words += f" ({number(options['fps'])} fps where a video states none)"
    return words


def _copies(
    sampler: str, spec: Any, setting: SettingFacts, taken: Taken | None, plain: bool
) -> str:
    """Return the frames of which copies are made, and that those alone are trained on."""
    own, kind = COPIES[sampler]
    given = spec if isinstance(spec, Mapping) else {}
    base = _frames(given.get("base", own), setting, taken, plain)
    each = "" if setting.per_video == (1, 1) else "each "
    copies = int(given.get("copies", 20))
    many = f"{number(copies)} {kind} {'copy' if copies == 1 else 'copies'}"
    return f"{base}, {each}replaced by {many} in training"


def _all(taken: Taken | None, plain: bool) -> str:
    if taken is None or taken.whole:
        return "every frame of each video"
    return "every labelled frame of each video" if plain else taken.in_words()


def _window(n: str, fewer: bool, spacing: int | None) -> str:
    apart = f", {count(spacing, 'frame')} apart" if spacing and spacing > 1 else ""
    row = " in a row" if spacing == 1 else apart
    said = f"{n} of each video{row}, anywhere in it"
    return f"{said}, fewer where a video is short" if fewer else said


def _number(setting: SettingFacts) -> tuple[str, bool]:
    """Return the frames of the video that has most, and whether others have fewer."""
    if setting.per_video is None:
        return "some frames", False
    low, high = setting.per_video
    return count(high, "frame"), low < high


class Priced(StrEnum):
    """How the time of an arm's labels is known.

    ``measured``: the label source counted boxes and looks. ``boxes``: every box counted, drawn by
    hand. ``masks``: a polygon on each frame. ``frames``: a box on each frame.
    """

    MEASURED = "measured"
    BOXES = "boxes"
    MASKS = "masks"
    FRAMES = "frames"


def label_seconds(setting: SettingFacts) -> tuple[float, Priced]:
    """Return what a setting's labels take, in seconds, and how that is known."""
    effort = setting.effort
    if effort.get("seconds") is not None:
        return effort["seconds"], Priced.MEASURED
    if effort.get("boxes"):
        return effort["boxes"] * BOX_SECONDS, Priced.BOXES
    if effort.get("of_masks"):
        return setting.labelled * POLYGON_SECONDS, Priced.MASKS
    return setting.labelled * BOX_SECONDS, Priced.FRAMES


def price_notes(report: Report, settings: Sequence[SettingFacts]) -> list[str]:
    """Return in words how the minutes of some settings are known."""
    known = {label_seconds(one)[1] for one in settings}
    box, look = (report.config.get(name) for name in ("seconds_per_box", "seconds_per_look"))
    notes = {
        Priced.MEASURED: f"Minutes: what the label source counted, {given(box, BOX_SECONDS)} s a "
        f"box drawn and {given(look, LOOK_SECONDS)} s a frame looked at.",
        Priced.BOXES: f"Minutes: every box of these frames drawn by hand, {BOX_SECONDS:g} s a box.",
        Priced.MASKS: f"Minutes: one polygon on each frame, {POLYGON_SECONDS:g} s; multiply by the "
        "objects of a frame.",
        Priced.FRAMES: f"Minutes: one box on each frame, {BOX_SECONDS:g} s; multiply by the "
        "objects of a frame.",
    }
    return [note for kind, note in notes.items() if kind in known]


def given(value: object, usual: float) -> str:
    """Return a price in seconds, the usual one where none is stated."""
    return number(float(value) if isinstance(value, int | float) else usual)


def minutes_of(setting: SettingFacts) -> str:
    """Return the minutes of a setting's labels: ``28 min``, ``0.9 min``."""
    return f"{number(label_seconds(setting)[0] / 60, 2)} min"


def label_cost(setting: SettingFacts) -> str:
    """Return the frames that a setting needs labels for, and minutes: ``240 frames, 28 min``."""
    return f"{count(setting.labelled, 'frame')}, {minutes_of(setting)}"
