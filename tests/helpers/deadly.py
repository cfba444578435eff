"""What workers of the executors' tests do; a module of its own, so that they start quickly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def deadly(task: dict[str, Any]) -> dict[str, Any]:
    """Note that the task was begun, and do what it says."""
    folder = Path(task["folder"])
    begun = len(list(folder.glob(f"{task['name']}.*")))
    (folder / f"{task['name']}.{begun}.{os.getpid()}").touch()
    match task["do"]:
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
    return {"failures": {}, "forwards": begun, "fatal": None}
