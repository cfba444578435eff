"""The known names nearest to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return up to ``count`` of the known names, the one most like ``name`` first."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'NAME'? "`` with the known name nearest to ``name``, or ``""``."""
    close = nearest(name, known)
    return f"did you mean {close[0]!r}? " if close else ""
