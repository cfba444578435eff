"""vidseg: should we label and train on every frame of a video, or on key frames?

``vidseg.run`` trains one pipeline on one frame setting and scores it; ``vidseg.run_suite`` runs a
whole protocol and reports what it means. What is named in ``__all__`` is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidseg.api.annotate import propagate, simulate_annotator
    from vidseg.api.convert import convert
    from vidseg.api.curate import audit, select
    from vidseg.api.data import export, list_plugins, open_dataset, open_model, predict
    from vidseg.api.results import RunResult, SuiteResult
    from vidseg.api.runs import run
    from vidseg.api.suites import rebuild_report, run_suite
    from vidseg.curate.audit.audit import Audit
    from vidseg.curate.selection import Selection
    from vidseg.errors import (
        DataError,
        PluginError,
        ResourceError,
        Stopped,
        StoreError,
        TrackingError,
        UnreachableError,
        UsageError,
        VidsegError,
    )
    from vidseg.types import FrameRef, Head, Labels, Network, Size, TrainingSet, Video, VideoInfo
    from vidseg.utils.progress import Progress

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "DataError",
    "FrameRef",
    "Head",
    "Labels",
    "Network",
    "PluginError",
    "Progress",
    "ResourceError",
    "RunResult",
    "Selection",
    "Size",
    "Stopped",
    "StoreError",
    "SuiteResult",
    "TrackingError",
    "TrainingSet",
    "UnreachableError",
    "UsageError",
    "Video",
    "VideoInfo",
    "VidsegError",
    "__version__",
    "audit",
    "convert",
    "export",
    "list_plugins",
    "open_dataset",
    "open_model",
    "predict",
    "propagate",
    "rebuild_report",
    "run",
    "run_suite",
    "select",
    "simulate_annotator",
]

_HOMES = {
    "vidseg.api.annotate": "propagate simulate_annotator",
    "vidseg.api.convert": "convert",
    "vidseg.api.curate": "audit select",
    "vidseg.api.data": "export list_plugins open_dataset open_model predict",
    "vidseg.api.results": "RunResult SuiteResult",
    "vidseg.api.runs": "run",
    "vidseg.api.suites": "rebuild_report run_suite",
    "vidseg.curate.audit.audit": "Audit",
    "vidseg.curate.selection": "Selection",
    "vidseg.errors": "DataError PluginError ResourceError Stopped StoreError TrackingError "
    "UnreachableError UsageError VidsegError",
    "vidseg.types": "FrameRef Head Labels Network Size TrainingSet Video VideoInfo",
    "vidseg.utils.progress": "Progress",
}
"""Where the names are that are imported when they are used."""


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names.split()), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
