"""Which video an annotation is of: its record, made when the annotation begins."""

from __future__ import annotations

import os
from pathlib import Path

from vidseg import plugins
from vidseg.curate.footage import Footage
from vidseg.datasets.annotation_records import VideoRecord
from vidseg.errors import VidsegError
from vidseg.media.clip import ClipFrames
from vidseg.media.image_folder import ImageSequence, list_images, locate
from vidseg.plugins.spec import Spec
from vidseg.types import Video


def record_of_footage(video: Footage, folder: Path) -> VideoRecord:
    """Return the record of a clip or a folder of pictures; decodes a clip once.

    Args:
        video: without labels.
        folder: of the annotation; a video beside or below it is named by a relative path.

    Raises:
        DataError: it cannot be read.
    """
    info = video.probe()
    return VideoRecord(
        name=video.name,
        group=video.group,
        path=_written(video.path, folder),
        fingerprint=video.image_key,
        length=info.length,
        height=info.size.height,
        width=info.size.width,
        fps=info.fps,
    )


def record_of_video(video: Video, spec: Spec, folder: Path) -> VideoRecord:
    """Return the record of a video of a data set.

    Args:
        video: as the data set has it.
        spec: of the data set, with every default written out.
        folder: of the annotation.

    Raises:
        DataError: it cannot be read.
    """
    info = video.probe()
    place = place_of(video)
    where = (
        {"dataset": str(_absolute(spec))} if place is None else {"path": _written(place, folder)}
    )
    return VideoRecord(
        name=video.name,
        group=video.group,
        fingerprint=video.image_key,
        length=info.length,
        height=info.size.height,
        width=info.size.width,
        fps=info.fps,
        **where,
    )


def place_of(video: Video) -> Path | None:
    """Return the clip or the folder that holds exactly the frames of a video, if there is one."""
    images = getattr(video, "images", None)
    if isinstance(images, ClipFrames):
        return images.file
    if not isinstance(images, ImageSequence):
        return None
    folder = images.files[0].parent
    try:
        return folder if list_images(folder) == images.files else None
    except VidsegError:
        return None


def _written(path: Path, folder: Path) -> str:
    """Return a relative path where the video stands beside the annotation or below it."""
    path, folder = path.absolute(), folder.absolute()
    near = path.is_relative_to(folder.parent)
    return Path(os.path.relpath(path, folder)).as_posix() if near else str(path)


def _absolute(spec: Spec) -> Spec:
    """Return a data set's spec whose path holds in other folders too."""
    path = spec.params.get("path")
    if not isinstance(path, str):
        return spec
    try:
        found = locate(path, what=str(spec), or_file=True).absolute()
    except VidsegError:
        return spec
    return plugins.resolve("dataset", Spec(spec.name, None, spec.params | {"path": str(found)}))
