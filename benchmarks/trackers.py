"""Human boxes and milliseconds of every tracker and method, on real sequences.

    python -m benchmarks.trackers [--quick] [--json FILE] [--tracker SPEC] [--samples FOLDER]

Truth is replayed as the human (``vidseg.labels.replay``): on the MOT sequences a box is wrong
below an IoU of 0.5, on the DAVIS objects (the box around the mask) below 0.7. ``forward`` is the
paper's way, the others begin with a key box every 40 frames and mend the worst frame of each gap.
The AUC says how well the doubt of a box, and the tracker's own confidence, find the boxes that are
wrong in the first gaps. Times are of one thread, for boxes of three sizes. CSRT and KCF take part
where OpenCV has them: run this in an environment of its own, with opencv-contrib-python instead of
opencv-python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks._markdown import table
from benchmarks._samples import samples_folder
from vidseg import plugins
from vidseg.datasets.synthetic import Synthetic
from vidseg.labels.replay import KnownRuns, Rules, Tally, first_gaps, replay_forward, replay_keys
from vidseg.labels.true_tracks import Truth, read_truth
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.boxes import iou
from vidseg.trackers.fill import fill
from vidseg.trackers.opencv import offered
from vidseg.types import Box, Image, Video
from vidseg.utils.progress import Quiet

METHODS = ("forward", "linear", "blend", "auto")
SIDES = (24, 96, 256)
"""Heights of the boxes that are timed, in pixels."""
Row = dict[str, Any]


class Kept:
    """A video whose frames are decoded once."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._frames: dict[int, Image] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._video, name)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames, from memory where they were read before."""
        for index in indices:
            if index not in self._frames:
                (self._frames[index],) = self._video.frames([index])
            yield self._frames[index]


def data(quick: bool, samples: Path) -> dict[str, tuple[list[Truth], Rules]]:
    """Return truths and rules by name; generated ones where it has to be quick."""
    if quick:
        videos = Synthetic(videos=1, frames=12, size="160x90").videos()
        return {"generated": ([read_truth(video) for video in videos], Rules(0.5, 8))}
    mot = plugins.create("dataset", {"use": "mot", "path": str(samples / "mot")})
    davis = plugins.create("dataset", {"use": "masks", "path": str(samples / "davis")})
    cars = plugins.create(
        "dataset",
        {
            "use": "masks",
            "path": str(samples / "vehicles-masks"),
            "void": [128],
            "include": ["car-*", "drift-*"],
        },
    )
    one = [read_truth(Kept(video), "one") for video in [*davis.videos(), *cars.videos()]]
    return {
        "MOT": ([read_truth(Kept(video)) for video in mot.videos()], Rules(0.5)),
        "DAVIS": (one, Rules(0.7)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a generated video: does it work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    parser.add_argument("--tracker", action="append", metavar="SPEC", help="may be repeated")
    parser.add_argument("--samples", metavar="FOLDER", help="real samples")
    given = parser.parse_args()
    single_thread()
    specs = given.tracker or trackers(given.quick)
    truths = data(given.quick, samples_folder(given.samples))
    rows = [row for name, (own, rules) in truths.items() for row in costs(name, own, rules, specs)]
    times = [speed(spec, frames=4 if given.quick else 30) for spec in specs]
    show(rows, times)
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "times": times}, indent=1) + "\n")


def trackers(quick: bool) -> list[str]:
    """Return the specs to measure."""
    own = ["still", "lk", "dsst"]
    if quick:
        return own[:2]
    more = [name for name in ("KCF", "CSRT") if name in offered()]
    return own + [f"opencv:{name}" for name in more]


def single_thread() -> None:
    """Let OpenCV use one thread: others work beside us."""
    import cv2

    cv2.setNumThreads(1)


def costs(name: str, truths: list[Truth], rules: Rules, specs: list[str]) -> list[Row]:
    """Return a row for each tracker and method."""
    rows = []
    for spec in specs:
        source, known = TrackerSource.of(spec), [KnownRuns() for _ in truths]
        for method in METHODS:
            total = Tally()
            for truth, runs in zip(truths, known, strict=True):
                if method == "forward":
                    total += replay_forward(truth, source, rules, Quiet())
                else:
                    total += replay_keys(truth, source, method, "truth", rules, Quiet(), runs)
            rows.append(
                {
                    "data": name,
                    "tracker": spec,
                    "method": method,
                    "boxes": 100 * total.drawn / total.frames,
                    "iou": total.overlap / total.frames,
                    "auc": None,
                }
            )
            print(*rows[-1].values(), file=sys.stderr, flush=True)
        rows[-1] |= doubts(truths, rules, known)
    return rows


def doubts(truths: list[Truth], rules: Rules, known: list[KnownRuns]) -> Row:
    """Return the AUC of the doubt of ``auto``, and of the confidence, in the first gaps."""
    doubt, sure, wrong = [], [], []
    for truth, runs in zip(truths, known, strict=True):
        for gap in first_gaps(truth, rules.every)[0]:
            found, track = runs.held[gap], truth.tracks[gap.track]
            filled = fill(gap, found)
            true = track.boxes[gap.first - track.first : gap.last + 1 - track.first]
            wrong += list(iou(filled.boxes, true)[1:-1] < rules.threshold)
            doubt += list(filled.doubt[1:-1])
            sure += list(-found.confidence.max(axis=0)[1:-1])
    return {"auc": auc(doubt, wrong), "auc of confidence": auc(sure, wrong)}


def auc(values: list[float], wrong: list[bool]) -> float | None:
    """Return the area under the ROC curve; None without both kinds."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, values)) if 0 < sum(wrong) < len(wrong) else None


def speed(spec: str, frames: int, rounds: int = 3) -> Row:
    """Return the milliseconds of an update by the box's height, on generated 1280x720 frames.

    The best of ``rounds``: others work on the machine.
    """
    (video,) = Synthetic(videos=1, frames=frames + 1, size="1280x720", figures=3).videos()
    images = list(video.frames(range(frames + 1)))
    row: Row = {"tracker": spec}
    for side in SIDES:
        box = 600.0, 300.0, side * 0.4, float(side)
        row[f"{side} px"] = min(_update_ms(spec, images, box) for _ in range(rounds))
    return row


def _update_ms(spec: str, images: list[Image], box: Box) -> float:
    one = TrackerSource.of(spec)()
    one.start(images[0], box)
    begun = time.thread_time()
    for image in images[1:]:
        one.update(image)
    return 1000 * (time.thread_time() - begun) / (len(images) - 1)


def show(rows: list[Row], times: list[Row]) -> None:
    """Print Markdown tables."""
    head = ["data", "tracker", "method", "boxes per 100", "IoU", "AUC of doubt", "of confidence"]
    print(table(head, [_cells(row) for row in rows]))
    sides = [f"{side} px" for side in SIDES]
    lines = [[row["tracker"], *(f"{row[side]:.1f}" for side in sides)] for row in times]
    print(table(["ms an update", *sides], lines))


def _cells(row: Row) -> list[str]:
    areas = [row.get("auc"), row.get("auc of confidence")]
    shown = ["" if area is None else f"{area:.2f}" for area in areas]
    numbers = [f"{row['boxes']:.1f}", f"{row['iou']:.2f}"]
    return [row["data"], row["tracker"], row["method"], *numbers, *shown]


if __name__ == "__main__":
    main()
