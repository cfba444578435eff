"""How far the pixel SVM goes: thousands of frames from disk, in a fixed amount of memory.

Frames of real clips (filled up with generated ones), features in the store, one exact fit for each
number of frames, in a process of its own, with the files out of the page cache before it starts.

    python -m benchmarks.scale --store FOLDER [--extractor vgg16] [--frames 150 300 600 1200]
                               [--size 320x240] [--budget 8GB] [--json FILE]

The store is kept: a second start reads the features that the first one computed. Memory is the
peak of ANONYMOUS memory (RssAnon of the kernel) above that before the fit: pages of the features'
files are the kernel's to drop. Seconds are wall time; the processors' are beside them.
"""

from __future__ import annotations

import os

from vidseg.utils.threads import configure_threads

configure_threads()

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._frames import Bench
from benchmarks._markdown import table
from benchmarks._methods import Peak, cpu_seconds
from benchmarks._samples import samples_folder
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.datasets.mot import Mot
from vidseg.datasets.synthetic import Synthetic
from vidseg.errors import ResourceError
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.extractors.torchvision import Torchvision
from vidseg.store import Store
from vidseg.types import FrameRef, Size, Video
from vidseg.utils.bytes import parse_bytes

PAPER = 2400
"""Frames of the paper's setting 400: six videos."""


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True, help="folder of frames and features")
    parser.add_argument("--extractor", choices=("squeezenet", "vgg16"), default="vgg16")
    parser.add_argument("--size", default="320x240", help="of images and masks")
    parser.add_argument("--frames", type=int, nargs="+", default=[150, 300, 600, 1200])
    parser.add_argument("--budget", default="8GB", help="memory_budget of a fit")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative gap")
    parser.add_argument("--samples", help="folder of real samples (else VIDSEG_SAMPLES)")
    parser.add_argument("--json", type=Path, help="where to write every fit")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its table."""
    given = options()
    given.store.mkdir(parents=True, exist_ok=True)
    job = {
        "samples": str(samples_folder(given.samples).resolve()), "store": str(given.store),
        "extractor": given.extractor, "size": given.size, "tolerance": given.tolerance,
        "budget": parse_bytes(given.budget, where="--budget"), "most": max(given.frames),
    }  # fmt: skip
    rows: list[dict[str, float]] = []
    for frames in sorted(given.frames):
        row: dict[str, float] = {"frames": frames}
        for task in (extraction, fit):
            found = _in_process(task, job | {"frames": frames})
            row |= found
        rows.append(row)
        if given.json:
            given.json.write_text(json.dumps({"job": job, "rows": rows}, indent=1))
        print(report(rows, job), flush=True)


def report(rows: Sequence[Mapping[str, float]], job: Mapping[str, Any]) -> str:
    """Return the table, and what the paper's number of frames would take."""
    lines = [
        [
            f"{row['frames']:,.0f}", f"{row['points'] / 1e6:.1f}",
            ("memory", "memory, fp16", "disk")[int(row["data_path"])],
            f"{row['feature_bytes'] / 1e9:.1f}", f"{row['peak'] / 1e9:.2f}",
            f"{row['passes']:.0f}", f"{row['cpu']:.0f}", f"{row['wall']:.0f}",
            f"{row['wall'] / row['frames']:.3f}", f"{row['extraction']:.2f}",
            f"{row['cpu'] / row['frames'] / row['extraction']:.2f}" if row["extraction"] else "-",
        ]
        for row in rows
    ]  # fmt: skip
    head = [
        "frames", "million pixels", "features", "GB", "peak GB", "readings", "CPU s", "s",
        "s a frame", "CPU s to extract a frame", "training / extraction",
    ]  # fmt: skip
    last = rows[-1]
    share = PAPER / last["frames"]
    note = (
        f"{job['extractor']} at {job['size']}, memory_budget {job['budget'] / 1e9:.0f} GB, to a "
        f"relative gap of {job['tolerance']:g}. Extrapolated to the paper's {PAPER} frames: "
        f"{share * last['feature_bytes'] / 1e9:.0f} GB on disk, {share * last['wall'] / 60:.0f} "
        "minutes.\n"
    )
    return table(head, lines) + "\n" + note


def extraction(job: dict[str, Any], send: Connection) -> None:
    """Fill the store; send CPU seconds for each frame that was computed, 0 if there was none."""
    train, _ = training(job)
    spent, count = 0.0, 0
    for ref in train.refs:
        material = train.materials[ref.video]
        material.image(ref.index)
        had, began = material.stored_features.path(ref.index).exists(), cpu_seconds()
        train.features(ref)
        if not had:
            spent, count = spent + cpu_seconds() - began, count + 1
    send.send({"extraction": spent / count if count else 0.0})


def fit(job: dict[str, Any], send: Connection) -> None:
    """Fit once; send facts of the fit, CPU and wall seconds, and peak anonymous bytes."""
    train, handle = training(job)
    train.mask(train.refs[0])
    evict(Path(job["store"]))
    with tempfile.TemporaryDirectory(dir=job["store"]) as folder:
        ctx = FitContext(workdir=Path(folder), memory_budget=job["budget"])
        before, began, wall = anonymous(), cpu_seconds(), time.perf_counter()
        with Peak(anonymous) as peak:
            PixelSvm(tolerance=job["tolerance"]).fit(train, handle, ctx)
        seconds = {"cpu": cpu_seconds() - began, "wall": time.perf_counter() - wall}
    send.send(ctx.facts | seconds | {"peak": float(peak.bytes - before)})


def training(job: Mapping[str, Any]) -> tuple[TrainingFrames, Torchvision]:
    """Return a training set of ``job["frames"]`` frames; a smaller one is part of a larger one."""
    bench = Bench(Path(job["samples"]), Path(job["store"]))
    handle, _ = bench.extractor(job["extractor"])
    size, frozen = Size.parse(job["size"]), FrozenExtractor(handle)
    real: list[Video] = [*Mot(str(bench.samples / "mot")).videos()] if bench.real else []
    store = Store(bench.store, limit=2**50)
    videos = [*real, *Synthetic(videos=8, frames=-(-job["most"] // 8), size=str(size)).videos()]
    materials = {v.name: PreparedVideo(v, v.group, store, size, size, frozen) for v in videos}
    refs = [FrameRef(v.name, i) for v in videos for i in range(materials[v.name].length)]
    order = np.random.default_rng(0).permutation(len(refs))[: job["frames"]]
    return TrainingFrames(materials, [refs[i] for i in np.sort(order)]), handle


def evict(folder: Path) -> None:
    """Ask the kernel to forget the pages of all files of ``folder``.

    Raises:
        ResourceError: this system has no such call.
    """
    if not hasattr(os, "posix_fadvise"):
        raise ResourceError("this system cannot drop the pages of a file", where=folder)
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous() -> int:
    """Return bytes of this process that are no file's pages."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise ResourceError("this system does not tell anonymous memory", where="/proc/self/status")


def _in_process(task: Any, job: dict[str, Any]) -> dict[str, float]:
    start = multiprocessing.get_context("spawn")
    receive, send = start.Pipe(duplex=False)
    child = start.Process(target=task, args=(job, send))
    child.start()
    send.close()
    found: dict[str, float] = receive.recv()
    child.join()
    return found


if __name__ == "__main__":
    main()
