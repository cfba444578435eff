"""Records of suites made by hand, from planted effects: what reports are tested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vidseg.experiment.records import (
    ComparisonRecord,
    DatasetRecord,
    FoldRecord,
    RunRecord,
    SettingRecord,
    SuiteRecord,
)
from vidseg.stats import effective_frames
from vidseg.tasks.segmentation.scores import SCORES

Effect = Callable[[str, str], float]
"""(arm, pipeline) -> IoU that it has on average."""


def scores(iou: float) -> dict[str, float]:
    """Return all scores that go with an IoU."""
    gscore = max(iou - 0.05, 0.0)
    values = (iou, gscore, 0.85 + iou / 10, iou + 0.2, iou + 0.1, iou + 0.15, 0.8, iou + 0.2)
    return dict(zip(SCORES, values, strict=True))


def dataset(groups: Sequence[str], source: str = "mot:videos", frames: int = 400) -> DatasetRecord:
    """Return a data set of one video a group, named after it."""
    rows = [
        {
            "video": group,
            "group": group,
            "frames": frames,
            "width": 640,
            "height": 480,
            "positive_share": 0.08,
        }
        for group in groups
    ]
    return DatasetRecord(source.partition(":")[0], source, "0123456789abcdef", rows)


def setting(
    arm: str,
    pipeline: str,
    groups: Sequence[str],
    effect: Effect,
    *,
    frames: Sequence[int] = tuple(range(20)),
    seeds: int = 1,
    noise: float = 0.02,
    undefined: Sequence[str] = (),
    failures: Sequence[dict[str, Any]] = (),
    data: DatasetRecord | None = None,
) -> SettingRecord:
    """Return a setting whose groups differ in level, and by ``noise`` in the arm's effect."""
    rng = np.random.default_rng([len(arm), *map(ord, arm + pipeline)])
    level = {group: 0.03 * (i % 5) - 0.06 for i, group in enumerate(groups)}
    by_seed: dict[int, dict[str, dict[str, float]]] = {}
    for seed in range(0 if failures else seeds):
        by_seed[seed] = {
            g: {"accuracy": 0.9}
            if g in undefined
            else scores(effect(arm, pipeline) + level[g] + float(rng.normal(0, noise)))
            for g in groups
        }
    means = {g: _mean([one[g] for one in by_seed.values()]) for g in groups} if by_seed else {}
    headline = _mean([row for row in means.values() if "iou" in row]) if means else {}
    if headline:
        headline["gscore_pooled"] = headline["gscore"] + 0.02
        headline["gscore_of_means"] = headline["gscore"] + 0.01
        headline["iou_pooled"] = headline["iou"] + 0.01
    run = RunRecord(
        name=f"{arm} {pipeline}",
        config={},
        params={},
        dataset=data or dataset(groups),
        headline=headline,
        baselines=[
            {"baseline": "foreground", "iou": 0.08},
            {"baseline": "position", "iou": 0.24},
            {"baseline": "colour", "iou": 0.11},
        ]
        if means
        else [],
        folds=[fold(i, groups, rng) for i in range(len(groups))] if means else [],
    )
    facts = {
        "train_frames": float(len(frames) * (len(groups) - 1)),
        "train_videos": float(len(groups) - 1),
        "train_positive_share": 0.081,
        "fit_seconds": 12.3,
    }
    if pipeline == "sgd":
        facts |= {"epochs": 4.0, "updates": 1_600_000.0, "pixels_seen": 1_600_000.0}
    return SettingRecord(
        name=f"{arm} {pipeline}",
        arm=arm,
        pipeline=pipeline,
        run=run,
        group_scores=means,
        by_seed=by_seed,
        video_scores=means,
        facts=facts if means else {},
        frames={group: list(frames) for group in groups},
        failures=list(failures),
        complete=not failures,
    )


def fold(index: int, groups: Sequence[str], rng: np.random.Generator) -> FoldRecord:
    """Return a fold that tests on one group, with scores per frame that hang together in time."""
    walk = 0.5 + np.cumsum(rng.normal(0, 0.01, 60))
    tp = (1000 * np.clip(walk, 0.05, 0.95)).astype(int)
    effective = effective_frames(tp / 1100)
    others = [group for group in groups if group != groups[index]]
    cell = {"effective": [{"video": groups[index], "frames": 60, "effective": effective}]}
    own = [groups[index]]
    return FoldRecord(index, own, others, own, {"iou": 0.4}, {}, [], f"{index:032x}", cell)


def suite(
    name: str,
    settings: Sequence[SettingRecord],
    comparisons: Sequence[tuple[str, str]] = (),
    *,
    axes: Mapping[str, dict[str, Any]] | None = None,
    data: DatasetRecord | None = None,
    arms: Mapping[str, Any] | None = None,
    **more: Any,
) -> SuiteRecord:
    """Return a suite of these settings; comparisons name arms and hold for every pipeline."""
    pipelines = list(dict.fromkeys(one.pipeline for one in settings))
    there = {(one.arm, one.pipeline) for one in settings}
    pairs = [
        ComparisonRecord(f"{a} {p}", f"{b} {p}", a, b, p, f"does {b} beat {a}?")
        for p in pipelines
        for a, b in comparisons
        if (a, p) in there and (b, p) in there
    ]
    config = {
        "name": name,
        "question": "Does it pay?",
        "seeds": [0],
        "arms": dict(arms or {one.arm: {"sampler": {"use": one.arm}} for one in settings}),
        "pipelines": {p: {"classifier": {"use": p}} for p in pipelines},
    }
    facts: dict[str, Any] = {
        "question": "Every frame, or key frames?",
        "key": "feedc0de" * 4,
        "primary": "iou",
        "delta": 0.01,
        "level": 0.95,
        "margin": 21.5,
        "plan": {"cells": 40, "cells_reused": 12, "seconds": 312.0, "forwards": 920},
    }
    return SuiteRecord(
        name=name,
        config=config,
        dataset=data or settings[0].run.dataset,
        settings=list(settings),
        comparisons=pairs,
        axes=dict(axes or {}),
        **facts | more,
    )


def paper(
    groups: Sequence[str], pipelines: Sequence[str] = ("pixel_svm", "sgd"), **more: Any
) -> SuiteRecord:
    """Return the paper's suite with the scores that DESIGN expects of real sequences."""
    level = {"1": 0.38, "20": 0.44, "1by20": 0.52, "400": 0.58, "1x20": 0.38, "20x20": 0.52}
    frames = {
        "1": [0],
        "20": range(20),
        "1by20": range(0, 400, 20),
        "400": range(400),
        "1x20": [0],
        "20x20": range(0, 400, 20),
    }
    settings = [
        setting(arm, p, groups, lambda a, _: level[a], frames=list(frames[arm]), **more)
        for p in pipelines
        for arm in level
        if p == "sgd" or "x" not in arm
    ]
    pairs = [("1", "20"), ("1by20", "400"), ("1x20", "20"), ("20x20", "400"), ("1", "1x20")]
    return suite("paper", settings, [*pairs, ("1by20", "20x20")])


def gain_curve(
    groups: Sequence[str],
    counts: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
    *,
    rise: float = 0.2,
    noise: float = 0.004,
    strides: Sequence[int] = (1, 20),
) -> SuiteRecord:
    """Return a gain curve that approaches 0.5 as n^-0.7, five starts."""
    arms = {f"{n} every {k}": {"frames": n, "every": k} for k in strides for n in counts}
    settings = [
        setting(
            arm,
            "pixel_svm",
            groups,
            lambda a, _: 0.5 + 0.02 * (arms[a]["every"] > 1) - rise * arms[a]["frames"] ** -0.7,
            frames=[i * axes["every"] for i in range(axes["frames"])],
            seeds=5,
            noise=noise,
        )
        for arm, axes in arms.items()
    ]
    return suite("gain-curve", settings, axes=arms)


def iso_budget(
    groups: Sequence[str], ratio: float = 3.0, noise: float = 0.003, frames: float = 1.0
) -> SuiteRecord:
    """Return a grid whose exchange rate is ``ratio / frames``; at 0 extra frames gain nothing."""
    arms = {
        f"{v} x {f}": {"videos": v, "frames": f, "sampler": "uniform"}
        for v in (1, 2, 4)
        for f in (5, 10, 20)
    }

    def effect(arm: str, _: str) -> float:
        axes = arms[arm]
        gain = ratio * np.log(axes["videos"]) + frames * np.log(axes["frames"])
        return 0.3 + 0.02 * float(gain)

    settings = [
        setting(arm, "pixel_svm", groups, effect, frames=range(a["frames"]), noise=noise)
        for arm, a in arms.items()
    ]
    return suite("iso-budget", settings, axes=arms)


def leakage(groups: Sequence[str]) -> SuiteRecord:
    """Return a split by frame that flatters by 20 points."""
    level = {"by group": 0.45, "by frame": 0.65}
    settings = [setting(arm, "pixel_svm", groups, lambda a, _: level[a]) for arm in level]
    arms = {
        "by group": {"sampler": {"use": "all"}},
        "by frame": {"sampler": {"use": "all"}, "split": {"use": "frame", "k": 4}},
    }
    return suite("leakage", settings, [("by group", "by frame")], arms=arms)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    common = [key for key in rows[0] if all(key in row for row in rows)]
    return {key: float(np.mean([row[key] for row in rows])) for key in common}
