"""Is a threshold that inner groups choose better than 0, and how often does each of them collapse?

On each real data set by itself, leave one scene out or ``--split``. Each fit is scored at 0 and at
the threshold that up to three inner groups of its training scenes chose; the model is the same.

    python -m benchmarks.thresholds --quick
    python -m benchmarks.thresholds --json thresholds.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

from vidseg.utils.threads import configure_threads

configure_threads()

import numpy as np

from benchmarks._samples import samples_folder
from benchmarks._scenes import find_sets, opened
from benchmarks._tables import table
from vidseg.experiment.config import Setting
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.splits import folds
from vidseg.experiment.stages import MODEL
from vidseg.plugins.build import resolve
from vidseg.tasks.segmentation.counts import VideoCounts
from vidseg.tasks.segmentation.histogram import score_of
from vidseg.tasks.segmentation.scores import iou

ARMS = ("1", "20:short=all", "1by20:short=all", "400:short=all")
SETS = ("persons, boxes", "persons, masks", "vehicles")
COLLAPSE = 0.5
"""IoU below this part of the other threshold's is a collapse."""

Row = dict[str, Any]


def measured(experiment: Experiment, arm: str, name: str) -> Iterator[Row]:
    """Yield a row for each test video of one arm."""
    setting = Setting(resolve("sampler", arm), experiment.config.classifier)
    for fold in folds(experiment.config.split, experiment.groups, 0):
        fitted = experiment.fit(setting, fold, "")
        counts = experiment.score({MODEL: fitted}, fold, "")[MODEL].counts
        for video in counts[MODEL]:
            assert isinstance(video, VideoCounts)
            scores = video.scores()
            yield {
                "set": name,
                "arm": arm.partition(":")[0],
                "video": video.video,
                "zero": at_zero(video),
                "inner": scores["iou"],
                "ap": scores["ap"],
                **{key: fitted.facts[key] for key in ("threshold", "inner_iou", "inner_iou_at_0")},
            }


def at_zero(video: VideoCounts) -> float:
    """Return the IoU of a video at threshold 0."""
    found = video.histogram.counts[:, score_of(video.histogram.lows) > 0].sum(axis=1)
    return float(iou(found[1], found[0], video.positives))


def summary(rows: Sequence[Row]) -> str:
    """Return means, the worst losses and collapses by data set and arm, as a Markdown table."""
    lines = []
    for name, arm in sorted({(row["set"], row["arm"]) for row in rows}, key=_place):
        own = [r for r in rows if (r["set"], r["arm"]) == (name, arm) and not math.isnan(r["zero"])]
        gains = np.array([row["inner"] - row["zero"] for row in own])
        lines.append([
            name, arm, str(len(own)),
            *(f"{100 * mean(row[key] for row in own):.1f}" for key in ("zero", "inner", "ap")),
            f"{100 * gains.min():+.1f}", f"{100 * gains.max():+.1f}",
            f"{int((gains > 0.01).sum())}", f"{int((gains < -0.01).sum())}",
            f"{sum(row['zero'] < COLLAPSE * row['inner'] for row in own)}",
            f"{sum(row['inner'] < COLLAPSE * row['zero'] for row in own)}",
        ])  # fmt: skip
    return table(
        ["set", "arm", "scenes", "IoU at 0", "inner", "AP", "worst", "best", "better by 1",
         "worse by 1", "0 collapses", "inner collapses"],
        lines,
    )  # fmt: skip


def _place(case: tuple[str, str]) -> tuple[str, int]:
    return case[0], [arm.partition(":")[0] for arm in ARMS].index(case[1])


def main() -> None:
    """Measure every set and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", help="folder of real samples")
    parser.add_argument("--size", default="96x72", help="of images and masks")
    parser.add_argument("--stride", type=int, default=20, help="every so many test frames")
    parser.add_argument("--split", default="leave-one-group-out", help="or k-fold:k=2")
    parser.add_argument("--classifier", default="pixel_svm:C=1")
    parser.add_argument("--store", type=Path, help="keep features and fits here")
    parser.add_argument("--quick", action="store_true", help="generated videos, two arms")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    samples = samples_folder(os.devnull if given.quick else given.samples)
    options = {
        "image_size": "48x32" if given.quick else given.size,
        "classifier": given.classifier,
        "threshold": "inner",
        "split": given.split,
        "test_stride": given.stride,
    }
    folder = nullcontext(given.store) if given.store else tempfile.TemporaryDirectory()
    rows: list[Row] = []
    with folder as store:
        sets = {
            name: opened(dataset, samples, Path(store), options)
            for name, dataset in find_sets(SETS, samples).items()
        }
        for arm, name in itertools.product(ARMS[:2] if given.quick else ARMS, sets):
            rows += measured(sets[name], arm, name)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(summary(rows))


if __name__ == "__main__":
    main()
