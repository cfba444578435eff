"""Which mask file belongs to which frame: by name, else by the number in both names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from vidseg.errors import DataError
from vidseg.media.image_folder import natural_key, numbers_of


class Pairs(NamedTuple):
    """Mask files in the order of their frames.

    Attributes:
        masks: the files.
        frames: 0-based frame of each, ascending.
        notes: how they were paired, where it is not by name.
    """

    masks: tuple[Path, ...]
    frames: tuple[int, ...]
    notes: tuple[str, ...] = ()


def pair(frames: Sequence[Path], masks: Sequence[Path], folder: Path) -> Pairs:
    """Pair masks with frames; a frame may be without one.

    Names without suffix are compared; where not every mask has a frame of its name, the numbers in
    the names are, so ``0001_mask.png`` belongs to ``frame_1.jpg``.

    Args:
        frames: their files in order.
        masks: their files in order.
        folder: of the frames, named in the error.

    Raises:
        DataError: a mask without a frame.
    """
    places = {file.stem: place for place, file in enumerate(frames)}
    if all(mask.stem in places for mask in masks):
        return _sorted([(places[mask.stem], mask) for mask in masks])
    here, there = numbers_of(frames), numbers_of(masks)
    if here is not None and there is not None and set(there) <= set(here):
        at = {number: place for place, number in enumerate(here)}
        paired = _sorted([(at[number], mask) for number, mask in zip(there, masks, strict=True)])
        first = f"{paired.masks[0].name} is the mask of {frames[paired.frames[0]].name}"
        return paired._replace(notes=(f"masks are paired by the number in their names: {first}",))
    alone = [mask.stem for mask in masks if mask.stem not in places]
    names = f"masks are called like {masks[0].name}, frames like {frames[0].name}"
    raise DataError(
        f"{unpaired('masks, but no image, for frame', alone)}: {names}",
        where=folder,
        hint="give both one name, or one number",
    )


def _sorted(found: list[tuple[int, Path]]) -> Pairs:
    found.sort(key=lambda one: one[0])
    return Pairs(tuple(mask for _, mask in found), tuple(place for place, _ in found))


def refuse_alone(here: Sequence[str], there: Collection[str], place: Path, absent: str) -> None:
    """Refuse the first name that has no counterpart, and count the others.

    Raises:
        DataError: there is one.
    """
    alone = [name for name in here if name not in set(there)]
    if alone:
        raise DataError(unpaired(absent, alone), where=place)


def unpaired(absent: str, names: Sequence[str]) -> str:
    """Return what is absent for the first of the names, with the number of the others."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{absent} {min(names, key=natural_key)!r}{more}"
