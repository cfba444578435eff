"""Where the real samples of benchmarks stand; without torch, for an environment that has none."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def samples_folder(given: str | None) -> Path:
    """Return where real samples stand: an option, ``VIDSEG_SAMPLES``, or beside the checkout."""
    named = given or os.environ.get("VIDSEG_SAMPLES")
    return Path(named) if named else ROOT.parent / "shared" / "data"
