"""How the frames of an arm lie in its videos: in a row, or apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Frames = Mapping[str, Sequence[int]]
"""Indices of the frames of each video that are labelled."""


def in_a_row(frames: Frames) -> bool:
    """Return whether the frames of every video follow each other, two or more in some video.

    Example:
        >>> in_a_row({"a": [3, 4, 5], "b": [0]}), in_a_row({"a": [0, 2]}), in_a_row({"a": [0]})
        (True, False, False)
    """
    lists = [set(indices) for indices in frames.values() if indices]
    rows = all(max(own) - min(own) == len(own) - 1 for own in lists)
    return rows and any(len(own) > 1 for own in lists)


def outreached(frames: Mapping[str, Frames], costs: Mapping[str, float]) -> dict[str, list[str]]:
    """Return for each arm that lies in a row those that reach further with no more labels, apart.

    Args:
        frames: of each arm.
        costs: labels that each arm needs, in any unit.

    Example:
        >>> taken = {"first": range(20), "every 20th": range(0, 400, 20), "all": range(400)}
        >>> costs = {"first": 20, "every 20th": 20, "all": 400}
        >>> outreached({arm: {"video": own} for arm, own in taken.items()}, costs)
        {'first': ['every 20th']}
    """
    found = {
        arm: [
            other
            for other, theirs in frames.items()
            if costs[other] <= costs[arm] and not in_a_row(theirs) and _reaches(theirs, own)
        ]
        for arm, own in frames.items()
        if in_a_row(own)
    }
    return {arm: others for arm, others in found.items() if others}


def _reaches(theirs: Frames, own: Frames) -> bool:
    """Return whether frames of the same videos reach over longer stretches, taken together."""
    return _videos(theirs) == _videos(own) and _stretch(theirs) > _stretch(own)


def _videos(frames: Frames) -> set[str]:
    return {video for video, indices in frames.items() if indices}


def _stretch(frames: Frames) -> int:
    return sum(max(indices) - min(indices) for indices in frames.values() if indices)
