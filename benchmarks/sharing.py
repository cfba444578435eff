"""What a suite saves: Tables I-II of the paper as one suite, and as separate runs.

The shipped suite ``paper`` without its noisy arms: arms 1, 20, 1by20 and 400, pixel_svm and sgd at
their defaults, leave-one-group-out. Three ways, each from nothing, one thread:

* ``suite``: with one store, as ``vidseg suite`` does it, its plan and its record included;
* ``stores``: a ``vidseg run --no-refit`` for each arm and classifier, each in a process of its own
  with a fresh store of its own: its folds share frames and features, the runs share nothing;
* ``nothing``: the same runs, and the store keeps nothing: whatever is needed again is decoded and
  computed again, in every epoch.

    python -m benchmarks.sharing --quick
    python -m benchmarks.sharing [--extractor vgg16 squeezenet] [--videos 3] [--frames 40]
                                 [--size 96x54] [--rounds 3] [--bare-rounds 1] [--json FILE]
                                 [--samples FOLDER]

Real MOT sequences cut to their first frames (generated videos where there are none). CPU seconds
of the process and its children, after imports; not MLflow, not the report. Ways are interleaved;
medians over rounds. All ways must give the same counts, bit by bit, for every cell.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import _ways
from benchmarks._frames import Bench
from benchmarks._markdown import table
from benchmarks._samples import samples_folder
from vidseg.errors import DataError

WAYS = {
    "suite": "the suite",
    "stores": "separate runs, a store each",
    "nothing": "separate runs, nothing kept",
}
PARTS = _ways.SECTIONS
ARMS = ("1", "20", "1by20", "400")
"""Of Tables I and II. The noisy arms belong to Tables III and IV."""
QUICK: dict[str, Any] = {
    "extractor": ["filters"], "videos": 2, "frames": 6, "size": "48x32", "rounds": 1,
    "arms": ("1", "1by20"),
}  # fmt: skip
Job = dict[str, Any]
Row = dict[str, Any]


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="filters, tiny frames, two arms: seconds"
    )
    parser.add_argument(
        "--extractor",
        nargs="+",
        choices=("vgg16", "squeezenet", "filters"),
        default=["vgg16", "squeezenet"],
    )
    parser.add_argument("--videos", type=int, default=3, help="the first sequences, at most")
    parser.add_argument("--frames", type=int, default=40, help="at most, of each sequence")
    parser.add_argument("--size", default="96x54", help="of images and masks")
    parser.add_argument("--rounds", type=int, default=3, help="of the suite and of the stores")
    parser.add_argument("--bare-rounds", type=int, default=1, help="in which nothing is kept")
    parser.add_argument("--json", type=Path, help="where to write every measurement")
    parser.add_argument("--samples", help="folder of real samples (else VIDSEG_SAMPLES)")
    given = parser.parse_args()
    vars(given).update(QUICK if given.quick else {"arms": ARMS})
    return given


def main() -> None:
    """Run the benchmark and print its table."""
    given = options()
    with tempfile.TemporaryDirectory(prefix="sharing-benchmark-") as folder:
        bench = Bench(samples_folder(given.samples).resolve(), Path(folder))
        dataset = videos(bench, given)
        rows = []
        for row in measurements(bench, dataset, given):
            rows.append(row)
            print(line(row), flush=True)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1))
    print("\n" + report(rows))


def videos(bench: Bench, given: argparse.Namespace) -> str:
    """Return the spec of the data set: real sequences, cut, or generated ones."""
    if bench.real:
        folder = _ways.cut(bench.samples / "mot", bench.store / "mot", given.videos, given.frames)
        print(f"Real MOT sequences, their first {given.frames} frames, {given.size}.", flush=True)
        return f"mot:{folder}"
    print(f"GENERATED videos (no real samples found), {given.size}.", flush=True)
    return f"synthetic:videos={given.videos},frames={given.frames},size={given.size}"


def measurements(bench: Bench, dataset: str, given: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each extractor, round and way.

    Raises:
        DataError: two ways gave a cell other counts.
    """
    common = {"dataset": dataset, "size": given.size, "arms": given.arms}
    for turn in range(max(given.rounds, given.bare_rounds)):
        for name in given.extractor:
            chosen, label = extractor(bench, name)
            cells: dict[str, str] = {}
            for way in WAYS:
                if turn < (given.bare_rounds if way == "nothing" else given.rounds):
                    job = common | {"extractor": chosen, "way": way}
                    found = total([in_process(job | {"part": part}) for part in parts(job)])
                    if (cells := cells or found["cells"]) != found.pop("cells"):
                        raise DataError("the ways do not agree", where=f"{name}, {way}")
                    yield {"extractor": label, "way": way, "turn": turn, **found}


def extractor(bench: Bench, name: str) -> tuple[Job, str]:
    """Return the spec of an extractor, and what the table calls it."""
    if name == "filters":
        return {"use": "filters"}, name
    handle, weights = bench.extractor(name)
    spec = {"use": "torchvision", "model": handle.model, "weights": handle.weights}
    return spec, f"{name}, {weights}"


def parts(job: Job) -> list[str]:
    """Return what each process of a way does: everything, or one setting."""
    return ["all"] if job["way"] == "suite" else list(_ways.configurations(job))


def total(found: Sequence[Row]) -> Row:
    """Add up the parts of a way."""
    return {
        "forwards": sum(part["forwards"] for part in found),
        "seconds": {name: sum(part["seconds"][name] for part in found) for name in PARTS},
        "cells": {key: counts for part in found for key, counts in part["cells"].items()},
    }


def in_process(job: Job) -> Row:
    """Measure a part in a process of its own, which has imported everything already."""
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["benchmarks._ways"])
    receive, send = start.Pipe(duplex=False)
    child = start.Process(target=_ways.measure, args=(job, send))
    child.start()
    send.close()
    found: Row = receive.recv()
    child.join()
    return found


def line(row: Mapping[str, Any]) -> str:
    """Return one measurement in a line."""
    spent = ", ".join(f"{name} {row['seconds'][name]:.1f}" for name in PARTS)
    whole = sum(row["seconds"].values())
    head = f"round {row['turn'] + 1}, {row['extractor']}, {WAYS[row['way']]}"
    return f"{head}: {row['forwards']:,} forwards, {whole:.1f} CPU seconds ({spent})"


def report(rows: Sequence[Row]) -> str:
    """Return the table: medians over rounds, and the share of each way that the suite takes."""
    lines = []
    for extractor in dict.fromkeys(row["extractor"] for row in rows):
        mine = [row for row in rows if row["extractor"] == extractor]
        suite = median(spent(mine, "suite"))
        for way, text in WAYS.items():
            found = spent(mine, way)
            if found:
                own = [row for row in mine if row["way"] == way]
                split = [median(row["seconds"][name] for row in own) for name in PARTS]
                reach = f"{min(found):.0f} to {max(found):.0f}" if len(found) > 1 else "once"
                lines.append([
                    extractor, text, f"{own[0]['forwards']:,}", *(f"{one:.0f}" for one in split),
                    f"{median(found):.0f} ({reach})", f"{suite / median(found):.2f}",
                ])  # fmt: skip
    head = ["extractor", "", "extractor forwards", *(f"s {name}" for name in PARTS), "s in all"]
    return table([*head, "suite / this"], lines)


def spent(rows: Sequence[Row], way: str) -> list[float]:
    """Return all CPU seconds of a way, by round."""
    return [sum(row["seconds"].values()) for row in rows if row["way"] == way]


if __name__ == "__main__":
    main()
