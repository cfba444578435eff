"""What one call of ``vidseg annotate`` serves: its videos, opened when a page asks for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidseg.annotate.frame_list import read_frame_list
from vidseg.annotate.opened import OpenVideo
from vidseg.curate.footage import find_footage
from vidseg.errors import DataError, UsageError
from vidseg.store import Store
from vidseg.trackers.base import TrackerSource


class Session:
    """Videos to annotate.

    Args:
        path: a clip, a folder of pictures, or a folder of either.
        output: gets an annotation folder of each video.
        tracker: spec of the tracker of new annotations.
        frames: list of ``vidseg select`` to step through.
        store: root of the store; scratch files are made there.

    Attributes:
        videos: in natural order.
        first: number of the first one that can be read.
        faults: videos of the folder that cannot be read, a line each.
        others: listed frames that are of other videos.

    Raises:
        DataError: no video, or the only one cannot be read.
        VidsegError: a tracker or a list that is refused.
    """

    def __init__(
        self,
        path: Path,
        output: Path,
        *,
        tracker: str = "lk",
        frames: Path | None = None,
        store: Path | None = None,
    ) -> None:
        TrackerSource.of(tracker, where="--tracker")
        self.output, self.tracker = output, tracker
        self._store = Store(store)
        self.videos, faults = find_footage([path])
        if not self.videos:
            raise faults[0]
        self.first = 0
        self.faults = [str(fault) for fault in faults]
        self._listed: Sequence[Sequence[int]] = [[] for _ in self.videos]
        self.others = 0
        if frames is not None:
            self._listed, self.others = read_frame_list(frames, self.videos)
        self._open: dict[int, OpenVideo] = {}
        self._lock = threading.Lock()

    def open(self, number: int) -> OpenVideo:
        """Return a video, which stays open until the session ends.

        Raises:
            UsageError: there is none of this number.
            DataError: it does not decode to its end, or changed since it was annotated.
            StoreError: another process edits it, or its folder cannot be written.
        """
        if not 0 <= number < len(self.videos):
            raise UsageError(f"there is no video {number}")
        with self._lock:
            if number not in self._open:
                video = self.videos[number]
                video.remember(self._store.fact_cache)
                scratch = self._store.root / "scratch"
                opened = OpenVideo(video, self.output, scratch, self.tracker)
                self._open[number] = opened
            opened = self._open[number]
        self._check_list(number, opened)
        return opened

    def open_first(self) -> None:
        """Open the first video that can be read; those before it are faults.

        Raises:
            DataError: none can be read.
            StoreError: another process edits it, or its folder cannot be written.
        """
        failed: list[DataError] = []
        for number in range(len(self.videos)):
            try:
                self.open(number)
            except DataError as error:
                failed.append(error)
                continue
            self.first = number
            self.faults += map(str, failed)
            return
        raise failed[0]

    def listing(self) -> list[dict[str, Any]]:
        """Return name and listed frames of each video."""
        return [
            {"name": video.name, "list": list(self._listed[number])}
            for number, video in enumerate(self.videos)
        ]

    def close(self) -> None:
        """Close every annotation; what was acknowledged is on the disk already."""
        with self._lock:
            for opened in self._open.values():
                opened.close()
            self._open.clear()

    def _check_list(self, number: int, opened: OpenVideo) -> None:
        last = max(self._listed[number], default=0)
        if last >= opened.info.length:
            raise DataError(
                f"has no frame {last}, which is listed, only 0 to {opened.info.length - 1}",
                where=opened.video.path,
                hint="give the list that was made of this video",
            )


def begin(path: Path, output: Path, **options: Any) -> Session:
    """Return a session whose first video that can be read is open.

    Raises:
        VidsegError: as of :class:`Session`, and of :meth:`Session.open` where no video can be read.
    """
    session = Session(path, output, **options)
    try:
        session.open_first()
    except BaseException:
        session.close()
        raise
    return session
