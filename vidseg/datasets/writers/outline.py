"""The outline of a mask as one polygon along the edges of its pixels, holes by seams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Corner = tuple[int, int]


def outline(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the outline of ``bool (H, W)``, not empty, as one polygon.

    It runs along the edges of pixels, so that drawing it by the rule of COCO gives the same pixels.
    A hole, or a part that is not connected, is reached by a seam: a line that is walked there and
    back and has no width.

    Returns:
        ``float64 (n, 2)``: x and y of the corners, in whole pixels; 0 is the left (top) edge.
    """
    first, *others = _rings(_edges(inside))
    path = list(first)
    for ring in others:
        path += [first[0], *ring, ring[0], first[0]]
    return np.array(path, np.float64)


def _edges(inside: npt.NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Return where the edges around pixels lead from each corner; the inside is on the right."""
    padded = np.pad(inside, 1)
    here, above = padded[1:, 1:-1], padded[:-1, 1:-1]
    right, left = padded[1:-1, 1:], padded[1:-1, :-1]
    leads: dict[Corner, list[Corner]] = defaultdict(list)
    for edges, start, end in (
        (here & ~above, (0, 0), (1, 0)),
        (~here & above, (1, 0), (0, 0)),
        (right & ~left, (0, 1), (0, 0)),
        (~right & left, (0, 0), (0, 1)),
    ):
        for y, x in np.argwhere(edges).tolist():
            leads[x + start[0], y + start[1]].append((x + end[0], y + end[1]))
    return leads


def _rings(leads: dict[Corner, list[Corner]]) -> Iterator[list[Corner]]:
    """Yield closed walks over all edges, without the corners that lie on a straight line."""
    while leads:
        start = next(iter(leads))
        walk = [start]
        while (after := _leave(leads, walk[-1])) != start:
            walk.append(after)
        corners = np.array(walk)
        turns = (np.roll(corners, 1, axis=0) + np.roll(corners, -1, axis=0) != 2 * corners).any(1)
        yield [walk[place] for place in np.flatnonzero(turns)]


def _leave(leads: dict[Corner, list[Corner]], corner: Corner) -> Corner:
    after = leads[corner].pop()
    if not leads[corner]:
        del leads[corner]
    return after
