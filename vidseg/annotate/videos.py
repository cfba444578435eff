"""The videos of a data set whose labels are propagated or replayed."""

from __future__ import annotations

from vidseg import plugins
from vidseg.errors import DataError
from vidseg.plugins.spec import Spec
from vidseg.types import Memory, Video


def open_videos(spec: Spec, memory: Memory | None = None) -> list[Video]:
    """Return the videos of a data set.

    Raises:
        DataError: there are none, or their labels leave a question.
        VidsegError: what the data set refuses.
    """
    videos: list[Video] = list(plugins.create("dataset", spec, where="dataset").videos())
    if not videos:
        raise DataError("holds no video", where=f"dataset {spec}", hint="name another folder")
    for video in videos:
        if memory is not None and callable(remember := getattr(video, "remember", None)):
            remember(memory)
        for what, hint in getattr(video, "questions", ()):
            raise DataError(what, where=f"video {video.name}", hint=hint)
    return videos
