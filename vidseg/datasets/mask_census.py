"""What values mask files hold, with shares: files that mean something else than they seem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidseg.datasets.mask_meaning import Meaning
from vidseg.errors import DataError
from vidseg.media.mask_file import MaskFile, colour_name, decode_mask
from vidseg.tasks.segmentation.rasterise import FOREGROUND
from vidseg.utils.stop import check_stop
from vidseg.utils.text import plural

_SMOOTHED = 8
"""More grey values than this are told to be smoothed; instances of a frame are seldom as many."""


class MaskFinding(NamedTuple):
    """One thing about the values.

    Attributes:
        wrong: True where the reading contradicts what the file seems to mean.
        text: what, with shares.
    """

    wrong: bool
    text: str


@dataclass
class Census:
    """What was found in some mask files.

    Attributes:
        masks: number of files.
        grey, indices: pixels by grey value, and by palette index.
        palette: colour of each index.
        full: files of which every pixel is foreground.
        alpha: files whose alpha varies.
        lossy: files in a format that changes values.
        turned: files with an EXIF orientation.
    """

    masks: int = 0
    grey: Counter[int] = field(default_factory=Counter)
    indices: Counter[int] = field(default_factory=Counter)
    palette: dict[int, int] = field(default_factory=dict)
    full: int = 0
    alpha: int = 0
    lossy: int = 0
    turned: int = 0

    @classmethod
    def of(cls, files: Iterable[Path], meaning: Meaning) -> Census:
        """Look at files; those that cannot be read are left out: reading them refuses them."""
        census = cls()
        for file in files:
            check_stop()
            try:
                mask = decode_mask(file)
                drawn = meaning.read(mask, file)
            except DataError:
                continue
            census._add(mask, full=bool((drawn == FOREGROUND).all()))
        return census

    def _add(self, mask: MaskFile, *, full: bool) -> None:
        self.masks += 1
        self.full += full
        self.alpha += mask.alpha is not None and bool(np.ptp(mask.alpha))
        self.lossy += mask.lossy
        self.turned += mask.orientation != 1
        if mask.values is None:
            return
        values, counts = np.unique(mask.values, return_counts=True)
        found = dict(zip(values.tolist(), counts.tolist(), strict=True))
        (self.grey if mask.palette is None else self.indices).update(found)
        if mask.palette is not None:
            used = (value for value in found if value < len(mask.palette))
            self.palette |= {value: int(mask.palette[value]) for value in used}

    def findings(self, meaning: Meaning) -> list[MaskFinding]:
        """Return what the user should know of the values, given how they are read."""
        found = []
        if not meaning.told:
            found += [*self._of_grey(meaning.void or ()), *self._of_palette()]
        if self.masks and self.full == self.masks:
            found.append(MaskFinding(True, f"{self._every('mask')} all foreground{self._values()}"))
        if self.alpha and not meaning.alpha:
            text = f"alpha varies in {self._part(self.alpha)} and is not read: is the mask in it?"
            found.append(MaskFinding(False, f"{text} alpha=true reads it"))
        return found

    def _of_grey(self, void: Collection[int]) -> list[MaskFinding]:
        if len(set(self.grey) - set(void)) <= 2:
            return []
        which = "all but 0 and void are" if void else "all but 0 are"
        text = f"{len(self.grey)} grey values ({_shares(self.grey)}): {which} foreground"
        if self.lossy or len(self.grey) > _SMOOTHED:
            how = f"{self._part(self.lossy)} in JPEG" if self.lossy else "smoothed edges?"
            text += f"; {how}; threshold=128 cuts in the middle"
        elif not void:
            text += "; void= and foreground= say otherwise"
        return [MaskFinding(bool(self.lossy), text)]

    def _of_palette(self) -> list[MaskFinding]:
        first = self.palette.get(0)
        if first in (None, 0):
            return []
        black = [index for index, colour in self.palette.items() if colour == 0]
        text = f"palette index 0 is {colour_name(first or 0)} ({_share(self.indices, 0)})"
        if black:
            text += f", index {black[0]} is black ({_share(self.indices, black[0])})"
        others = sorted(set(self.indices) - {0})
        hint = "index 0 is read as background, all others as foreground; foreground=[+0]"
        return [MaskFinding(bool(black and others), f"{text}: {hint} reads it the other way")]

    def _values(self) -> str:
        counts = self.indices or self.grey
        if not counts:
            return ""
        kind = "indices" if self.indices else "values"
        return f" ({kind} {_shares(counts)}); foreground= names those that are"

    def _every(self, noun: str) -> str:
        are = "is" if self.masks == 1 else "are"
        return f"the {self.masks} {plural(noun, self.masks)} looked at {are}"

    def _part(self, count: int) -> str:
        return f"{count} of {self.masks} {plural('mask', self.masks)}"


def _share(counts: Counter[int], value: int) -> str:
    return f"{counts[value] / counts.total():.1%}"


def _shares(counts: Counter[int], most: int = 4) -> str:
    """Return the most frequent values with their shares, and the rest as a whole."""
    common = counts.most_common(most)
    shown = ", ".join(f"{value} {_share(counts, value)}" for value, _ in sorted(common))
    rest = counts.total() - sum(count for _, count in common)
    if len(counts) > most:
        shown += f", {len(counts) - most} others {rest / counts.total():.1%}"
    return shown
