"""Words in messages."""

from __future__ import annotations


def plural(noun: str, count: float | str) -> str:
    """Return ``noun`` as it stands beside a count: ``1 frame``, ``0.5 frames``, ``2 boxes``."""
    if str(count) in ("1", "1.0"):
        return noun
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"
