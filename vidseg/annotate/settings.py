"""What the annotation page can be told: tracker, method, and when a human is asked."""

from __future__ import annotations

from typing import Any

from vidseg.errors import UsageError
from vidseg.trackers.base import TrackerSource
from vidseg.trackers.fill import DOUBTFUL, METHODS

SETTINGS: dict[str, Any] = {
    "tracker": "lk",
    "method": "auto",
    "every": 40,
    "ahead": True,
    "doubt": DOUBTFUL,
}
"""What the page begins with: tracker, method, frames from one key box to the next, whether an
object is tracked on from its last box, and the doubt above which a box is shown to the human."""


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse settings that the page cannot work with.

    Raises:
        VidsegError: an unknown name, tracker or method, or a number out of range.
    """
    unknown = settings.keys() - SETTINGS.keys()
    if unknown:
        raise UsageError(f"there is no setting {min(unknown)}")
    chosen = SETTINGS | settings
    if chosen["method"] not in METHODS:
        raise UsageError(f"there is no method {chosen['method']!r}")
    if not isinstance(chosen["ahead"], bool):
        raise UsageError("ahead is true or false")
    every, doubt = chosen["every"], chosen["doubt"]
    if not isinstance(every, int) or isinstance(every, bool) or not 1 <= every <= 10_000:
        raise UsageError(f"a box every {every!r} frames is refused; take 1 to 10000")
    if not isinstance(doubt, int | float) or not 0 <= doubt <= 1:
        raise UsageError(f"a doubt of {doubt!r} is refused; take 0 to 1")
    TrackerSource.of(str(chosen["tracker"]))
