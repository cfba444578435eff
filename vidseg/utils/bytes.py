"""Amounts of memory and disk, read and written."""

from __future__ import annotations

import re

from vidseg.errors import UsageError

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_UNITS |= {f"{unit}I": 1024**power for power, unit in enumerate("KMGT", 1)}

_SMALLEST_BARE = 10_000
"""Bytes; a smaller number without a unit is more likely one of gigabytes."""


def parse_bytes(text: str, *, where: str) -> int:
    """Read ``"20GB"``, ``"500 MB"``, ``"1.5GiB"``, ``"20B"`` or ``"1000000000"`` as bytes.

    Raises:
        UsageError: not a size, or a small number that does not say of what.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)(B?)", text.strip().upper())
    if match is None or match[2] not in _UNITS:
        raise UsageError(
            f"{text!r} is not an amount of disk", where=where, hint="write it as 20GB or 500MB"
        )
    number = float(match[1])
    if not (match[2] or match[3]) and 0 < number < _SMALLEST_BARE:
        raise UsageError(
            f"{text!r} has no unit",
            where=where,
            hint=f"write {match[1]}GB or {match[1]}MB; {match[1]}B if bytes are meant",
        )
    return int(number * _UNITS[match[2]])


def format_bytes(count: float) -> str:
    """Return an amount as it is written for :func:`parse_bytes`: ``8GB``, ``16.8MB``, ``512B``."""
    power = next((p for p in (4, 3, 2, 1) if count >= 999.5 * 1000 ** (p - 1)), 0)
    return f"{count / 1000**power:,.3g}{' KMGT'[power].strip()}B"
