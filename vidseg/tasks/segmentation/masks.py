"""What training masks must hold."""

from __future__ import annotations

from vidseg.errors import DataError


def both_classes(counts: tuple[int, int], *, where: str) -> None:
    """Refuse training masks with one class only.

    Args:
        counts: number of foreground and of background pixels.
        where: names the training set in the message.

    Raises:
        DataError: one of the counts is zero.
    """
    positive, negative = counts
    if positive and negative:
        return
    missing = (
        "foreground and background"
        if not (positive or negative)
        else ("background" if positive else "foreground")
    )
    raise DataError(
        f"the training masks hold no {missing} pixel",
        where=where,
        hint="choose other frames or videos, a larger mask_size, or check the labels",
    )
