"""YOLO data sets: pictures with a text file of boxes or polygons each.

Layout: ``data.yaml`` with ``names`` and ``train``, ``val``, ``test`` (a folder, a list of folders,
or a text file that lists pictures), and ``labels/.../NAME.txt`` for ``images/.../NAME.jpg``;
without ``data.yaml`` the folders ``images`` and ``labels``. A row is ``class cx cy w h`` or, for
segmentation, ``class x1 y1 x2 y2 ...``, as shares of width and height; classes count from 0.

Pictures are grouped into videos by their names (:mod:`vidseg.datasets.picture_names`).

Source: docs.ultralytics.com/datasets (detect, segment).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial

from vidseg.datasets._yolo.folder import (
    Picture,
    chosen_splits,
    list_pictures,
    open_folder,
)
from vidseg.datasets._yolo.rows import YoloRow, read_rows
from vidseg.datasets.base import ClassCount
from vidseg.datasets.class_choice import ClassChoice, ClassNames
from vidseg.datasets.files import FileDataset, FrameVideo
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.picture_names import FoundVideo, VideoPattern, describe, find_videos
from vidseg.datasets.selection import Patterns, Selection
from vidseg.datasets.shapes import Shape, ShapeTruth
from vidseg.errors import BadRowsError, DataError
from vidseg.media.image_folder import ImageSequence, locate
from vidseg.utils.stop import check_stop


class Yolo(FileDataset):
    """Pictures with YOLO labels (detect or segment), grouped into videos.

    Args:
        path: data.yaml, or its folder, or a folder with images and labels. A relative one is looked
            up in the current directory, then in VIDSEG_DATA.
        split: train, val or test; all for those that there are: experiments here split by video.
        images: folder of the pictures, where data.yaml stands elsewhere.
        classes: names or numbers of the classes that are foreground; without it all are.
        ignore_classes: classes that count neither as foreground nor as background.
        pattern: how frames of one video are found: name (what is left without the last number),
            folder, picture (each is a video of its own), or a regular expression with the groups
            (?P<video>...) and (?P<frame>...).
        labelled: which frames have ground truth: all (a picture without a label file shows
            nothing), rows (those with a label file), every:N. Without it all, unless empty label
            files say that pictures without one were not looked at.
        include: names of the videos to use, or patterns such as cam2-*; without it all.
        exclude: names or patterns of videos to leave out.
    """

    def __init__(
        self,
        path: str,
        split: str = "all",
        images: str | None = None,
        classes: ClassNames = (),
        ignore_classes: ClassNames = (),
        pattern: VideoPattern = "name",
        labelled: LabelledFrames | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"yolo:{path}"
        self._what, self._pattern, self._labelled = what, pattern, labelled
        self.root = locate(path, what=what, or_file=True)
        below = None if images is None else locate(images, what=f"{what},images={images}")
        self._folder = open_folder(self.root, below)
        self._splits = chosen_splits(self._folder, split)
        self._selection = Selection(include, exclude, what)
        self._wanted = (classes, ignore_classes)
        self._kept: dict[int, list[YoloRow] | None] = {}

    @property
    def name(self) -> str:
        """Name of the data set's folder."""
        return self._folder.root.resolve().name

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each video: its pictures and label files.

        Raises:
            DataError: absent pictures, labels without picture, or no label file at all.
        """
        if not any(picture.labels.is_file() for picture in self._pictures):
            expected = self._pictures[0].labels
            raise DataError(
                "no picture has a label file", where=self.root, hint=f"such as {expected}"
            )
        return [partial(self._open, video) for video in self._videos_found]

    def classes(self) -> list[ClassCount]:
        """Return the classes, and how often each occurs in the chosen videos."""
        rows = ((row.number, picture.file) for picture, rows in self._all_rows() for row in rows)
        return self._choice.counted(rows)

    def notes(self) -> list[str]:
        """Return how videos were found, which splits are read, and what is odd about the labels."""
        notes = [*self._folder.notes, *describe(self._videos_found, self._pattern)]
        if len(self._splits) > 1:
            shown = ", ".join(f"{name} ({len(self._by_split[name])})" for name in self._splits)
            notes.append(f"pictures of {shown} are read together; split=val takes one")
        if not self._wanted[0]:
            notes += self._choice.foreground_note(self.classes())
        return [*notes, *self._choice.notes(), *self._label_notes(), *super().notes()]

    def _label_notes(self) -> Iterator[str]:
        absent, empty = self._states["absent"], self._states["empty"]
        if absent:
            meaning = "are not labelled" if self._rule == "rows" else "count as showing nothing"
            yield f"{absent} of {len(self._pictures)} pictures have no label file and {meaning}" + (
                f" ({empty} empty label files stand for pictures that show nothing)"
                if empty
                else ""
            )
        outside = sum(row.outside for _, rows in self._all_rows() for row in rows)
        if outside:
            yield f"polygons that reach over the border of their picture are cut there: {outside}"

    @property
    def _rule(self) -> str | None:
        """What ``labelled`` is: beside empty label files, absent ones mean another thing."""
        if self._labelled is None and self._states["absent"] and self._states["empty"]:
            return "rows"
        return self._labelled

    @cached_property
    def _states(self) -> Counter[str]:
        return Counter(map(_state, self._pictures))

    @cached_property
    def _by_split(self) -> dict[str, list[Picture]]:
        return {name: list(list_pictures(self._folder, e)) for name, e in self._splits.items()}

    @cached_property
    def _pictures(self) -> list[Picture]:
        listed = (picture for pictures in self._by_split.values() for picture in pictures)
        return list({picture.file: picture for picture in listed}.values())

    @cached_property
    def _videos_found(self) -> list[FoundVideo]:
        names = [picture.name for picture in self._pictures]
        found = find_videos(names, self._pattern, default=self.name)
        return self._selection.of(found, lambda video: video.name)

    @cached_property
    def _choice(self) -> ClassChoice:
        names = self._folder.names
        if names is None:
            seen = {row.number for _, rows in self._all_rows() for row in rows}
            names = {number: str(number) for number in sorted(seen)}
        return ClassChoice.of(names, *self._wanted, where=self._what)

    def _all_rows(self) -> Iterator[tuple[Picture, list[YoloRow]]]:
        """Yield the pictures of the chosen videos with the rows of those that can be read."""
        for video in self._videos_found:
            for place in video.pictures:
                with contextlib.suppress(DataError):
                    yield self._pictures[place], self._rows(place) or []

    def _rows(self, place: int) -> list[YoloRow] | None:
        """Return the rows of a picture, or None where it has no label file."""
        if place not in self._kept:
            check_stop()
            file, folder = self._pictures[place].labels, self._folder
            rows = read_rows(file, folder.names, folder.keypoints) if file.is_file() else None
            self._kept[place] = rows
        return self._kept[place]

    def _all_rows_of(self, video: FoundVideo) -> list[list[YoloRow] | None]:
        """Return the rows of each picture of a video, None where it has no label file.

        Raises:
            DataError: malformed rows, of all its files.
        """
        read: list[list[YoloRow] | None] = []
        faults: list[DataError] = []
        for place in video.pictures:
            try:
                read.append(self._rows(place))
            except DataError as error:
                faults += error.faults if isinstance(error, BadRowsError) else [error]
        if faults:
            raise faults[0] if len(faults) == 1 else BadRowsError(faults)
        return read

    def _open(self, video: FoundVideo) -> FrameVideo:
        read = self._all_rows_of(video)
        images = ImageSequence(tuple(self._pictures[place].file for place in video.pictures))
        with_file = [frame for frame, rows in enumerate(read) if rows is not None]
        value = self._choice.value
        shapes = {
            frame: [shape(row, value(row.number)) for row in rows if value(row.number) >= 0]
            for frame, rows in enumerate(read)
            if rows
        }
        truth = ShapeTruth(
            shapes, RowFrames(self._rule, with_file), relative=True, where=video.name
        )
        return FrameVideo(video.name, video.name, images, truth)


def shape(row: YoloRow, value: int) -> Shape:
    """Return the region of a row, in shares of width and height."""
    if row.polygon is None:
        return Shape(value, row.box)
    return Shape(value, polygons=(row.polygon,))


def _state(picture: Picture) -> str:
    """Return whether a picture's label file is ``absent``, ``empty`` or holds ``rows``."""
    try:
        return "rows" if picture.labels.stat().st_size > 2 else "empty"
    except FileNotFoundError:
        return "absent"
