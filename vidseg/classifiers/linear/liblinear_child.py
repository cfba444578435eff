"""Runs liblinear on a file of points; started by ``liblinear`` as a process of its own.

liblinear ignores Ctrl-C while it trains, and may be killed by the system for its memory: neither
should end the experiment. The script needs no vidseg and is run with ``-P``, for the
module ``liblinear`` beside it is not the package of that name.

Reads ``job.json``, ``points.f32`` and ``labels.i8`` in the folder that is its argument; writes
``result.npz``: ``weights`` (dimensions,), ``bias``, ``peak_bytes``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np


def leave_with_parent() -> None:
    """End this process when the parent's end of the pipe closes, however the parent died."""

    def watch() -> None:
        # not sys.stdin: its lock, held here, would abort the interpreter's own end
        os.read(0, 1)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def read_problem(folder: Path, bias: float) -> Any:
    """Return liblinear's problem; the points are mapped, so only its own nodes take memory."""
    # liblinear would compile its loop over rows for seconds; over numpy slices it takes one
    sys.modules["numba"] = None  # type: ignore[assignment]
    from liblinear.liblinear import problem
    from scipy.sparse import csr_matrix

    labels = np.fromfile(folder / "labels.i8", np.int8)
    values = np.memmap(folder / "points.f32", np.float32, mode="r")
    count, width = len(labels), len(values) // len(labels)
    columns = np.tile(np.arange(width, dtype=np.int32), count)
    points = csr_matrix((values, columns, np.arange(count + 1) * width), shape=(count, width))
    return problem(labels.astype(np.float64), points, bias)


def peak_bytes() -> int:
    """Return the largest resident memory so far, 0 where the system has no such figure."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(folder: Path) -> None:
    """Train as ``job.json`` says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    leave_with_parent()
    job = json.loads((folder / "job.json").read_text())
    points = read_problem(folder, job["bias"])
    from liblinear.liblinearutil import train

    model = train(points, " ".join(job["options"]))
    weights, bias = model.get_decfun()
    # liblinear's positive class is the label that it met first
    sign = 1.0 if model.get_labels()[0] == 1 else -1.0
    result = {"weights": sign * np.array(weights), "bias": sign * bias, "peak_bytes": peak_bytes()}
    np.savez(folder / "result.npz", **result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
