"""Does the advice pay? Derived on half of the scenes, followed on the other half.

The scenes of a set are divided at random, many times. On each half a suite is run as
``vidseg suite`` does it, on nothing but the half's own scenes, and its report gives the advice.
What is followed on the other half is scored by that half's own suite, so no model was trained on
the scenes that score it. Regret is the score of the arm that is best on the other half, seen
afterwards, minus the score of the arm that was followed. Each division gives two cases.

Other rules (``_rules.py``) are given the same halves. Where the report shows an arm all of them
take it: they differ in what is not shown. Beside them stand the arms, each always taken. "At equal
labels" is a rule's regret beyond that of arms drawn without looking, with fixed chances, at the
same mean number of labels (the best such draw, seen afterwards): below 0 looking pays. Standard
errors are of the spread over divisions; these share scenes, so a new set differs by more.

    python -m benchmarks.regret --quick
    python -m benchmarks.regret --halves 20 --json seen.json
    python -m benchmarks.regret --rows seen.json
    python -m benchmarks.regret --simulate 200
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from pathlib import Path
from statistics import mean
from typing import Any

from vidseg.utils.threads import configure_threads

configure_threads()

import numpy as np

from benchmarks import _truths
from benchmarks._followed import case, summary, taken
from benchmarks._rules import RULES, Seen
from benchmarks._samples import samples_folder
from benchmarks._scenes import SETS as ALL_SETS
from benchmarks._scenes import extractor, find_sets
from vidseg.errors import DataError
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_dataset, open_experiment, open_extractor
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.report import Report, build
from vidseg.report.spacing import outreached
from vidseg.stats import Standing, smallest_groups
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
GRID = [0.01, 0.1, 1, 10, 100]
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
    """Open a set with the suite that is run on its halves.

    Args:
        name: of the set.
        dataset: what it is opened with.
        samples: where weights are looked for.
        folder: of store and ledger.
        options: of the suite; ``classifier`` and ``tune`` are those of its pipeline.
    """
    arms = {arm: {"sampler": sampler} for arm, sampler in ARMS.items()}
    common = {"extractor": extractor(samples), "classifier": "pixel_svm:C=1"}
    common |= {key: options[key] for key in ("classifier", "tune") if key in options}
    options = {key: value for key, value in options.items() if key not in common}
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


def divisions(groups: Sequence[str], number: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Return distinct divisions into halves in random order, at most so many."""
    size = len(groups) // 2
    every = [
        (list(half), [group for group in groups if group not in half])
        for half in combinations(groups, size)
        if 2 * size < len(groups) or groups[0] in half
    ]
    order = np.random.default_rng(seed).permutation(len(every))[:number]
    return [every[place] for place in order]


def record(scenes: Scenes, halves: int, seed: int) -> Iterator[Row]:
    """Yield for each random division what was seen on each half."""
    for number, division in enumerate(divisions(scenes.groups, halves, seed)):
        seen = [recorded(scenes.report(half)) for half in division]
        yield {"set": scenes.name, "division": number, "halves": seen}


def recorded(report: Report) -> Row:
    """Return what a suite has seen: its advice, and of each arm frames of a video and scores."""
    videos = len(report.dataset["videos"])
    lists = {one.arm: report.frames_of(one.name) or {} for one in report.settings}
    chosen, decision = report.chosen, report.decision
    return {
        "standing": str(decision.standing.value) if decision else "none",
        "advice": chosen.arm if chosen else None,
        "delta": report.delta,
        "further": outreached(lists, {one.arm: one.labelled for one in report.settings}),
        "arms": {
            one.arm: {
                "frames": one.labelled / videos,
                "gap": _gap(report, lists[one.arm]),
                "scores": one.groups,
            }
            for one in report.settings
        },
        "within": [[a, b] for a, b in permutations(lists, 2) if _within(lists[a], lists[b])],
    }


def _gap(report: Report, frames: Mapping[str, Sequence[int]]) -> float:
    """Return the mean distance of a video's frames from the nearest of those that are labelled."""
    rows = [row for row in report.dataset["videos"] if frames.get(str(row["video"]))]
    found = [
        abs(np.arange(row["frames"])[:, None] - frames[str(row["video"])]).min(axis=1).mean()
        for row in rows
    ]
    return float(np.mean(found))


def _within(own: Mapping[str, Sequence[int]], other: Mapping[str, Sequence[int]]) -> bool:
    return all(set(frames) <= set(other.get(video, ())) for video, frames in own.items())


def cases(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield two cases for each division: what one half advises, followed on the other."""
    for row in rows:
        for own, other in (row["halves"], row["halves"][::-1]):
            yield row | {"standing": own["standing"], "followed": followed(own, other)}


def followed(own: Row, other: Row) -> Row:
    """Return what each rule costs that is given one half and followed on the other.

    Where the report shows an arm every rule takes it; where it has no advice none takes any.
    """
    arms = list(own["arms"])
    rules = {"the advice": own["advice"]} if own["advice"] else {}
    if own["standing"] == Standing.SHOWN:
        rules |= dict.fromkeys(RULES, own["advice"])
    elif rules:
        rules |= taken(_seen(own), own["delta"], arms)
    scores = {arm: mean(_defined(one).values()) for arm, one in other["arms"].items()}
    return case(rules, scores, {arm: one["frames"] for arm, one in other["arms"].items()})


def _seen(half: Row) -> Seen:
    arms = half["arms"]
    groups = sorted(set.intersection(*(set(_defined(one)) for one in arms.values())))
    return Seen(
        np.array([one["frames"] for one in arms.values()]),
        np.array([[one["scores"][group] for one in arms.values()] for group in groups]),
        np.array([one["gap"] for one in arms.values()]),
        np.array([[[a, b] in half["within"] for b in arms] for a in arms]),
        np.array([[b in half["further"].get(a, ()) for b in arms] for a in arms]),
    )


def _defined(arm: Row) -> dict[str, float]:
    return {group: score for group, score in arm["scores"].items() if score is not None}


def _level(groups: int) -> float:
    """Return the highest level that half of so many scenes can reach."""
    return next((v for v in LEVELS if groups // 2 >= smallest_groups(v)), LEVELS[-1])


def simulated(number: int, seed: int, delta: float = 0.01) -> Iterator[Row]:
    """Yield cases whose truth is known, so many of each; regret is that of the true means."""
    rng = np.random.default_rng(seed)
    arms = list(_truths.ARMS)
    frames = {arm: own for arm, (own, _) in _truths.ARMS.items()}
    for truth in _truths.truths():
        scores = dict(zip(arms, truth.means.tolist(), strict=True))
        name = f"simulated, 20 in a row worth {truth.in_a_row:g}"
        for place in range(number):
            rules = taken(truth.seen(rng), delta, arms)
            yield {"set": name, "division": place, "followed": case(rules, scores, frames)}


def main() -> None:
    """Follow the advice on every set, or on simulated suites, and print the table."""
    given = _parser().parse_args()
    if given.simulate:
        print(summary(list(simulated(given.simulate, given.seed))))
        return
    if given.rows:
        read = (json.loads(path.read_text(encoding="utf-8")) for path in given.rows)
        print(summary(list(cases(row for rows in read for row in rows))))
        return
    rows: list[Row] = []
    folder = nullcontext(given.store) if given.store else tempfile.TemporaryDirectory()
    samples = samples_folder(os.devnull if given.quick else given.samples)
    with folder as store:
        for name, dataset in find_sets(given.set or SETS, samples).items():
            scenes = open_scenes(name, dataset, samples, Path(store), _options(given))
            for row in record(scenes, 2 if given.quick else given.halves, given.seed):
                rows.append(row)
                if given.json:
                    given.json.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    print(summary(list(cases(rows))))


def _options(given: argparse.Namespace) -> Row:
    tuned = {"classifier": "pixel_svm", "tune": {"C": GRID}}
    return {
        "image_size": "48x32" if given.quick else given.size,
        "split": "k-fold:k=2" if given.quick else given.split,
        "test_stride": given.stride,
        **(tuned if given.C == "tuned" else {"classifier": f"pixel_svm:C={given.C}"}),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", help="folder of real samples")
    parser.add_argument("--halves", type=int, default=20, help="random divisions of each set")
    parser.add_argument("--size", default="64x48", help="of images and masks")
    parser.add_argument("--C", default="1", help="of the SVM, or 'tuned': each arm at its own best")
    parser.add_argument("--split", default="leave-one-group-out", help="inside each half")
    parser.add_argument("--stride", type=int, default=20, help="every so many test frames")
    parser.add_argument("--set", action="append", choices=tuple(ALL_SETS), help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, help="keep features and fits here")
    parser.add_argument("--quick", action="store_true", help="two divisions, generated videos")
    parser.add_argument("--json", type=Path, help="write what was seen on each half here too")
    parser.add_argument("--rows", type=Path, nargs="+", help="compare the rules on such files")
    parser.add_argument("--simulate", type=int, help="so many suites of each known truth instead")
    return parser


if __name__ == "__main__":
    main()
