"""Is it the same scene? Versions of real scenes, and pairs of different ones, by two checks.

Hits: of each scene the versions that circulate (compressed again, half size, brightened, 10 %
cropped, mirrored, the second half of the take). False alarms: all pairs of different scenes. The
checks are the local features of :mod:`vidseg.datasets.near_duplicates` and, for comparison, the
difference hash (N. Krawetz, 2013) that is usual for this, at 8 of 64 bits.

    python -m benchmarks.duplicates --quick
    python -m benchmarks.duplicates --json FILE
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from vidseg.utils.threads import configure_threads

configure_threads()

from benchmarks._markdown import table
from benchmarks._samples import samples_folder
from benchmarks._versions import VERSIONS
from vidseg.datasets.descriptors import Descriptors, describe
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.datasets.near_duplicates import compare_all
from vidseg.datasets.shortlist import Shortlist
from vidseg.datasets.synthetic import Synthetic
from vidseg.types import Image, Video

NEAR_BITS = 8
"""Frames look alike to the hash when at most so many of 64 bits differ."""
LATER = "second half"
PLACES = Path("vidseg/datasets/virat_groups.csv")


class Scene(NamedTuple):
    """A scene: its name, what place it is known to show, and the frames of a take."""

    name: str
    place: str
    frames: list[Image]


class Look(NamedTuple):
    """What the two checks see of a take."""

    features: list[Descriptors]
    hashes: list[int]


def scenes(samples: Path, quick: bool, count: int) -> Iterator[Scene]:
    """Yield the scenes: real ones where the samples are, and generated ones."""
    yield from map(taken, Synthetic(videos=count, frames=40, size="320x180").videos())
    if quick or not samples.is_dir():
        return
    videos: list[Video] = [*Mot(str(samples / "mot")).videos()]
    for folder in ("persons-masks", "vehicles-masks"):
        videos += Masks(str(samples / folder), void=[128]).videos()
    videos += Masks(str(samples / "davis")).videos()
    yield from map(taken, videos)
    rows = (Path(__file__).parents[1] / PLACES).read_text(encoding="utf-8").splitlines()[1:]
    for sequence, _, scene, _ in (row.split(",", 3) for row in rows):
        picture = cv2.imread(str(samples / "virat-aerial" / f"{sequence}.jpg"))
        yield Scene(f"virat-{sequence}", scene, [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)])


def taken(video: Video) -> Scene:
    """Return up to 41 frames, evenly spaced, of a video: its take."""
    length = video.probe().length
    wanted = sorted({round(at) for at in np.linspace(0, length - 1, min(41, length))})
    return Scene(video.name, video.name, [frame.copy() for frame in video.frames(wanted)])


def compared(frames: Sequence[Image]) -> list[Image]:
    """Return the frames of a take at 10, 50 and 90 %."""
    places = {round(share * (len(frames) - 1)) for share in (0.1, 0.5, 0.9)}
    return [frames[place] for place in sorted(places)]


def look(frames: Sequence[Image]) -> Look:
    """Return what is seen in compared frames."""
    return Look([describe(frame) for frame in frames], [difference_hash(f) for f in frames])


def difference_hash(image: Image) -> int:
    """Return 64 bits: is a cell of the 8x9 thumbnail brighter than its left neighbour."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    thumb = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    bits = np.packbits((thumb[:, 1:] > thumb[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def by_hash(one: Look, other: Look) -> str:
    """Return ``listed`` where two frames are near by their hashes; it never merged."""
    bits = min((a ^ b).bit_count() for a in one.hashes for b in other.hashes)
    return "listed" if bits <= NEAR_BITS else ""


def by_features(one: Look, other: Look) -> str:
    """Return ``merged``, ``listed`` or nothing."""
    found = compare_all(one.features, other.features)[0]
    return "merged" if found.same_place else "listed" if found.listed else ""


CHECKS: dict[str, Callable[[Look, Look], str]] = {"hash": by_hash, "features": by_features}


def measure(samples: Path, quick: bool, count: int = 16) -> dict[str, Any]:
    """Return counts of each check by version, for different scenes, and what it cost."""
    takes = list(scenes(samples, quick, count))
    start = time.process_time()
    looks = [look(compared(take.frames)) for take in takes]
    described = (time.process_time() - start) / len(takes)
    rows, versions = [], []
    for name, make in VERSIONS.items():
        clips = [i for i, take in enumerate(takes) if len(take.frames) > 1 or name != LATER]
        made = [(i, look(_version(name, make, takes[i].frames))) for i in clips]
        versions += made
        rows.append(_row(name, [(looks[i], other) for i, other in made]))
    pairs = list(itertools.combinations(range(len(takes)), 2))
    known = [p for p in pairs if takes[p[0]].place == takes[p[1]].place]
    different = [pair for pair in pairs if pair not in set(known)]
    start = time.process_time()
    rows.append(_row("different scenes", [(looks[a], looks[b]) for a, b in different]))
    matched = (time.process_time() - start) / max(1, len(different))
    if known:
        rows.append(_row("one place, other views", [(looks[a], looks[b]) for a, b in known]))
    everything = [*looks, *(other for _, other in versions)]
    shortlist = set(Shortlist([each.features for each in everything]).pairs())
    true = [(i, len(looks) + place) for place, (i, _) in enumerate(versions)]
    return {
        "scenes": len(takes),
        "rows": rows,
        "seconds": {"video": described, "pair": matched},
        "shortlist": {
            "sets": len(everything),
            "versions": len(true),
            "versions kept": sum(pair in shortlist for pair in true),
            "different": len(different),
            "different kept": sum(pair in shortlist for pair in different),
        },
    }


def _version(
    name: str, make: Callable[[Sequence[Image]], list[Image]], frames: Sequence[Image]
) -> list[Image]:
    """Return the compared frames of a version of a take."""
    return compared(make(frames)) if name == LATER else make(compared(frames))


def _row(what: str, pairs: Sequence[tuple[Look, Look]]) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "pairs": len(pairs)}
    for name, check in CHECKS.items():
        found = [check(one, other) for one, other in pairs]
        row[name] = {verdict: found.count(verdict) for verdict in ("merged", "listed")}
    return row


def report(result: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    head = ["", "pairs", "hash: listed", "features: merged", "features: listed"]
    rows = [
        [r["what"], r["pairs"], r["hash"]["listed"], *r["features"].values()]
        for r in result["rows"]
    ]
    cost, kept = result["seconds"], result["shortlist"]
    return "\n".join(
        [
            f"{result['scenes']} scenes",
            "",
            table(head, rows),
            f"CPU: {1e3 * cost['video']:.0f} ms a video, {1e3 * cost['pair']:.0f} ms a pair. "
            f"A shortlist of {kept['sets']} takes kept {kept['versions kept']} of "
            f"{kept['versions']} versions and {kept['different kept']} of {kept['different']} "
            "pairs of different scenes.",
        ]
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="six generated scenes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts")
    parser.add_argument("--samples", metavar="FOLDER", help="real samples")
    arguments = parser.parse_args()
    result = measure(
        samples_folder(arguments.samples), arguments.quick, 6 if arguments.quick else 16
    )
    print(report(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
