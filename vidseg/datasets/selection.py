"""Which sequences of a data set are used: ``include`` and ``exclude``, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from vidseg.errors import UsageError
from vidseg.utils.suggest import did_you_mean

Item = TypeVar("Item")
Patterns = tuple[str | int, ...]
"""Names, or patterns with ``*``, ``?`` and ``[...]``; a name of digits may come as a number."""


@dataclass(frozen=True)
class Selection:
    """Sequence names that are wanted.

    Attributes:
        include: patterns; without any, every name is wanted.
        exclude: patterns of names that are not.
        where: what an error names, such as ``"mot:MOT16/train"``.
    """

    include: Patterns
    exclude: Patterns
    where: str

    def of(self, items: Sequence[Item], name: Callable[[Item], str]) -> list[Item]:
        """Return the wanted items, in their order.

        Raises:
            UsageError: a pattern fits no name (a misspelt one must not be ignored), or
                nothing is left.
        """
        names = [name(item) for item in items]
        for option, patterns in (("include", self.include), ("exclude", self.exclude)):
            for pattern in map(str, patterns):
                if not any(fnmatchcase(each, pattern) for each in names):
                    self._refuse(option, pattern, names)
        chosen = [item for item, each in zip(items, names, strict=True) if self._wants(each)]
        if not chosen:
            raise UsageError(
                f"include and exclude leave none of {len(names)} sequences", where=self.where
            )
        return chosen

    def _wants(self, name: str) -> bool:
        wanted = not self.include or _fits(name, self.include)
        return wanted and not _fits(name, self.exclude)

    def _refuse(self, option: str, pattern: str, names: Sequence[str]) -> None:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise UsageError(
            f"{option}={pattern} fits no sequence",
            where=self.where,
            hint=f"{did_you_mean(pattern, names)}there are {shown}",
        )


def _fits(name: str, patterns: Patterns) -> bool:
    return any(fnmatchcase(name, str(pattern)) for pattern in patterns)
