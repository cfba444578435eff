"""The suites gain-curve, iso-budget and leakage on generated videos whose answer is known.

``motion`` of the generator says how much new a frame brings. At 0 a video is one still picture:
more frames add nothing, only new videos help, and a split by frame tests on what was trained on. At
2 every frame is an independent scene: a frame of a new video is worth exactly one more frame of an
old one, and the splits are alike. Between the two every answer has to lie between.

    python -m benchmarks.known_answers --quick
    python -m benchmarks.known_answers --json known.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vidseg.utils.threads import configure_threads

configure_threads()

from vidseg.errors import DataError
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.records import Row
from vidseg.report import Report, build
from vidseg.report.facts import finite
from vidseg.stats import Comparison
from vidseg.store import Store
from vidseg.suites.engine import run_cells
from vidseg.suites.executors.local import Local
from vidseg.suites.opened import open_suite
from vidseg.suites.plan import make_plan, waiting_cells
from vidseg.suites.record import suite_record
from vidseg.suites.suite import load_suite
from vidseg.utils.progress import Quiet
from vidseg.utils.scratch import scratch

MOTIONS = (0.0, 0.5, 1.0, 1.5, 2.0)
SMALL: dict[str, Any] = {
    # at C=1 a few scenes are all that so few features can hold, and nothing is left to be seen
    "pipelines.*.classifier": "pixel_svm:C=1e4",
    "image_size": "48x32",
    "pipelines.*.extractor": "filters:octaves=2",
    "device": "cpu",
    "threads": 1,
}
SUITES: dict[str, dict[str, Any]] = {
    "gain-curve": {
        "seeds": [0, 1],
        "arms.{frames} every {every}.matrix.every": [1],
        "arms.{frames} every {every}.videos": 2,
        "comparisons": [{"a": "1 every 1", "b": "20 every 1"}],
    },
    "iso-budget": {
        "seeds": [0, 1, 2],
        "arms.{videos} x {frames}.matrix.videos": [1, 2, 4],
        "arms.{videos} x {frames}.matrix.frames": [2, 4, 8],
        "comparisons": [{"a": "1 x 8", "b": "4 x 2"}],
    },
    "leakage": {},
}
"""What is changed in each shipped suite, beside :data:`SMALL`, so that it takes about a minute.

The gain curve trains on two videos: with seven of them one new scene from each is nearly enough
here, and nothing is left to gain."""


def answer(
    name: str,
    motion: float,
    *,
    groups: int = 8,
    frames: int = 30,
    noise: float = 3.0,
    **changes: Any,
) -> Report:
    """Run a shipped suite on generated videos and return the facts of its report.

    Args:
        name: of the suite, in :data:`SUITES`.
        motion: of the generator, 0 to 2.
        groups: number of videos, each a group.
        frames: of each video.
        noise: of the sensor, in levels of 0..255.
        changes: values by dotted path, as of ``--set``; dots are written as they are, in a mapping.

    Raises:
        DataError: a cell failed.
    """
    data = f"synthetic:videos={groups},frames={frames},size=96x64,motion={motion},noise={noise}"
    suite = load_suite(name, {**SMALL, **SUITES[name], "dataset": data, **changes})
    with scratch() as folder:
        store, ledger = Store(folder / "store"), Ledger(folder / "ledger")
        bench = open_suite(suite, store=store, ledger=ledger, progress=Quiet())
        plan = make_plan(bench, waiting_cells(bench, bench.cells))
        results = run_cells(bench, bench.cells, Local(), context={}, progress=Quiet())
        if results.failures:
            cell, error = next(iter(results.failures.items()))
            raise DataError(str(error), where=cell)
        return build(suite_record(bench, bench.cells, results, plan))


def gain(report: Report) -> Row:
    """Return what the gain curve says."""
    curve = report.curves[0]
    assert curve.fit is not None, curve.reason
    return {
        "counts": curve.counts,
        "means": curve.means,
        "shape": curve.fit.shape,
        "p_flat": curve.fit.p_value,
        "flattens_at": curve.fit.flattens_at,
        **compared(report.pairs[0].result),
    }


def exchange(report: Report) -> Row:
    """Return the exchange rate at the middle of the grid."""
    rate = report.grids[0].rate
    assert rate is not None, report.grids[0].reason
    return {
        "rate": rate.rate,
        "rate_low": rate.low,
        "rate_high": rate.high,
        "level": rate.level,
        "identified": rate.identified,
        "new_videos": rate.new_videos,
        "extra_frames": rate.extra_frames,
        "means": report.grids[0].means,
        **compared(report.pairs[0].result),
    }


def leakage(report: Report) -> Row:
    """Return by how much the splits by frame and by block of time flatter."""
    frame, block = (compared(pair.result) for pair in report.pairs)
    means = {s.arm: sum(v for v in s.groups.values() if v) / len(s.groups) for s in report.settings}
    return {"means": means, **frame, **{f"block_{key}": value for key, value in block.items()}}


def compared(result: Comparison | None) -> Row:
    """Return difference, interval and verdict of a comparison."""
    assert result is not None
    return {
        "difference": result.difference,
        "low": result.interval.low,
        "high": result.interval.high,
        "p": result.p_value,
        "verdict": str(result.verdict),
    }


FACTS: Mapping[str, Callable[[Report], Row]] = {
    "gain-curve": gain,
    "iso-budget": exchange,
    "leakage": leakage,
}


def main() -> None:
    """Run the suites and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", choices=list(SUITES), help="only this one")
    parser.add_argument("--motion", action="append", type=float, help="only this one")
    parser.add_argument("--groups", type=int, default=8, help="videos, each a group")
    parser.add_argument("--quick", action="store_true", help="the suite leakage, motion 0 and 2")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    given = parser.parse_args()
    suites = given.suite or (["leakage"] if given.quick else list(SUITES))
    motions = given.motion or ([0.0, 2.0] if given.quick else list(MOTIONS))
    rows = []
    for name in suites:
        for motion in motions:
            began = time.process_time()
            report = answer(name, motion, groups=given.groups)
            seconds = round(time.process_time() - began, 1)
            facts = finite(FACTS[name](report))
            rows.append({"suite": name, "motion": motion, **facts, "cpu_seconds": seconds})
            print(json.dumps(rows[-1]), report.sentence, sep="\n", flush=True)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
