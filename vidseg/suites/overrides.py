"""Values of a suite file that the command line changes: ``--set arms.20.sampler=20:short=all``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidseg.errors import UsageError
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.yaml import scalar

EVERY = "*"


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Read ``--set key=value`` options; values are YAML scalars, ``[a,b]`` lists, or specs.

    Raises:
        UsageError: an item without ``=``.
    """
    found = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{item!r} is not key=value", where="--set", hint="write delta=0.02")
        found[key.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [scalar(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    return scalar(text)


def override(data: dict[str, Any], key: str, value: Any) -> list[str]:
    """Set a value by its dotted path; ``*`` stands for every key of a mapping.

    Names may hold dots themselves: of the keys with which the path goes on, the longest is taken.

    Args:
        data: the file's content, changed in place.
        key: the path, such as ``pipelines.*.classifier``.
        value: the new value.

    Returns:
        The paths that were set.

    Raises:
        UsageError: the path leads through something that is not there or not a mapping.
    """
    return _set(data, key, value, key, [])


def _set(place: dict[str, Any], path: str, value: Any, whole: str, above: list[str]) -> list[str]:
    names = {str(name): name for name in place}
    if path in names or path == EVERY or "." not in path:
        last = list(names) if path == EVERY else [path]
        for one in last:
            place[names.get(one, one)] = value
        return [".".join([*above, one]) for one in last]
    chosen, rest = _descend(names, path, whole)
    found = []
    for name in chosen:
        below = place[names[name]]
        if not isinstance(below, dict):
            raise UsageError(
                f"{whole!r} leads through {name!r}, which is {below!r} and holds no keys",
                where="--set",
                hint=f"set {'.'.join([*above, name])} as a whole",
            )
        found += _set(below, rest, value, whole, [*above, name])
    return found


def _descend(names: dict[str, Any], path: str, whole: str) -> tuple[list[str], str]:
    """Return the keys to go into, and the rest of the path."""
    if path.startswith(f"{EVERY}."):
        return list(names), path[len(EVERY) + 1 :]
    begun = [name for name in names if path.startswith(f"{name}.")]
    if begun:
        name = max(begun, key=len)
        return [name], path[len(name) + 1 :]
    head = path.partition(".")[0]
    raise UsageError(
        f"there is no {head!r} on the way to {whole!r}",
        where="--set",
        hint=f"{did_you_mean(head, names)}there is {', '.join(names) or 'nothing'}",
    )
