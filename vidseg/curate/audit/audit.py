"""An audit: the split, what leaks, a picture of the worst pairs, a split without, its price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.curate.audit.given import GivenSplit
from vidseg.curate.audit.leaks import Leak, Leaks, Reason, read_picture
from vidseg.curate.audit.price import Price
from vidseg.errors import DataError
from vidseg.media.contact_sheet import TILE, captioned, in_rows
from vidseg.media.resize import resize
from vidseg.types import Image, Size
from vidseg.utils.text import plural

MOST_SHOWN = 12
"""Pairs on the picture."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        split: the split as it was found.
        found: which test pictures were seen in training.
        disjoint: side of each picture in a split without leaks; None where there are too few
            scenes.
        price: what the leaks add to the score; None where it was not asked for.
    """

    split: GivenSplit
    found: Leaks
    disjoint: tuple[str, ...] | None
    price: Price | None = None

    @property
    def pairs(self) -> int:
        """Number of test pictures that were seen in training."""
        return len(self.found.leaks)

    @property
    def scenes(self) -> int:
        """Number of scenes."""
        return len(set(self.found.scenes))

    def lines(self) -> list[str]:
        """Return the findings as text."""
        split, train = self.split, self.split.sides[0]
        counts = Counter(picture.side for picture in split.pictures)
        sides = ", ".join(f"{side} {counts[side]}" for side in split.sides)
        held = sum(counts.values()) - counts[train]
        videos = len(self.found.videos)
        lines = [
            f"{len(split.pictures)} pictures ({sides}) of {videos} {plural('video', videos)} and "
            f"{self.scenes} {plural('scene', self.scenes)}",
            f"{self.pairs} of {held} test pictures were seen in training ({train})",
        ]
        reasons = Counter(leak.reason for leak in self.found.leaks)
        lines += [f"  {reasons[reason]:6d}  {_why(reason, self.found.leaks)}" for reason in reasons]
        if self.disjoint is not None and self.pairs:
            moved = Counter(self.disjoint)
            shares = ", ".join(f"{side} {moved[side]}" for side in split.sides)
            lines.append(f"without a scene on two sides: {shares}")
        elif self.pairs:
            scenes = f"{self.scenes} {plural('scene', self.scenes)}"
            lines.append(f"no split without leaks: {scenes} for {len(split.sides)} sides")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        pictures = self.split.pictures
        return {
            "kind": self.split.kind,
            "sides": list(self.split.sides),
            "pictures": len(pictures),
            "videos": len(self.found.videos),
            "scenes": self.scenes,
            "pairs": [
                {
                    "test": str(pictures[leak.held].file),
                    "train": str(pictures[leak.train].file),
                    "reason": leak.reason.value,
                    "apart": leak.apart,
                }
                for leak in self.found.leaks
            ],
            "price": None
            if self.price is None
            else vars(self.price) | {"points": self.price.points},
        }


def _why(reason: Reason, leaks: Sequence[Leak]) -> str:
    own = sorted(leak.apart for leak in leaks if leak.reason is reason and leak.apart is not None)
    if reason is Reason.VIDEO and own:
        median = own[len(own) // 2]
        return f"{reason.value}, {median} {plural('frame', median)} apart (median)"
    return str(reason.value)


def worst_pairs(audit: Audit) -> list[Leak]:
    """Return the surest leaks, of as many videos as there are: a copy, then the nearest frame."""
    order = list(Reason)
    ranked = sorted(
        audit.found.leaks,
        key=lambda leak: (order.index(leak.reason), leak.apart or 0, leak.held),
    )
    video = {p: v.name for v in audit.found.videos for p in v.pictures}
    turn: Counter[str] = Counter()
    keyed: list[tuple[int, int, Leak]] = []
    for leak in ranked:
        keyed.append((turn[video[leak.held]], len(keyed), leak))
        turn[video[leak.held]] += 1
    return [leak for _, _, leak in sorted(keyed)[:MOST_SHOWN]]


def draw_pairs(audit: Audit) -> Image:
    """Return a picture of the worst pairs, ``uint8 (H, W, 3)``: test, then training picture.

    Raises:
        DataError: there is no pair.
    """
    tiles = []
    for leak in worst_pairs(audit):
        for picture, what in ((leak.held, leak.detail), (leak.train, "")):
            own = audit.split.pictures[picture]
            tiles.append(_tile(own.file, f"{own.side}: {own.file.name}  {what}"))
    if not tiles:
        raise DataError("no test picture was seen in training: there is nothing to draw")
    return in_rows(tiles)


def _tile(file: Path, caption: str) -> Image:
    image = read_picture(file)
    height, width = image.shape[:2]
    return captioned(resize(image, Size(max(1, round(height * TILE / width)), TILE)), caption)
