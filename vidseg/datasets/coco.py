"""COCO data sets: one JSON file of boxes, polygons and run-length masks, and its pictures.

* COCO: ``images``, ``annotations``, ``categories``; pictures are grouped into videos by their names
  (:mod:`vidseg.datasets.picture_names`);
* COCO-video (BDD100K, TAO, converted MOT): images have ``video_id`` and ``frame_id``;
* YouTube-VIS: ``videos`` with ``file_names``, annotations with one segmentation for each frame.

``iscrowd`` and ``ignore`` mean ignored. Pixels count from 0.

Citations: Lin et al. 2014 (arXiv:1405.0312), Yang et al. 2019 (arXiv:1905.04804).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

from vidseg.datasets._coco.annotations import CocoFile, CocoFrame, read_file
from vidseg.datasets.base import ClassCount
from vidseg.datasets.class_choice import ClassChoice, ClassNames
from vidseg.datasets.files import FileDataset, FrameVideo
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.picture_names import VideoPattern, describe, find_videos
from vidseg.datasets.selection import Patterns, Selection
from vidseg.datasets.shapes import Shape, ShapeTruth
from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import ImageSequence, locate, natural_key
from vidseg.types import Size
from vidseg.utils.paths import path_below


class Coco(FileDataset):
    """Pictures or videos with labels in COCO's JSON format.

    Args:
        path: the JSON file, or a folder that holds one (itself, or in annotations). A relative one
            is looked up in the current directory, then in VIDSEG_DATA.
        images: folder of the pictures; without it, it is looked for beside the file.
        classes: names or ids of the categories that are foreground; without it all are.
        ignore_classes: categories that count neither as foreground nor as background.
        pattern: how frames of one video are found where the file names no videos: name (what is
            left without the last number), folder, picture (each is a video of its own), or a
            regular expression with the groups (?P<video>...) and (?P<frame>...).
        labelled: which of the listed pictures have ground truth: all (one without annotations shows
            nothing), rows (those with annotations), every:N.
        include: names of the videos to use, or patterns such as cam2-*; without it all.
        exclude: names or patterns of videos to leave out.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        classes: ClassNames = (),
        ignore_classes: ClassNames = (),
        pattern: VideoPattern = "name",
        labelled: LabelledFrames | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"coco:{path}"
        self._pattern, self._labelled, self._what = pattern, labelled, what
        self.root = _find_file(locate(path, what=what, or_file=True))
        self._images = None if images is None else locate(images, what=f"{what},images={images}")
        self._selection = Selection(include, exclude, what)
        self._wanted = (classes, ignore_classes)

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each video: reads the file once.

        Raises:
            DataError: the file is malformed, or its pictures are not found.
        """
        folder = self._folder
        return [partial(self._open, name, own, folder) for name, own in self._chosen]

    def classes(self) -> list[ClassCount]:
        """Return the categories, and how often each occurs in the chosen videos."""
        return self._choice.counted(
            (region.category, frame.file_name)
            for _, frames in self._chosen
            for frame in frames
            for region in frame.regions
        )

    def notes(self) -> list[str]:
        """Return how videos were found, and what is odd about the labels."""
        notes = [*self._content.notes, *self._found[1], *self._choice.notes()]
        if not self._wanted[0]:
            notes += self._choice.foreground_note(self.classes())
        return [*notes, *super().notes()]

    @cached_property
    def _content(self) -> CocoFile:
        content = read_file(self.root)
        if not content.frames:
            raise DataError("lists no picture", where=self.root)
        return content

    @cached_property
    def _choice(self) -> ClassChoice:
        return ClassChoice.of(self._content.categories, *self._wanted, where=self._what)

    @cached_property
    def _folder(self) -> Path:
        return find_images(self.root, self._content.frames[0].file_name, self._images)

    @property
    def _chosen(self) -> list[tuple[str, list[CocoFrame]]]:
        return self._selection.of(self._found[0], lambda pair: pair[0])

    @cached_property
    def _found(self) -> tuple[list[tuple[str, list[CocoFrame]]], list[str]]:
        """The videos with their frames, and how they were found."""
        frames = self._content.frames
        loose = [frame for frame in frames if frame.video is None]
        named: dict[str, list[CocoFrame]] = defaultdict(list)
        for frame in frames:
            if frame.video is not None:
                named[frame.video].append(frame)
        videos = [(name, sorted(own, key=_time)) for name, own in named.items()]
        videos.sort(key=lambda pair: natural_key(pair[0]))
        notes = []
        if loose:
            names = [frame.file_name.replace("\\", "/") for frame in loose]
            found = find_videos(names, self._pattern, default=self.name)
            videos += [(one.name, [loose[place] for place in one.pictures]) for one in found]
            notes = describe(found, self._pattern)
        return videos, notes

    def _open(self, name: str, frames: Sequence[CocoFrame], folder: Path) -> FrameVideo:
        files = [_picture(folder, frame.file_name, self.root) for frame in frames]
        absent = [file for file in files if not file.is_file()]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(
                f"{self.root.name} labels it, but it is not there{more}",
                where=absent[0],
                hint="restore the picture, or give images=FOLDER",
            )
        with_rows = [place for place, frame in enumerate(frames) if frame.regions]
        truth = ShapeTruth(
            {place: list(self._shapes(frames[place])) for place in with_rows},
            RowFrames(self._labelled, with_rows),
            announced=_one_size(name, frames, self.root),
            where=f"{self.root.name}, {name}",
        )
        return FrameVideo(name, name, ImageSequence(tuple(files)), truth)

    def _shapes(self, frame: CocoFrame) -> Iterator[Shape]:
        for region in frame.regions:
            value = self._choice.value(region.category)
            if value >= 0:
                yield region.shape(0 if region.crowd else value)


def _time(frame: CocoFrame) -> tuple[object, ...]:
    return (frame.number is None, frame.number or 0, natural_key(frame.file_name))


def _one_size(name: str, frames: Sequence[CocoFrame], file: Path) -> Size | None:
    """Return the size that the file states for the frames of a video.

    Raises:
        DataError: it states several.
    """
    sizes = {frame.size for frame in frames} - {None}
    if len(sizes) > 1:
        shown = ", ".join(sorted(map(str, sizes))[:3])
        raise DataError(
            f"the pictures of {name} have {len(sizes)} sizes ({shown}), frames of a video have one",
            where=file,
            hint="are they no video? Then pattern=picture",
        )
    return next(iter(sizes), None)


def _find_file(place: Path) -> Path:
    if place.is_file():
        return place
    found = sorted(
        file
        for pattern in ("*.json", "annotations/*.json", "*/_annotations.coco.json")
        for file in place.glob(pattern)
    )
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError("holds no JSON file", where=place, hint="give the COCO file itself")
    shown = ", ".join(file.relative_to(place).as_posix() for file in found[:8])
    raise UsageError(f"holds several files: {shown}", where=place, hint="give one of them")


def find_images(file: Path, first: str, told: Path | None) -> Path:
    """Return the folder that the file's names are below.

    Raises:
        DataError: the first picture is in none of the usual places; lists them.
    """
    if told is not None:
        return told
    split = file.stem.rpartition("_")[2]
    bases = (
        [file.parent, file.parent.parent] if file.parent.name == "annotations" else [file.parent]
    )
    inner = ["", "images", "JPEGImages", split, file.stem, f"images/{split}"]
    inner += [f"{split}/images", f"{split}/JPEGImages", f"{file.stem}/JPEGImages"]
    places = [base / name for base in bases for name in dict.fromkeys(inner)]
    for place in places:
        if _picture(place, first, file).is_file():
            return place
    looked = ", ".join(str(place) for place in places if place.is_dir())
    raise DataError(
        f"its picture {first!r} is not found (looked in {looked})",
        where=file,
        hint="give images=FOLDER",
    )


def _picture(folder: Path, name: str, file: Path) -> Path:
    found = path_below(folder, name)
    if found is None:
        raise DataError(
            f"the picture {name!r} lies outside of its folder", where=file, hint="mend file_name"
        )
    return found
