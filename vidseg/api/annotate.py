"""Labels by trackers: key boxes propagated, and what a tracker saves an annotator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from vidseg.api.progress import showing
from vidseg.errors import UsageError
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress
from vidseg.utils.suggest import did_you_mean

if TYPE_CHECKING:
    from vidseg.annotate.batch import PropagatedVideo


def propagate(
    keys: str | dict[str, Any],
    *,
    output: str | Path,
    every: int = 1,
    method: str = "auto",
    tracker: str | dict[str, Any] = "lk",
    objects: str = "ids",
    store: str | Path | None = None,
    fresh: bool = False,
    progress: bool | Progress = False,
) -> list[PropagatedVideo]:
    """Carry the boxes of labelled frames to the frames between them by a tracker.

    Args:
        keys: a data set whose labelled frames are the key frames.
        output: gets an annotation folder of each video; ``annotated:OUTPUT`` is the data set.
        every: use the labels of every ``every``-th frame and of the last; 1: of all.
        method: ``auto``, ``linear``, ``blend`` or ``forward``.
        tracker: such as ``"lk"`` or ``"dsst"``.
        objects: ``ids``: boxes of one identity are an object; ``one``: all foreground of a frame.
        store: where what costs a decoding to find is kept.
        fresh: replace annotations that ``output`` holds.
        progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg import plugins
    from vidseg.annotate.batch import Way, propagate_video
    from vidseg.annotate.videos import open_videos
    from vidseg.labels.key_boxes import Objects
    from vidseg.store import Store
    from vidseg.trackers.base import TrackerSource
    from vidseg.trackers.fill import METHODS

    if every < 1:
        raise UsageError(f"{every} is refused", where="every", hint="take 1 at least")
    chosen = choice(method, METHODS, "method"), choice(objects, get_args(Objects), "objects")
    spec = plugins.resolve("dataset", keys, where="SPEC")
    way = Way(every, TrackerSource.of(tracker, where="tracker"), *chosen)
    facts = Store(user_path(store) if store else None).fact_cache
    with showing(progress) as shown:
        return [
            propagate_video(video, spec, user_path(output), way, fresh=fresh, progress=shown)
            for video in open_videos(spec, facts)
        ]


def choice(given: str, known: tuple[Any, ...], where: str) -> Any:
    """Return a word that is one of those known.

    Raises:
        UsageError: it is none; names the nearest.
    """
    if given not in known:
        hint = f"{did_you_mean(given, known)}choose {', '.join(known)}"
        raise UsageError(f"there is no {given!r}", where=where, hint=hint)
    return given
