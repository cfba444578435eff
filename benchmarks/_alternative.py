"""The practical alternative: liblinear on some random pixels, against all pixels.

Leave one group out; the same frames, features and ten test frames a video for all. C is
``C_mode=mean``, at several values: what is best for a few pixels need not be for all.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from benchmarks._frames import Bench
from benchmarks._methods import cpu_seconds
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear import standardise
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.liblinear import Liblinear
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.extractors.torchvision import Torchvision
from vidseg.types import FrameRef, Size

SHARES = (0.001, 0.01, 0.1)
COSTS = (1.0, 100.0, 1e4)
Materials = dict[str, PreparedVideo]


def measure(bench: Bench, *, quick: bool) -> dict[str, Any]:
    """Return a row for each share of the pixels: IoU by group, CPU seconds, spread over draws."""
    size = Size.parse("64x48" if quick else "160x120")
    frames, draws = (2, 1) if quick else (8, 3)
    materials, handle = bench.materials("squeezenet", size)
    began = time.process_time()
    for material in materials.values():
        for index in evenly(material, frames) + evenly(material, 10):
            material.features(index)
    extraction = time.process_time() - began
    rows = []
    shares = SHARES[1:] if quick else SHARES  # 0.1 % of few pixels may miss a class
    for share, cost in itertools.product(shares, COSTS[-1:] if quick else COSTS):
        pixels = max(1, round(share * size.height * size.width))
        repeats = 1 if share >= 0.1 else draws
        few = Liblinear(pixels_per_frame=pixels, C=cost)
        name = f"liblinear, {share:.1%}, C={cost:g}"
        learners = [(few, seed) for seed in range(repeats)]
        rows.append(_row(name, learners, materials, handle, frames, bench))
    for cost in COSTS[-1:] if quick else COSTS:
        name = f"pixel_svm, 100%, C={cost:g}"
        rows.append(_row(name, [(PixelSvm(C=cost), 0)], materials, handle, frames, bench))
    return {"size": str(size), "frames": frames, "extraction": extraction, "rows": rows}


def evenly(material: PreparedVideo, count: int) -> list[int]:
    """Return ``count`` frames spread over a video."""
    return [(2 * k + 1) * material.length // (2 * count) for k in range(count)]


def _row(
    name: str,
    learners: Sequence[tuple[Liblinear | PixelSvm, int]],
    materials: Materials,
    handle: Torchvision,
    frames: int,
    bench: Bench,
) -> dict[str, Any]:
    table, seconds, points = [], [], 0.0
    for learner, seed in learners:
        found: dict[str, list[float]] = {}
        used = 0.0
        for group in sorted({m.group for m in materials.values()}):
            refs = [
                FrameRef(video, i)
                for video, m in materials.items()
                if m.group != group
                for i in evenly(m, frames)
            ]
            standardise.frame_moments.cache_clear()
            with tempfile.TemporaryDirectory(dir=bench.store) as folder:
                ctx = FitContext(seed=seed, workdir=Path(folder))
                began = cpu_seconds()
                head = learner.fit(TrainingFrames(materials, refs), handle, ctx)
                used += cpu_seconds() - began
            points = ctx.facts["points"]
            held = [m for m in materials.values() if m.group == group]
            found[group] = [intersection_over_union(head, m) for m in held]
        table.append({group: mean(values) for group, values in found.items()})
        seconds.append(used / len(found))
    means = [mean(row.values()) for row in table]
    return {
        "name": name,
        "points": points,
        "iou": mean(means),
        "spread": stdev(means) if len(means) > 1 else None,
        "groups": {group: mean(row[group] for row in table) for group in table[0]},
        "cpu": mean(seconds),
        "draws": len(learners),
    }


def intersection_over_union(head: LinearHead, material: PreparedVideo) -> float:
    """Return the IoU over ten frames of a video, counts pooled."""
    hit = miss = false = 0
    for index in evenly(material, 10):
        mask = material.mask(index)
        found = head.scores(material.features(index), material.mask_size) > 0
        hit += int(np.sum(found & (mask > 0)))
        miss += int(np.sum(~found & (mask > 0)))
        false += int(np.sum(found & (mask < 0)))
    return hit / max(1, hit + miss + false)
