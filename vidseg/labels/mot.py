"""Text files in MOT format, one for each video, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.mot_frames import Match, by_place, match_rows
from vidseg.datasets.mot_rows import BoxRows, Format, read_rows
from vidseg.datasets.mot_rule import Classes, IgnoreClasses, LabelRule, Visibility, select_rows
from vidseg.errors import DataError
from vidseg.labels.base import KeyedLabels
from vidseg.media.image_folder import content_key, locate, numbers_of
from vidseg.types import Video, labelled_frames

_PLACES = ("{}.txt", "{}/gt/gt.txt", "{}/gt.txt")


class MotFiles:
    """Train on boxes from text files: ``VIDEO.txt`` or ``VIDEO/gt/gt.txt`` in a folder.

    Coordinates are in pixels of the video's own frames; pixels count from 1. Frames count from 1,
    or are the numbers in the names of the video's pictures, or count from 0 where a row has 0. A
    frame without a row is all background. Trained on are the frames that the truth labels, unless
    ``labelled`` says which ones these files label.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        classes: classes that are foreground, by number or name; see the data set mot.
        ignore_classes: classes that are ignored, or mot.
        min_visibility: boxes that are visible to a smaller share are ignored; 9 columns only.
        format: what the columns mean; see the data set mot.
        match: which picture of a folder a row belongs to; see the data set mot.
        labelled: frames that are trained on, whether the truth labels them or not: all, rows (those
            with rows) or every:N (every N-th, and all with rows).
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        path: str,
        classes: Classes = (1,),
        ignore_classes: IgnoreClasses = (),
        min_visibility: Visibility = 0.0,
        format: Format = "auto",  # noqa: A002 - the name of the option
        match: Match = "auto",
        labelled: LabelledFrames | None = None,
    ) -> None:
        self._root = locate(path, what=f"train_labels mot:{path}")
        self._rule = LabelRule.of(classes, ignore_classes, min_visibility)
        self._layout, self._match = format, match
        self._labelled = labelled

    def of(self, video: Video) -> KeyedLabels:
        """Return the boxes of a video.

        Raises:
            DataError: no file, a malformed row, a row for a frame that does not exist, or rows that
                look like key frames where the truth labels others too.
        """
        rows, info = read_rows(self._file(video), self._layout), video.probe()
        index = _index(video, rows, info.length, self._match)
        found = select_rows(rows, self._rule, index, sequence=video.name)
        origin = () if rows.origin == 1 else (rows.origin,)
        key = content_key("mot labels 1", tuple(info.size), *found, *origin)
        frames = self._frames(RowFrames(self._labelled, index[index >= 0]), video, rows.file)
        return KeyedLabels(key, partial(found.at, size=info.size, origin=rows.origin), frames)

    def _frames(self, rows: RowFrames, video: Video, file: Path) -> Sequence[int] | None:
        if self._labelled is not None:
            return rows.labelled(video.probe().length)
        if (asked := rows.questions()) and not rows.cover(labelled_frames(video)):
            raise DataError(asked[0].what, where=file, hint=asked[0].hint)
        return None

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


def _index(video: Video, rows: BoxRows, length: int, how: Match) -> npt.NDArray[np.int64]:
    """Return the 0-based frame of each row."""
    files: Sequence[Path] = getattr(video, "frame_files", ())
    if files:
        return match_rows(rows, files, numbers_of(files), how=how).places
    index = by_place(rows).places
    beyond = index >= length
    if beyond.any():
        at = int(np.argmax(beyond))
        raise DataError(
            f"label for frame {rows.frames[at]}, the video has {length}",
            where=f"{rows.file}:{rows.lines[at]}",
            hint="name the labels of this video",
        )
    return index
