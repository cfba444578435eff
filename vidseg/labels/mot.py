"""Text files in MOT format, one for each video, in a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidseg.datasets.mot import ORIGIN
from vidseg.datasets.mot_rows import (
    FRAME,
    Classes,
    IgnoreClasses,
    LabelRule,
    Visibility,
    read_rows,
    select_rows,
)
from vidseg.errors import DataError
from vidseg.labels.base import KeyedLabels
from vidseg.media.image_folder import content_key, locate
from vidseg.types import Video

_PLACES = ("{}.txt", "{}/gt/gt.txt", "{}/gt.txt")


class MotFiles:
    """Train on boxes from text files: ``VIDEO.txt`` or ``VIDEO/gt/gt.txt`` in a folder.

    Coordinates are in pixels of the video's own frames; frames and pixels count from 1. A frame
    without a row is all background.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        classes: classes that are foreground in files of 9 columns.
        ignore_classes: classes that are ignored in files of 9 columns, or mot.
        min_visibility: boxes that are visible to a smaller share are ignored; 9 columns only.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        classes: Classes = (1,),
        ignore_classes: IgnoreClasses = (),
        min_visibility: Visibility = 0.0,
    ) -> None:
        self._root = locate(path, what=f"train_labels mot:{path}")
        self._rule = LabelRule.of(classes, ignore_classes, min_visibility)

    def of(self, video: Video) -> KeyedLabels:
        """Return the boxes of a video.

        Raises:
            DataError: no file, a malformed row, or a row for a frame that does not exist.
        """
        file = self._file(video)
        rows, lines = read_rows(file)
        info = video.probe()
        beyond = rows[:, FRAME] > info.length
        if beyond.any():
            at = int(np.argmax(beyond))
            raise DataError(
                f"label for frame {int(rows[at, FRAME])}, the video has {info.length}",
                where=f"{file}:{lines[at]}",
                hint="delete the row, or name the labels of this video",
            )
        found = select_rows(rows, self._rule, sequence=video.name, file=file)
        key = content_key("mot labels 1", tuple(info.size), *found)
        return KeyedLabels(key, partial(found.at, size=info.size, origin=ORIGIN))

    def _file(self, video: Video) -> Path:
        places = [self._root / place.format(video.name) for place in _PLACES]
        for place in places:
            if place.is_file():
                return place
        raise DataError(
            f"no training labels for video {video.name}",
            where=self._root,
            hint=f"add {' or '.join(place.format(video.name) for place in _PLACES)}",
        )
