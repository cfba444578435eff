"""Labels by trackers: key boxes propagated, and what a tracker saves an annotator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from vidseg.api.progress import showing
from vidseg.errors import UsageError
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress
from vidseg.utils.suggest import did_you_mean

if TYPE_CHECKING:
    from vidseg.annotate.batch import PropagatedVideo
    from vidseg.annotate.simulation import Simulation


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
        objects: ``ids``: boxes of one identity are an object; ``linked``: boxes, or parts of masks,
            that overlap from one labelled frame to the next; ``one``: all foreground of a frame;
            ``auto``: ids where the labels have them, else linked.
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

    chosen = choice(method, METHODS, "method"), choice(objects, get_args(Objects), "objects")
    spec = plugins.resolve("dataset", keys, where="SPEC")
    way = Way(_positive(every), TrackerSource.of(tracker, where="tracker"), *chosen)
    facts = Store(user_path(store) if store else None).fact_cache
    with showing(progress) as shown:
        return [
            propagate_video(video, spec, user_path(output), way, fresh=fresh, progress=shown)
            for video in open_videos(spec, facts)
        ]


def simulate_annotator(
    dataset: str | dict[str, Any],
    *,
    tracker: str | dict[str, Any] = "lk",
    methods: str | Sequence[str] = ("forward", "linear", "auto"),
    threshold: float = 0.5,
    every: int = 40,
    doubt: float = 0.7,
    objects: str = "auto",
    store: str | Path | None = None,
    tracking: bool = True,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    progress: bool | Progress = False,
) -> Simulation:
    """Replay the truth of a data set as a human annotator, and count the boxes that are drawn.

    What each way of working came to on each video is kept in the store and not replayed again.

    Args:
        dataset: with true boxes on every frame.
        tracker: such as ``"lk"`` or ``"dsst"``.
        methods: ``forward`` is the paper's way; ``linear``, ``blend`` and ``auto`` fill the frames
            between key boxes.
        threshold: a box with less IoU is wrong, and drawn again.
        every: frames from one key box to the next, at first.
        doubt: where the doubt asks, it asks above this, 0..1.
        objects: ``ids``: boxes of one identity are an object; ``linked``: boxes, or parts of masks,
            that overlap from one labelled frame to the next; ``one``: all foreground of a frame;
            ``auto``: ids where the labels have them, else linked.
        store: where what costs a decoding to find is kept.
        tracking: whether the result is logged; without, nothing of MLflow is imported.
        tracking_uri, experiment, progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg import plugins
    from vidseg.annotate.simulation import simulate
    from vidseg.annotate.videos import open_videos
    from vidseg.labels.key_boxes import Objects
    from vidseg.labels.replay import Rules
    from vidseg.store import Store
    from vidseg.trackers.base import TrackerSource
    from vidseg.trackers.fill import METHODS

    given = [methods] if isinstance(methods, str) else list(methods)
    ways = [choice(one, METHODS, "method") for one in dict.fromkeys(given)]
    kind = choice(objects, get_args(Objects), "objects")
    rules = Rules(_share(threshold, "threshold"), _positive(every), _share(doubt, "doubt"))
    spec = plugins.resolve("dataset", dataset, where="dataset")
    source = TrackerSource.of(tracker, where="tracker")
    facts = Store(user_path(store) if store else None).fact_cache
    with showing(progress) as shown:
        if tracking:
            _connect(tracking_uri, shown)
        found = simulate(open_videos(spec, facts), source, ways, rules, kind, shown, facts)
        found.settings["dataset"] = str(spec)
        if tracking:
            _log(found, tracking_uri, experiment, str(source.spec), shown)
    return found


def _connect(uri: str | None, progress: Progress) -> None:
    """Open the tracking store before the work, so that it is not in vain."""
    from vidseg.tracking.store import connect, restored

    with restored(), progress.task("opening the tracking store", None):
        connect(uri)


def _log(
    found: Simulation, uri: str | None, experiment: str | None, name: str, progress: Progress
) -> None:
    from vidseg.api.logged import experiment_name
    from vidseg.tracking.annotator import log_annotator
    from vidseg.tracking.store import connect, restored

    with restored():
        connect(uri)
        run = log_annotator(found.to_dict(), experiment_name(experiment), f"annotator {name}")
        progress.say(f"logged to MLflow: {run.link}")


def _share(value: float, where: str) -> float:
    if not 0 < value < 1:
        raise UsageError(f"{value:g} is refused", where=where, hint="it lies between 0 and 1")
    return value


def _positive(every: int) -> int:
    if every < 1:
        raise UsageError(f"{every} is refused", where="every", hint="take 1 at least")
    return every


def annotate_on_page(
    video: str | Path,
    *,
    output: str | Path = "annotations",
    tracker: str = "lk",
    frames: str | Path | None = None,
    port: int | None = None,
    store: str | Path | None = None,
    ready: Callable[[str], None] = print,
    note: Callable[[str], None] = print,
    progress: bool | Progress = False,
) -> None:
    """Serve the annotation page on this machine until Ctrl-C or SIGTERM.

    Args:
        video: a clip, a folder of pictures, or a folder of either.
        output: gets an annotation folder of each video; ``annotated:OUTPUT`` is the data set.
        tracker: of new annotations; the page can change it.
        frames: list or CSV of :func:`vidseg.select`; the page steps through these frames.
        port: 0 takes any that is free, None the first free one from 8700 on.
        store: as of :func:`vidseg.run`; decoded frames are held there while the page is open.
        ready: called with the address of the page.
        note: called with what the user should know, such as a video that cannot be read.
        progress: as of :func:`vidseg.run`; a clip is decoded once before the page opens.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg.annotate.serve import listen, serve
    from vidseg.annotate.session import begin

    listening = listen(port)
    try:
        with showing(progress) as shown, shown.task("reading the video", None):
            session = begin(
                user_path(video),
                user_path(output),
                tracker=tracker,
                frames=user_path(frames) if frames else None,
                store=user_path(store) if store else None,
            )
    except BaseException:
        listening.close()
        raise
    for fault in session.faults:
        note(fault)
    if session.others:
        note(f"{session.others} listed frames are of other videos")
    serve(session, listening, ready=ready)


def choice(given: str, known: tuple[Any, ...], where: str) -> Any:
    """Return a word that is one of those known.

    Raises:
        UsageError: it is none; names the nearest.
    """
    if given not in known:
        hint = f"{did_you_mean(given, known)}choose {', '.join(known)}"
        raise UsageError(f"there is no {given!r}", where=where, hint=hint)
    return given
