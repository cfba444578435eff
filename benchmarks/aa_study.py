"""The verdicts through the whole pipeline: how often do two equal arms differ "significantly"?

Hundreds of small generated data sets. In the A/A study both arms draw ``random:n`` frames with
other seeds, which no other data set has, so every significant difference is a false alarm: once
with each group left out, once in two folds, where the groups of a fold share a model. In the
planted study one arm has two frames and the other all of two videos whose every frame is a new
scene: a difference exists.

    python -m benchmarks.aa_study --quick
    python -m benchmarks.aa_study --sets 300 --processes 2 --json aa.json
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from vidseg.utils.threads import configure_threads

configure_threads()

from vidseg.experiment.config import Setting, make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_experiment, open_extractor
from vidseg.experiment.splits import folds
from vidseg.experiment.stages import MODEL
from vidseg.plugins.build import create, resolve
from vidseg.stats import Comparison, compare
from vidseg.store import Store
from vidseg.tasks.base import Counts
from vidseg.utils.progress import Quiet
from vidseg.utils.scratch import scratch


@dataclass(frozen=True)
class Study:
    """What is compared on each data set.

    Attributes:
        motion: of the generator.
        arms: sampler of each.
        videos: train on so many, None on all.
        classifier: trained by both arms.
        split: of the groups; with two folds half of the groups are scored by one model.
    """

    motion: float
    arms: tuple[str, str]
    videos: int | None = None
    classifier: str = "pixel_svm:tolerance=1e-3"
    split: str = "leave-one-group-out"


STUDIES = {
    "A/A": Study(1.0, ("random:n=3", "random:n=3")),
    "A/A in 2 folds": Study(1.0, ("random:n=3", "random:n=3"), split="k-fold:k=2"),
    # a few frames of seven videos are all that so few features can hold at C=1: nothing to be found
    "planted": Study(2.0, ("random:n=2", "all"), 2, "pixel_svm:tolerance=1e-3,C=1e4"),
}

SIZE = "64x48"
OPTIONS = {
    "extractor": "filters:octaves=2",
    "image_size": SIZE,
    "threads": 1,
    "device": "cpu",
}


def open_set(number: int, groups: int, study: Study, folder: Path) -> Experiment:
    """Open one generated data set: ``groups`` videos of 12 frames, every one a scene of its own."""
    spec = f"synthetic:videos={groups},frames=12,size={SIZE},motion={study.motion},seed={number}"
    given = {"dataset": spec, "classifier": study.classifier, "split": study.split}
    config = make_config({**OPTIONS, **given})
    videos = tuple(create("dataset", config.dataset[0]).videos())
    dataset = OpenDataset(config.dataset, videos, {v.name: v.name for v in videos}, ())
    return open_experiment(
        config,
        dataset,
        store=Store(folder / "store"),
        ledger=Ledger(folder / "ledger"),
        progress=Quiet(),
        extractor=open_extractor(config),
    )


def group_scores(
    experiment: Experiment, sampler: str, seed: int, videos: int | None
) -> dict[str, float]:
    """Return the IoU of each held-out group for one arm."""
    config = experiment.config
    setting = Setting(resolve("sampler", sampler), config.classifier, seed, videos, config.budget)
    scores: dict[str, float] = {}
    for fold in folds(config.split, experiment.groups, 0):
        fitted = experiment.fit(setting, fold, "")
        rows: list[Counts] = experiment.score({MODEL: fitted}, fold, "")[MODEL].counts[MODEL]
        scores |= {row.group: row.scores()["iou"] for row in rows}
    return scores


def one_comparison(number: int, groups: int, study: Study) -> Comparison:
    """Compare two arms on one data set."""
    with scratch() as folder:
        experiment = open_set(number, groups, study, folder)
        # the generated videos have the same names in every set: one seed would draw the same
        # frame numbers in all of them, and a lucky draw would count hundreds of times
        a, b = (
            group_scores(experiment, sampler, 2 * number + arm, study.videos)
            for arm, sampler in enumerate(study.arms)
        )
        return compare(a, b)


def comparisons(study: Study, sets: int, groups: int, processes: int) -> list[Comparison]:
    """Return one comparison a data set; data sets differ by their seed."""
    one = partial(one_comparison, groups=groups, study=study)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(one, range(sets)))


def summary(name: str, found: list[Comparison]) -> dict[str, float | str]:
    """Return the share of significant comparisons with its Monte Carlo error, and of verdicts."""
    count = len(found)
    share = sum(comparison.p_value <= 0.05 for comparison in found) / count
    verdicts = {
        verdict: sum(str(comparison.verdict) == verdict for comparison in found) / count
        for verdict in ("better", "worse", "equivalent", "cannot tell")
    }
    covered = sum(c.interval.low <= 0 <= c.interval.high for c in found) / count
    return {
        "study": name,
        "data sets": count,
        "significant": share,
        "error": math.sqrt(share * (1 - share) / count),
        "mean difference": sum(c.difference for c in found) / count,
        "interval covers 0": covered,
        **verdicts,
    }


def main() -> None:
    """Run the studies and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", action="append", choices=list(STUDIES), help="only this one")
    parser.add_argument("--sets", type=int, default=200, help="data sets in each study")
    parser.add_argument("--groups", type=int, default=8, help="videos in each data set")
    parser.add_argument("--processes", type=int, default=1, help="data sets at a time")
    parser.add_argument("--quick", action="store_true", help="ten data sets of six groups")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    sets, groups = (10, 6) if given.quick else (given.sets, given.groups)
    rows = []
    for name in given.study or STUDIES:
        began = time.perf_counter()
        found = comparisons(STUDIES[name], sets, groups, given.processes)
        rows.append(summary(name, found))
        cells = ", ".join(
            f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()
        )
        print(f"{cells}, {time.perf_counter() - began:.0f} s", flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
