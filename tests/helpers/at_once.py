"""Starts several equal suites in the same instant, again and again; run as a script.

A command takes seconds to import what it needs, which would spread the starts. So this process
imports it once, and forks the commands, which wait for a pipe to be closed.

Arguments: how many commands start at once, then a folder for each trial. It holds ``tiny.yaml`` and
``mlflow.db``; command ``i`` writes ``out-i.txt`` and ``report-i``. Printed are the exit codes.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

MODULES = (
    "vidseg.cli.main",
    "vidseg.cli.suite",
    "vidseg.suites.engine",
    "vidseg.tracking.suite",
    "vidseg.report",
    "vidseg.extractors.filters",
    "vidseg.classifiers.linear.sgd",
    "vidseg.datasets.synthetic",
    "mlflow.store.tracking.sqlalchemy_store",
    "torch",
)


def begin(folder: Path, number: int, pipe: tuple[int, int]) -> int:
    """Fork a command that begins when the last writing end of the pipe is closed; return its id."""
    if child := os.fork():
        return child
    code = 70
    try:
        os.chdir(folder)
        output = os.open(f"out-{number}.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["VIDSEG_STORE"] = str(folder / "store")
        os.environ["VIDSEG_LEDGER"] = str(folder / "ledger")
        os.close(pipe[1])
        os.read(pipe[0], 1)
        words = ["suite", "tiny.yaml", "--output", f"report-{number}"]
        importlib.import_module("vidseg.cli.main").main(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def trial(folder: Path, count: int) -> list[int]:
    """Run commands at once; return their exit codes."""
    pipe = os.pipe()
    children = [begin(folder, number, pipe) for number in range(count)]
    for end in pipe:
        os.close(end)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    from vidseg.tracking.store import load_mlflow
    from vidseg.utils.threads import configure_threads

    configure_threads()
    load_mlflow()
    for module in MODULES:
        importlib.import_module(module)
    for name in sys.argv[2:]:
        print(*trial(Path(name), int(sys.argv[1])), flush=True)
