"""Whether a score is worth talking about: is it above those of predictors that look at no shape?"""

from __future__ import annotations

from collections.abc import Mapping


def unbeaten(score: float | None, baselines: Mapping[str, float | None]) -> str | None:
    """Return the best baseline, None where the score is above it or nothing is known.

    Example:
        >>> unbeaten(0.2, {"colour": 0.3, "position": 0.25}), unbeaten(0.4, {"colour": 0.3})
        ('colour', None)
    """
    known = {kind: value for kind, value in baselines.items() if value is not None}
    if score is None or not known:
        return None
    kind = max(known, key=lambda name: known[name])
    return kind if score <= known[kind] else None
