"""Which C? The paper's four frame settings at every C of a grid, and with C chosen on inner groups.

What more frames gain depends on C, so the default must not be chosen for one of them. Leave one
group out on real sequences (generated ones where there are none), all test frames.

    python -m benchmarks.regularisation --quick
    python -m benchmarks.regularisation --size 320x180 --processes 2 --json FILE
    python -m benchmarks.regularisation --chosen --costs 0.1 1 10 100
    python -m benchmarks.regularisation --classifier sgd --costs 1 100 10000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from vidseg.utils.threads import configure_threads

configure_threads()

from benchmarks._frames import Bench
from benchmarks._markdown import table
from benchmarks._samples import samples_folder
from vidseg.experiment.config import Setting, make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import open_dataset, open_experiment
from vidseg.experiment.splits import folds
from vidseg.experiment.stages import MODEL
from vidseg.plugins.build import resolve
from vidseg.store import Store
from vidseg.utils.progress import Quiet

ARMS = ("1", "20:short=all", "1by20:short=all", "400:short=all")
COSTS = (0.01, 0.1, 1.0, 10.0, 100.0, 1e4)
GENERATED = "synthetic:videos=4,frames=24,size=96x64,motion=1.5"

Job = dict[str, Any]


@cache
def opened(place: str) -> Experiment:
    """Open the data at one size; every process does it once."""
    job = json.loads(place)
    bench = Bench(Path(job["samples"]), Path(job["store"]))
    options = {
        "dataset": {"use": "mot", "path": str(bench.samples / "mot")} if bench.real else GENERATED,
        "extractor": job["extractor"] or _extractor(bench),
        "image_size": job["size"],
        "threads": 1,
        "device": job["device"],
        "memory_budget": job["budget"],
    }
    config = make_config(options)
    store = Store(bench.store)
    return open_experiment(
        config,
        open_dataset(config.dataset, Quiet(), store.fact_cache),
        store=store,
        ledger=Ledger(bench.store / "ledger"),
        progress=Quiet(),
    )


def _extractor(bench: Bench) -> dict[str, Any] | str:
    weights = bench.samples / "weights" / "squeezenet1_1_imagenet.safetensors"
    if not (bench.real and weights.is_file()):
        return "filters:octaves=2"
    return {"use": "torchvision", "model": "squeezenet1_1", "weights": str(weights)}


def extract(job: Job) -> str:
    """Compute the features of one video into the store."""
    material = opened(job["place"]).materials[job["video"]]
    material.stored.prepare(range(material.length))
    material.stored_features.prepare(range(material.length))
    return str(job["video"])


def solve(job: Job) -> Job:
    """Fit one arm on one fold at one C (or a list of C), and return the IoU of its test group."""
    experiment = opened(job["place"])
    classifier = {"use": job["classifier"], "C": job["C"]}
    setting = Setting(resolve("sampler", job["arm"]), resolve("classifier", classifier))
    fold = folds(experiment.config.split, experiment.groups, 0)[job["fold"]]
    cpu, wall = time.process_time(), time.perf_counter()
    fitted = experiment.fit(setting, fold, "")
    seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    rows = experiment.score({MODEL: fitted}, fold, "")[MODEL].counts[MODEL]
    facts = {"C": job["C"], "passes": float("nan")} | fitted.facts
    facts = {name: facts[name] for name in ("C", "passes", "train_frames")}
    scores = {row.video: row.scores()["iou"] for row in rows}
    return {"arm": job["arm"], "asked": job["C"], "scores": scores, **seconds, **facts}


def jobs(
    place: str, classifier: str, arms: Sequence[str], costs: Sequence[float], chosen: bool
) -> list[Job]:
    """Return all fits, the largest first: they would else be what is waited for."""
    experiment = opened(place)
    count = len(folds(experiment.config.split, experiment.groups, 0))
    asked: list[Any] = [list(costs)] if chosen else sorted(costs, reverse=True)
    return [
        {"place": place, "classifier": classifier, "arm": arm, "C": cost, "fold": fold}
        for arm in reversed(arms)
        for cost in asked
        for fold in range(count)
    ]


def run(place: str, todo: Sequence[Job], processes: int) -> Iterable[Job]:
    """Yield what each fit found, as it ends."""
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=start) as pool:
        videos = list(opened(place).materials)
        list(pool.map(extract, [{"place": place, "video": video} for video in videos]))
        for done in as_completed([pool.submit(solve, job) for job in todo]):
            yield done.result()


def summary(rows: Sequence[Job]) -> str:
    """Return mean IoU and each video's, by arm and C, as a Markdown table."""
    names = sorted(rows[0]["scores"] | {v: 0 for row in rows for v in row["scores"]})
    lines = []
    for arm in dict.fromkeys(sorted((row["arm"] for row in rows), key=_place)):
        ours = [row for row in rows if row["arm"] == arm]
        for asked in sorted({_grid(row) for row in ours}):
            own = sorted((r for r in ours if _grid(r) == asked), key=lambda r: list(r["scores"]))
            scores = {video: iou for row in own for video, iou in row["scores"].items()}
            used = "/".join(dict.fromkeys(f"{row['C']:g}" for row in own))
            lines.append([
                arm.split(":")[0], used, f"{100 * mean(scores.values()):.1f}",
                *(f"{100 * scores[n]:.1f}" if n in scores else "" for n in names),
                f"{mean(r['cpu'] for r in own):.1f}", f"{mean(r['wall'] for r in own):.1f}",
                f"{mean(r['passes'] for r in own):.0f}",
            ])  # fmt: skip
    head = ["setting", "C", "IoU %", *names, "CPU s a fit", "s a fit", "readings"]
    return table(head, lines)


def _grid(row: Job) -> tuple[float, ...]:
    """Return the values of C that were asked for."""
    asked = row["asked"]
    return tuple(asked) if isinstance(asked, list) else (asked,)


def _place(arm: str) -> int:
    return ARMS.index(arm) if arm in ARMS else len(ARMS)


def main() -> None:
    """Run all fits and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", help="folder of real samples")
    parser.add_argument("--size", default="160x90", help="of images and masks")
    parser.add_argument("--costs", type=float, nargs="+", default=list(COSTS), help="the grid")
    parser.add_argument("--extractor", help="by default SqueezeNet on real videos, else filters")
    parser.add_argument("--classifier", default="pixel_svm", help="a linear one")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), help="samplers")
    parser.add_argument("--chosen", action="store_true", help="C from the grid, on inner groups")
    parser.add_argument("--processes", type=int, default=1, help="fits at a time")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--budget", default="8GB", help="memory of a fit")
    parser.add_argument("--store", type=Path, help="keep features and fits here")
    parser.add_argument("--quick", action="store_true", help="two settings, two C, tiny frames")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    if given.quick:
        given.samples, given.size, given.arms, given.costs = os.devnull, "48x32", ARMS[:2], [1, 100]
    folder = nullcontext(given.store) if given.store else tempfile.TemporaryDirectory()
    rows: list[Job] = []
    with folder as store:
        place = json.dumps({
            "samples": str(samples_folder(given.samples)), "store": str(store),
            "size": given.size, "device": given.device, "budget": given.budget,
            "extractor": given.extractor,
        })  # fmt: skip
        todo = jobs(place, given.classifier, given.arms, given.costs, given.chosen)
        for row in run(place, todo, given.processes):
            rows.append(row)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{given.size}, {given.device}\n\n{summary(rows)}")


if __name__ == "__main__":
    main()
