"""Does the advice pay? Derived on half of the scenes, followed on the other half.

The scenes of a set are divided at random, many times. On each half a suite is run as
``vidseg suite`` does it, on nothing but the half's own scenes, and its report gives the advice.
What is followed on the other half is scored by that half's own suite, so no model was trained on
the scenes that score it. Regret is the score of the arm that is best on the other half, seen
afterwards, minus the score of the arm that was followed. Beside it stand habits: one frame a
second, every 20th frame, every 5th. Each division gives two cases.

    python -m benchmarks.regret --quick
    python -m benchmarks.regret --halves 20 --json regret.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from vidseg.utils.threads import configure_threads

configure_threads()

import numpy as np

from benchmarks._samples import samples_folder
from benchmarks._scenes import extractor, find_sets
from benchmarks._tables import table
from vidseg.errors import DataError
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_dataset, open_experiment, open_extractor
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.report import Report, build
from vidseg.stats import smallest_groups
from vidseg.store import Store
from vidseg.suites.cells import expand
from vidseg.suites.engine import run_cells
from vidseg.suites.executors.local import Local
from vidseg.suites.opened import OpenedSuite
from vidseg.suites.record import suite_record
from vidseg.suites.suite import Suite, make_suite
from vidseg.utils.progress import Quiet

SETS = ("persons", "vehicles")
ARMS = {
    "1": "1",
    "20": "20:short=all",
    "1 a second": "per-second:rate=1,fps=25",
    "every 20th": "strided:every=20",
    "every 5th": "strided:every=5",
}
HABITS = ("1 a second", "every 20th", "every 5th")
LEVELS = (0.95, 0.85)
"""Of the advice: the usual one, and one that four scenes can reach."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Scenes:
    """A data set of which parts are opened.

    Attributes:
        name: of the set.
        suite: what is run on each part.
        dataset: the whole.
        extractor: shared by all parts.
        store, ledger: keep features and fits; parts that train on the same share them.
    """

    name: str
    suite: Suite
    dataset: OpenDataset
    extractor: FrozenExtractor
    store: Store
    ledger: Ledger

    @property
    def groups(self) -> list[str]:
        """Names of the scenes."""
        return sorted(set(self.dataset.groups.values()))

    def report(self, groups: Collection[str]) -> Report:
        """Run the suite on some scenes alone and return the facts of its report.

        Raises:
            DataError: a cell failed.
        """
        own = {v: group for v, group in self.dataset.groups.items() if group in groups}
        videos = tuple(video for video in self.dataset.videos if video.name in own)
        part = replace(self.dataset, videos=videos, groups=own)
        (pipeline,) = self.suite.pipelines
        experiment = open_experiment(
            self.suite.pipelines[pipeline],
            part,
            store=self.store,
            ledger=self.ledger,
            progress=Quiet(),
            extractor=self.extractor,
        )
        cells = expand(self.suite, own)
        opened = OpenedSuite(self.suite, part, {pipeline: experiment}, cells, self.store)
        results = run_cells(opened, cells, Local(), context={}, progress=Quiet())
        for cell, error in results.failures.items():
            raise DataError(str(error), where=str(cell))
        return build(suite_record(opened, cells, results, {}))


def open_scenes(name: str, dataset: Any, samples: Path, folder: Path, options: Row) -> Scenes:
    """Open a set with the suite that is run on its halves."""
    arms = {arm: {"sampler": sampler} for arm, sampler in ARMS.items()}
    common = {"extractor": extractor(samples), "classifier": "pixel_svm:C=1"}
    made = {
        "name": "regret",
        "question": "How many frames of each video are worth labelling?",
        "dataset": dataset,
        "threads": 1,
        "device": "cpu",
        "pipelines": {"svm": common},
        "arms": arms,
        "comparisons": [{"a": "every 20th", "b": "every 5th", "question": "more frames"}],
    }
    config = make_suite(made | options).pipelines["svm"]
    store = Store(folder / "store")
    opened = open_dataset(config.dataset, Quiet(), store.fact_cache)
    suite = make_suite(made | options | {"level": _level(len(set(opened.groups.values())))})
    ledger = Ledger(folder / "ledger")
    return Scenes(name, suite, opened, open_extractor(config), store, ledger)


def cases(scenes: Scenes, halves: int, seed: int) -> Iterator[Row]:
    """Yield two rows for each random division: advice of one half, scores on the other."""
    rng = np.random.default_rng(seed)
    for number in range(halves):
        drawn = rng.permutation(scenes.groups).tolist()
        middle = len(drawn) // 2
        reports = [scenes.report(half) for half in (drawn[:middle], drawn[middle:])]
        for own, other in ((0, 1), (1, 0)):
            yield {"set": scenes.name, "division": number, **followed(reports[own], reports[other])}


def followed(advising: Report, other: Report) -> Row:
    """Return what following the advice of one report costs by the other.

    The score is the primary one, 0..1; the cost is the labelled frames of a video, in the mean.
    """
    decision, chosen = advising.decision, advising.chosen
    videos = len(other.dataset["videos"])
    scores = {one.arm: one.scores[other.primary] for one in other.settings}
    frames = {one.arm: one.labelled / videos for one in other.settings}
    best = max(scores, key=lambda arm: scores[arm])
    rules = {"advice": chosen.arm if chosen else None, "best": best} | {arm: arm for arm in HABITS}
    return {
        "standing": str(decision.standing.value) if decision else "none",
        "groups": len(decision.groups) if decision else 0,
        "scores": scores,
        "followed": {
            rule: {"arm": arm, "regret": scores[best] - scores[arm], "frames": frames[arm]}
            for rule, arm in rules.items()
            if arm is not None
        },
    }


def summary(rows: Sequence[Row]) -> str:
    """Return mean regret and frames of each rule, by set, as a Markdown table."""
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        for rule in ("advice", *HABITS, "best"):
            taken = [row["followed"][rule] for row in own if rule in row["followed"]]
            if taken:
                lines.append([name, *_line(rule, taken, len(own))])
        for standing in dict.fromkeys(row["standing"] for row in own):
            those = [row["followed"] for row in own if row["standing"] == standing]
            taken = [row["advice"] for row in those if "advice" in row]
            if taken:
                lines.append([name, *_line(f"advice, {standing}", taken, len(own))])
    head = ["set", "followed", "cases", "regret, points", "worst", "within 1 point", "frames"]
    return table(head, lines)


def _line(rule: str, taken: Sequence[Mapping[str, Any]], of: int) -> list[str]:
    lost = [100 * case["regret"] for case in taken]
    within = sum(loss <= 1 for loss in lost) / len(lost)
    return [
        rule, f"{len(taken)} of {of}", f"{mean(lost):.1f}", f"{max(lost):.1f}", f"{within:.0%}",
        f"{mean(case['frames'] for case in taken):.1f}",
    ]  # fmt: skip


def _level(groups: int) -> float:
    """Return the highest level that half of so many scenes can reach."""
    return next((v for v in LEVELS if groups // 2 >= smallest_groups(v)), LEVELS[-1])


def main() -> None:
    """Follow the advice on every set and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", help="folder of real samples")
    parser.add_argument("--halves", type=int, default=20, help="random divisions of each set")
    parser.add_argument("--size", default="64x48", help="of images and masks")
    parser.add_argument("--split", default="leave-one-group-out", help="inside each half")
    parser.add_argument("--stride", type=int, default=20, help="every so many test frames")
    parser.add_argument("--set", action="append", choices=SETS, help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, help="keep features and fits here")
    parser.add_argument("--quick", action="store_true", help="two divisions, generated videos")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    samples = samples_folder(os.devnull if given.quick else given.samples)
    options = {
        "image_size": "48x32" if given.quick else given.size,
        "split": "k-fold:k=2" if given.quick else given.split,
        "test_stride": given.stride,
    }
    rows: list[Row] = []
    folder = nullcontext(given.store) if given.store else tempfile.TemporaryDirectory()
    with folder as store:
        for name, dataset in find_sets(given.set or SETS, samples).items():
            scenes = open_scenes(name, dataset, samples, Path(store), options)
            for row in cases(scenes, 2 if given.quick else given.halves, given.seed):
                rows.append(row)
                if given.json:
                    given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(summary(rows))


if __name__ == "__main__":
    main()
