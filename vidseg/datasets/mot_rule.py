"""What the rows of a MOT box file mean: foreground, ignored, background."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.datasets.base import VideoBoxes
from vidseg.datasets.mot_rows import ACTIVE, BOX, CLASS, ID, VISIBILITY, BoxRows
from vidseg.errors import DataError, UsageError
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.text import escaped, plural

_DISTRACTORS = (2, 7, 8, 12)
"""Person on a vehicle, static person, distractor, reflection: whether a tracker finds them or not
counts for nothing in MOT16 and MOT17 (TrackEval, ``mot_challenge_2d_box.py``)."""
_MOT20_DISTRACTORS = (*_DISTRACTORS, 6)
"""MOT20 has non-motorised vehicles too."""

_MOT16_NAMES = (
    "pedestrian,person_on_vehicle,car,bicycle,motorbike,non_mot_vehicle,static_person,distractor,"
    "occluder,occluder_on_ground,occluder_full,reflection,crowd"
)
_VISDRONE_NAMES = (
    "ignored_regions,pedestrian,people,bicycle,car,van,truck,tricycle,awning_tricycle,bus,motor,"
    "others"
)
_IGNORED_REGIONS = 0
"""VisDrone's category of regions in which nothing was labelled."""

Classes = tuple[int | str, ...]
IgnoreClasses = tuple[int | Literal["mot"] | str, ...]
Visibility = Annotated[float, Field(ge=0, le=1)]

ClassNames = dict[str, tuple[int, ...]]


class LabelRule(NamedTuple):
    """What the rows of a file with classes mean.

    Attributes:
        classes: boxes of these classes are foreground where column 7 is not 0; ids or names.
        ignore_classes: boxes of these classes are ignored, active or not; ``"mot"`` among them
            stands for MOTChallenge's own.
        min_visibility: foreground boxes that are visible to a smaller share are ignored, 0..1.
    """

    classes: Classes = (1,)
    ignore_classes: IgnoreClasses = ()
    min_visibility: float = 0.0

    @classmethod
    def of(
        cls, classes: Classes, ignore_classes: IgnoreClasses, min_visibility: Visibility
    ) -> LabelRule:
        """Return the rule that these options of a plugin make.

        Raises:
            UsageError: a class is foreground and ignored.
        """
        both = sorted(map(str, set(classes) & {one for one in ignore_classes if one != "mot"}))
        if both:
            raise UsageError(
                f"class {both[0]} is both foreground and ignored",
                where="ignore_classes",
                hint="name it once",
            )
        return cls(classes, ignore_classes, min_visibility)

    def foreground(self, rows: BoxRows) -> list[int]:
        """Return the ids that are foreground in a file.

        Raises:
            DataError: a name that the file does not have.
        """
        return _ids(self.classes, rows, "classes")

    def ignored(self, rows: BoxRows, sequence: str) -> list[int]:
        """Return the ids that are ignored in a file of a sequence of that name.

        Raises:
            DataError: a name that the file does not have.
        """
        named = _ids([one for one in self.ignore_classes if one != "mot"], rows, "ignore_classes")
        if "mot" not in self.ignore_classes or rows.kind == "visdrone":
            return named
        known = _MOT20_DISTRACTORS if sequence.startswith("MOT20") else _DISTRACTORS
        foreground = self.foreground(rows)
        return [*named, *(one for one in known if one not in foreground)]


def class_names(rows: BoxRows) -> ClassNames:
    """Return the ids of each class name that a file's rows may be asked for.

    ``labels.txt`` beside the file has one name a line, the first of class 1, as CVAT writes it;
    without it MOTChallenge's or VisDrone's own names hold. Names are in lower case, with
    underscores for spaces and hyphens.
    """
    if rows.kind == "mot15":
        return {"person": (1,), "pedestrian": (1,)}
    if rows.kind == "visdrone":
        return {name: (number,) for number, name in enumerate(_VISDRONE_NAMES.split(","))}
    listed = label_list(rows)
    if not listed:
        own = {name: (number,) for number, name in enumerate(_MOT16_NAMES.split(","), start=1)}
        return {**own, "person": (1,)}
    found: ClassNames = {}
    for number, name in enumerate(listed, start=1):
        found[_plain(name)] = (*found.get(_plain(name), ()), number)
    return found


def label_list(rows: BoxRows) -> list[str]:
    """Return the lines of ``labels.txt`` beside a file of classes; none where there is none."""
    beside = rows.file.parent / "labels.txt"
    if rows.kind != "mot16" or not beside.is_file() or beside == rows.file:
        return []
    text = beside.read_text(encoding="utf-8-sig", errors="replace")
    return [escaped(line.strip()) for line in text.rstrip().splitlines()]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _ids(wanted: Iterable[int | str], rows: BoxRows, option: str) -> list[int]:
    names = class_names(rows)
    found: list[int] = []
    for one in wanted:
        if isinstance(one, int) or re.fullmatch(r"-?\d+", one):
            found.append(int(one))
        elif _plain(one) in names:
            found += names[_plain(one)]
            _check_label_list(rows, one)
        else:
            raise DataError(
                f"no class is called {one!r}",
                where=f"{rows.file} ({option})",
                hint=did_you_mean(_plain(one), list(names)) or f"names are {', '.join(names)}",
            )
    return found


def _check_label_list(rows: BoxRows, name: str) -> None:
    """Refuse a name where ``labels.txt`` does not hold every class of the rows."""
    listed = label_list(rows)
    classes = rows.rows[:, CLASS]
    outside = classes[(classes < 1) | (classes > len(listed))]
    if listed and len(outside):
        raise DataError(
            f"{name!r} cannot be looked up: labels.txt has the classes 1 to {len(listed)}, but "
            f"rows have class {int(outside[0])}",
            where=rows.file,
            hint="mend labels.txt, or give classes as integers",
        )


def select_rows(
    rows: BoxRows, rule: LabelRule, index: npt.NDArray[np.int64], *, sequence: str
) -> VideoBoxes:
    """Keep the rows that are foreground or ignored.

    Args:
        rows: of a file.
        rule: what rows with classes mean; in MOT15's all are persons, conf 0 is ignored.
        index: ``int64 (n,)`` 0-based frame of each row; negative ones are dropped.
        sequence: name of the sequence.

    Raises:
        DataError: ``min_visibility`` is asked for, and the file does not state the visibility; or
            a class name that the file does not have.
    """
    wanted, ignored = meanings(rows, rule, sequence)
    kept = np.flatnonzero((wanted | ignored) & (index >= 0))
    order = kept[np.argsort(index[kept], kind="stable")]
    return VideoBoxes(
        index[order],
        rows.rows[order, ID].astype(np.int64),
        np.ascontiguousarray(rows.rows[order, BOX]),
        ignored[order],
    )


_Flags = npt.NDArray[np.bool_]


def meanings(rows: BoxRows, rule: LabelRule, sequence: str) -> tuple[_Flags, _Flags]:
    """Return which rows are foreground, and which are ignored: ``bool (n,)``, never both.

    Raises:
        DataError: as :func:`select_rows`.
    """
    table = rows.rows
    active = table[:, ACTIVE] != 0
    foreground = rule.foreground(rows)
    if rows.kind != "mot16" and rule.min_visibility > 0:
        which = "MOT15" if rows.kind == "mot15" else "VisDrone"
        _refuse_visibility(rows, f"has {which}'s 10 columns, none of them the visibility")
    if rows.kind == "mot15":
        return active, ~active
    wanted = active & np.isin(table[:, CLASS], foreground)
    ignored = np.isin(table[:, CLASS], rule.ignored(rows, sequence))
    if rows.kind == "visdrone":
        ignored |= ~active | (table[:, CLASS] == _IGNORED_REGIONS)
    elif rule.min_visibility > 0:
        ignored |= wanted & (_visibility(rows, wanted) < rule.min_visibility)
    return wanted & ~ignored, ignored


def _visibility(rows: BoxRows, wanted: _Flags) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = rows.rows[:, VISIBILITY]
    if (wanted & ((shares < 0) | (shares > 1))).any():
        _refuse_visibility(rows, "has a visibility outside 0..1")
    return shares


def _refuse_visibility(rows: BoxRows, what: str) -> None:
    raise DataError(
        what,
        where=rows.file,
        hint="leave min_visibility out, or that sequence (exclude=)",
    )


def row_notes(rows: BoxRows, rule: LabelRule, *, sequence: str) -> list[str]:
    """Return what the user should know of a file's columns: what was read as what, with counts."""
    notes = []
    if rows.kind == "visdrone":
        notes.append("the columns are VisDrone's: score 0 and category 0 are ignored")
    notes += _odd_activity(rows.rows[:, ACTIVE], rows)
    names = _named(rows, rule)
    if names:
        notes.append(names)
    wanted, _ = meanings(rows, rule, sequence)
    if not wanted.any():
        notes.append(_explain_nothing(rows))
    return notes


def _odd_activity(values: npt.NDArray[np.float64], rows: BoxRows) -> list[str]:
    odd = values[(values != 0) & (values != 1)]
    if not len(odd):
        return []
    kinds = np.unique(odd)
    shown = ", ".join(f"{value:g}" for value in kinds[:3]) + (", ..." if len(kinds) > 3 else "")
    effect = "is ignored" if rows.kind != "mot16" else "is left out"
    return [
        f"{len(odd)} of {len(values)} {plural('row', len(values))} have {shown} in column 7: they "
        f"count, only 0 {effect}"
    ]


def _named(rows: BoxRows, rule: LabelRule) -> str:
    """Return what ``labels.txt``, or VisDrone, calls the foreground; empty without names."""
    listed = label_list(rows)
    names = dict(enumerate(listed, start=1))
    if rows.kind == "visdrone":
        names = dict(enumerate(_VISDRONE_NAMES.split(",")))
    if not names:
        return ""
    ids = rule.foreground(rows)
    called = ", ".join(f"{one} ({names.get(one, 'without a name')})" for one in ids)
    others = [name for number, name in names.items() if number not in ids]
    more = f"; classes= chooses others: {', '.join(others[:6])}" if others else ""
    return f"foreground is class {called}{more}{', ...' if len(others) > 6 else ''}"


def _explain_nothing(rows: BoxRows) -> str:
    """Return why no box is foreground, with what the file has instead."""
    if not rows.rows[:, ACTIVE].any():
        effect = "leaves a box out" if rows.kind == "mot16" else "ignores a box"
        return f"no box is foreground: column 7 is 0 in every row, which {effect}"
    if rows.kind == "mot15":
        return "no box is foreground"
    ids, counts = np.unique(rows.rows[:, CLASS].astype(int), return_counts=True)
    most = ids[counts.argmax()]
    there = _list_classes(ids.tolist(), counts.tolist())
    return f"no box is foreground: {there}; choose one, such as classes={most}"


def _list_classes(ids: Sequence[int], counts: Sequence[int]) -> str:
    shown = [
        f"class {one} has {count} {plural('row', count)}"
        for one, count in zip(ids, counts, strict=True)
    ]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
