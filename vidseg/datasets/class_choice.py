"""Which classes of a data set are foreground: the options ``classes`` and ``ignore_classes``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vidseg.datasets.base import ClassCount
from vidseg.errors import UsageError
from vidseg.utils.suggest import nearest

ClassNames = tuple[str | int, ...]
"""Names or numbers of classes. A number that is no class's number is taken as a name."""


@dataclass(frozen=True)
class ClassChoice:
    """What the classes of a data set count as.

    Attributes:
        names: name of each class by its number in the file.
        foreground: numbers of the classes that are foreground.
        ignored: numbers of those that count neither as foreground nor as background.
    """

    names: Mapping[int, str]
    foreground: frozenset[int]
    ignored: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls,
        names: Mapping[int, str],
        classes: ClassNames = (),
        ignore_classes: ClassNames = (),
        *,
        where: str,
    ) -> ClassChoice:
        """Return the choice that these options make; without ``classes`` all others are foreground.

        Args:
            names: name of each class by its number in the file.
            classes: names or numbers.
            ignore_classes: names or numbers.
            where: what an error names, such as ``"yolo:data.yaml"``.

        Raises:
            UsageError: there is no such class, or one is foreground and ignored.
        """
        ignored = frozenset(_numbers(names, ignore_classes, f"{where},ignore_classes"))
        wanted = frozenset(_numbers(names, classes, f"{where},classes"))
        if both := wanted & ignored:
            raise UsageError(
                f"class {names[min(both)]!r} is both foreground and ignored",
                where=where,
                hint="name it once",
            )
        return cls(names, wanted if classes else frozenset(names) - ignored, ignored)

    def value(self, number: int) -> int:
        """Return what a class counts as: 1 foreground, 0 ignored, -1 background."""
        if number in self.foreground:
            return 1
        return 0 if number in self.ignored else -1

    def use(self, number: int) -> str:
        """Return the same as a word for tables."""
        return {1: "foreground", 0: "ignored", -1: "background"}[self.value(number)]

    def counted(self, shapes: Iterable[tuple[int, object]]) -> list[ClassCount]:
        """Return how often each class occurs.

        Args:
            shapes: class number and frame of each box, polygon or mask.
        """
        boxes: Counter[int] = Counter()
        frames: dict[int, set[object]] = {number: set() for number in self.names}
        for number, frame in shapes:
            boxes[number] += 1
            frames[number].add(frame)
        return [
            ClassCount(name, number, boxes[number], len(frames[number]), self.use(number))
            for number, name in self.names.items()
        ]

    def foreground_note(self, counts: Iterable[ClassCount]) -> list[str]:
        """Return that all classes that occur are foreground, where they are several."""
        there = [one.name for one in counts if one.boxes and one.use == "foreground"]
        shown = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
        return [f"all classes are foreground ({shown}); classes= chooses"] * (len(there) > 1)

    def notes(self) -> list[str]:
        """Return that several classes have one name, which is no fault but rarely meant."""
        counts = Counter(self.names.values())
        return [
            f"classes {_listed(n for n, own in self.names.items() if own == name)} are all called "
            f"{name!r}: the name stands for all of them"
            for name, count in counts.items()
            if count > 1
        ]


def _numbers(names: Mapping[int, str], wanted: ClassNames, where: str) -> list[int]:
    return [number for one in wanted for number in _matches(names, one, where)]


def _matches(names: Mapping[int, str], wanted: str | int, where: str) -> list[int]:
    if wanted in names:
        return [int(wanted)]
    text = str(wanted)
    for fold in (str, str.casefold):
        if found := [number for number, name in names.items() if fold(name) == fold(text)]:
            return found
    known = list(dict.fromkeys(names.values()))
    close = nearest(text, known)
    guess = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(f"{name} ({number})" for number, name in list(names.items())[:20])
    more = ", ..." if len(names) > 20 else ""
    raise UsageError(
        f"there is no class {text!r}", where=where, hint=f"{guess}there are {shown}{more}"
    )


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))
