"""What the values, palette indices or colours of a mask file mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from vidseg.errors import DataError, UsageError
from vidseg.media.mask_file import Colours, MaskFile, Values, colour_name
from vidseg.types import Mask
from vidseg.utils.suggest import did_you_mean

Value = Annotated[int, Field(ge=0, le=65535)] | Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
"""A grey value, a palette index, or a colour such as ``#ff0000``."""

_VOID_INDEX = 255
_BACKGROUND = 0x000000
LABELMAP = "labelmap.txt"


@dataclass(frozen=True, repr=False)
class Meaning:
    """What a mask file means; see :class:`vidseg.datasets.masks.Masks` for the defaults.

    Attributes:
        foreground, void: values or indices.
        threshold: values from it on are foreground.
        alpha: the values are those of the alpha channel.
        colours, void_colours: 0xRRGGBB; None where colours are not asked for.
        known: colours that may occur; None: any, and what is not named is background.
        colour_files_only: grey and palette files are read by their values all the same.
    """

    foreground: tuple[int, ...] | None
    void: tuple[int, ...] | None
    threshold: int | None = None
    alpha: bool = False
    colours: tuple[int, ...] | None = None
    void_colours: tuple[int, ...] = ()
    known: tuple[int, ...] | None = None
    colour_files_only: bool = False

    def __repr__(self) -> str:
        """Return what is in label keys: what is not used is not in it."""
        given = f"Meaning(foreground={self.foreground}, void={self.void}"
        more = [
            f"{name}={getattr(self, name)}"
            for name in ("threshold", "alpha", "colours", "void_colours", "known")
            if getattr(self, name) not in (None, False, ())
        ]
        return f"{', '.join([given, *more])})"

    @property
    def told(self) -> bool:
        """Whether the options say what is foreground."""
        by_colour = self.colours is not None and not self.colour_files_only
        return self.foreground is not None or self.threshold is not None or by_colour

    @classmethod
    def of(
        cls,
        foreground: Sequence[int | str] | None,
        void: Sequence[int | str] | None,
        *,
        threshold: int | None = None,
        alpha: bool = False,
        where: str,
    ) -> Meaning:
        """Return the meaning that these options of a plugin give.

        Raises:
            UsageError: a value is foreground and void, or they are said in two ways.
        """
        both = sorted(map(str, set(foreground or ()) & set(void or ())))
        if both:
            raise UsageError(f"{both[0]} is both foreground and void", where=where)
        if threshold is not None and foreground is not None:
            raise UsageError("foreground and threshold are one or the other", where=where)
        given = [*(foreground or ()), *(void or ())]
        named = [one for one in given if isinstance(one, str)]
        if not named:
            return cls(_numbers(foreground), _numbers(void), threshold, alpha)
        if len(named) < len(given) or foreground is None:
            raise UsageError(
                "foreground and void are both colours or both values", where=where, hint="name both"
            )
        colours = tuple(_colour(str(one)) for one in foreground)
        return cls(None, None, None, alpha, colours, tuple(_colour(str(v)) for v in void or ()))

    def read(self, mask: MaskFile, file: Path) -> Mask:
        """Return ``int8 (H, W)`` in {-1, 0, +1}.

        Raises:
            DataError: colours where values are needed, a colour that is none of the known, or no
                alpha channel.
        """
        if self.alpha:
            if mask.alpha is None:
                raise DataError("has no alpha channel", where=file, hint="leave alpha out")
            return self._by_value(mask.alpha.astype(np.uint16), palette=False)
        by_colour = mask.values is None or not self.colour_files_only
        if self.colours is not None and by_colour:
            return self._by_colour(mask.all_colours(), self.colours, file)
        if mask.values is None:
            raise _no_values(mask.all_colours(), file)
        return self._by_value(mask.values, palette=mask.palette is not None)

    def _by_value(self, values: Values, *, palette: bool) -> Mask:
        meaning = np.full(65536, -1, np.int8)
        if self.foreground is None:
            meaning[self.threshold or 1 :] = 1
        default = (_VOID_INDEX,) if palette and self.threshold is None else ()
        meaning[list(default if self.void is None else self.void)] = 0
        if self.foreground is not None:
            meaning[list(self.foreground)] = 1
        return np.asarray(meaning[values], np.int8)

    def _by_colour(self, found: Colours, foreground: tuple[int, ...], file: Path) -> Mask:
        if self.known is not None:
            strange = ~np.isin(found, self.known)
            if strange.any():
                raise DataError(
                    f"colour {colour_name(int(found[strange][0]))} is not in {LABELMAP} "
                    f"({strange.mean():.1%} of the pixels)",
                    where=file,
                    hint="store masks without smoothing or compression, or name it there",
                )
        mask = np.where(np.isin(found, foreground), 1, -1).astype(np.int8)
        mask[np.isin(found, self.void_colours)] = 0
        return mask


def _numbers(values: Sequence[int | str] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(int(value) for value in values)


def _colour(text: str) -> int:
    return int(text[1:], 16)


def _no_values(colours: Colours, file: Path) -> DataError:
    found, counts = np.unique(colours, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(
        f"{colour_name(int(found[at]))} {counts[at] / colours.size:.1%}" for at in order[:4]
    )
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    which = next((int(found[at]) for at in order if found[at] != _BACKGROUND), 0)
    return DataError(
        f"is a colour picture, not a mask of values (colours {shown}{more})",
        where=file,
        hint=f'say which colour is foreground, such as foreground="{colour_name(which)}", or put '
        f"CVAT's {LABELMAP} beside the folders",
    )


def read_labelmap(file: Path) -> dict[str, int]:
    """Return the colour of each label in CVAT's ``labelmap.txt``: ``name:r,g,b:parts:actions``.

    Raises:
        DataError: a malformed line, or two labels of one colour or name; names the line.
    """
    labels: dict[str, int] = {}
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        levels = rest.partition(":")[0].split(",")
        if len(levels) != 3 or not all(v.strip().isdigit() and int(v) < 256 for v in levels):
            _refuse_line(file, number, f"not name:r,g,b:parts:actions: {line[:60]!r}")
        red, green, blue = (int(level) for level in levels)
        colour = red << 16 | green << 8 | blue
        if name in labels or colour in labels.values():
            _refuse_line(file, number, f"{name!r} or its colour is there twice")
        labels[name] = colour
    return labels


def _refuse_line(file: Path, number: int, what: str) -> None:
    raise DataError(what, where=f"{file}:{number}", hint="export it again")


def by_labelmap(file: Path, classes: Sequence[str], meaning: Meaning) -> tuple[Meaning, str]:
    """Return the meaning of the colours of a label map, and a note that says it.

    Args:
        file: the label map.
        classes: labels that are foreground; without them all but black.
        meaning: of the options, which says nothing of colours.

    Raises:
        DataError: there is no such label, or the file is malformed.
    """
    labels = read_labelmap(file)
    absent = [name for name in classes if name not in labels]
    if absent:
        raise DataError(
            f"no label is called {absent[0]!r}",
            where=file,
            hint=did_you_mean(absent[0], labels) or f"it has {', '.join(labels)}",
        )
    wanted = list(classes) or [name for name, colour in labels.items() if colour != _BACKGROUND]
    read = Meaning(
        meaning.foreground,
        meaning.void,
        meaning.threshold,
        meaning.alpha,
        colours=tuple(labels[name] for name in wanted),
        known=(*labels.values(), _BACKGROUND),
        colour_files_only=not classes,
    )
    return read, f"foreground in colours is {', '.join(wanted)} ({LABELMAP})"
