"""What workers of the executors' tests do; a module of its own, so that they start quickly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from vidseg.suites.executors.base import Job, JobResult


def deadly_job(folder: Path, name: str, do: str) -> Job:
    """Return a job for :func:`deadly`."""
    return Job({"folder": str(folder), "do": do}, "fit", (name,))


def deadly(job: Job) -> JobResult:
    """Note that the job was begun, and do what it says."""
    folder, (name,) = Path(job.context["folder"]), job.cells
    begun = len(list(folder.glob(f"{name}.*")))
    (folder / f"{name}.{begun}.{os.getpid()}").touch()
    match job.context["do"]:
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die once" if not begun:
            time.sleep(0.3)
            os._exit(3)
        case "sleep":
            time.sleep(60)
        case "work":
            time.sleep(0.05)
    return JobResult(forwards=begun)
