"""CVAT's XML 1.1: tracks on a video, or shapes on images.

* *CVAT for video*: ``<track>`` with boxes, polygons, ellipses and masks; ``frame`` counts in the
  source, ``keyframe=1`` was set by a person, the rest was interpolated, ``outside=1`` ends it;
* *CVAT for images*: ``<image name=...>`` with shapes.

Coordinates count from 0 at the left (top) edge of the first pixel. The frames are a clip or a
folder of pictures.

Source: docs.cvat.ai, "XML annotation format 1.1".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

from vidseg.datasets._cvat.document import CvatDocument, CvatImage, CvatTask, read_document
from vidseg.datasets._cvat.footage import find_footage, find_picture
from vidseg.datasets._cvat.tracks import Seen, follow, holds_keyframes_only, shape_of
from vidseg.datasets.base import ClassCount
from vidseg.datasets.class_choice import ClassChoice, ClassNames
from vidseg.datasets.files import FileDataset, FrameVideo
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.picture_names import VideoPattern, describe, find_videos
from vidseg.datasets.selection import Patterns, Selection
from vidseg.datasets.shapes import Shape, ShapeTruth
from vidseg.errors import DataError
from vidseg.media.clip import ClipFrames
from vidseg.media.image_folder import ImageSequence, locate, natural_key
from vidseg.types import Size

_FRAME_NAME = re.compile(r"(?:.*[/_])?frame_(\d{1,9})(?:\.\w{1,4})?", re.I)


class Cvat(FileDataset):
    """Videos or pictures with labels in CVAT's XML.

    Args:
        path: the XML file, or a folder of such files. A relative one is looked up in the current
            directory, then in VIDSEG_DATA.
        images: the clip, or a folder of clips, folders or pictures; without it, what the file names
            as its source is looked for beside it.
        keyframes_only: only frames with a keyframe are labelled, as a person set those; the frames
            that CVAT interpolated are not.
        classes: names of the labels that are foreground; without it all are.
        ignore_classes: labels that count neither as foreground nor as background.
        pattern: how frames of one video are found in a file for images: name (what is left without
            the last number), folder, picture, or a regular expression with the groups
            (?P<video>...) and (?P<frame>...).
        labelled: which pictures of a file for images have ground truth: all (one without shapes
            shows nothing), rows (those with shapes), every:N.
        include: names of the videos to use, or patterns such as cam2-*; without it all.
        exclude: names or patterns of videos to leave out.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        keyframes_only: bool = False,
        classes: ClassNames = (),
        ignore_classes: ClassNames = (),
        pattern: VideoPattern = "name",
        labelled: LabelledFrames | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        what = f"cvat:{path}"
        self._what, self._keyframes_only = what, keyframes_only
        self._pattern, self._labelled = pattern, labelled
        self.root = locate(path, what=what, or_file=True)
        self._images = None
        if images is not None:
            self._images = locate(images, what=f"{what},images={images}", or_file=True)
        self._files = _find_files(self.root)
        self._selection = Selection(include, exclude, what)
        self._wanted = (classes, ignore_classes)

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each video: reads the files once.

        Raises:
            DataError: a file is malformed.
        """
        return [partial(opening, name) for name, opening, _ in self._chosen]

    def classes(self) -> list[ClassCount]:
        """Return the labels, and how often each occurs in the chosen videos."""
        numbers = {name: number for number, name in self._choice.names.items()}
        return self._choice.counted(
            (numbers[seen.mark.label], (name, place))
            for name, _, frames in self._chosen
            for place, seen in frames()
        )

    def notes(self) -> list[str]:
        """Return how videos were found, and what was left out or filled in."""
        notes = [note for document in self._documents for note in self._document_notes(document)]
        if not self._wanted[0]:
            notes += self._choice.foreground_note(self.classes())
        return [*notes, *super().notes()]

    def _document_notes(self, document: CvatDocument) -> Iterator[str]:
        for kind, count in document.left_out.items():
            what = f"shapes of kind {kind} cover no area and are left out: {count}"
            yield f"{document.file.name}: {what}"
        if document.images and not _is_one_clip(document.images):
            names = [image.name for image in document.images]
            found = find_videos(names, self._pattern, default=self.name)
            yield from describe(found, self._pattern)

    @cached_property
    def _documents(self) -> list[CvatDocument]:
        return [read_document(file) for file in self._files]

    @cached_property
    def _choice(self) -> ClassChoice:
        labels = dict.fromkeys(label for document in self._documents for label in document.labels)
        return ClassChoice.of(dict(enumerate(labels)), *self._wanted, where=self._what)

    @property
    def _chosen(self) -> list[_Named]:
        return self._selection.of(self._found, lambda found: found[0])

    @cached_property
    def _found(self) -> list[_Named]:
        """Name, what opens it, and what its frames show, of each video."""
        found: list[_Named] = []
        for document in self._documents:
            for name, opening, frames in self._videos_of(document):
                taken = {each for each, _, _ in found}
                stem = document.file.stem
                own = document.file.parent.name if stem == "annotations" else stem
                names = (name, f"{own}_{name}", *(f"{name}-{n}" for n in range(2, len(taken) + 3)))
                found.append((next(n for n in names if n not in taken), opening, frames))
        return found

    def _videos_of(self, document: CvatDocument) -> Iterator[_Named]:
        if document.images:
            yield from self._image_videos(document)
        else:
            for task in document.tasks:
                name = Path(task.source.replace("\\", "/")).stem or task.name or document.file.stem
                frames = partial(self._labelled_marks, document, task)
                yield name, partial(self._open_task, document=document, task=task), frames

    def _labelled_marks(self, document: CvatDocument, task: CvatTask) -> Iterator[tuple[int, Seen]]:
        """Yield the same as :meth:`_seen`, on labelled frames only."""
        chosen = set(self._keyframes(document, task, None)) if self._keyframes_only else None
        yield from (one for one in self._seen(document, task) if chosen is None or one[0] in chosen)

    def _seen(self, document: CvatDocument, task: CvatTask) -> Iterator[tuple[int, Seen]]:
        """Yield the frame number in the source and the shape, of all tracks of a task."""
        tracks = document.tracks_of(task)
        numbers = [mark.frame for track in tracks for mark in track.marks]
        frames: Sequence[int] = task.frames() or range(max(numbers, default=0) + 1)
        sparse = holds_keyframes_only(tracks, task.step)
        for track in tracks:
            for seen in follow(track, frames, sparse=sparse):
                yield seen.mark.frame, seen

    def _open_task(self, name: str, document: CvatDocument, task: CvatTask) -> FrameVideo:
        images, places, how = find_footage(task, document.file, self._images)
        frames: dict[int, list[Seen]] = defaultdict(list)
        for number, seen in self._seen(document, task):
            if places is not None and number not in places:
                raise DataError(
                    f"track {seen.track} has a shape on frame {number}, which is none of the task",
                    where=document.file,
                )
            frames[number if places is None else places[number]].append(seen)
        told = task.frames()
        labelled = None if told is None else [n if places is None else places[n] for n in told]
        notes = [how] if how else []
        filled = sum(seen.filled for own in frames.values() for seen in own)
        if filled:
            notes.append(f"shapes between keyframes are interpolated, as CVAT does: {filled}")
        if self._keyframes_only:
            labelled = self._keyframes(document, task, places)
        where = f"{document.file.name}, {name}"
        shapes = self._shapes(frames, task.size, where, notes)
        truth = ShapeTruth(shapes, None, labelled, announced=task.size, where=where)
        return FrameVideo(name, name, images, truth, tuple(notes))

    def _keyframes(
        self, document: CvatDocument, task: CvatTask, places: dict[int, int] | None
    ) -> list[int]:
        marks = [mark for track in document.tracks_of(task) for mark in track.marks]
        numbers = {mark.frame for mark in marks if mark.keyframe}
        told = task.frames()
        inside = numbers if told is None else numbers & set(told)
        return sorted(n if places is None else places[n] for n in inside)

    def _image_videos(self, document: CvatDocument) -> Iterator[_Named]:
        images = document.images
        if (clip := self._clip(document)) is not None:
            source = Path(clip.file).stem
            yield (
                source,
                partial(self._open_clip, document=document, clip=clip),
                partial(_image_frames, images),
            )
            return
        names = [image.name.replace("\\", "/") for image in images]
        for found in find_videos(names, self._pattern, default=self.name):
            own = [images[place] for place in found.pictures]
            opening = partial(self._open_images, images=own, file=document.file)
            yield found.name, opening, partial(_image_frames, own)

    def _clip(self, document: CvatDocument) -> ClipFrames | None:
        """Return the clip whose frames the images are, where there is one."""
        if not _is_one_clip(document.images):
            return None
        if self._images is not None:
            return ClipFrames(self._images) if self._images.is_file() else None
        source = document.tasks[0].source
        place = document.file.parent / Path(source.replace("\\", "/")).name
        return ClipFrames(place) if source and place.is_file() else None

    def _open_clip(self, name: str, document: CvatDocument, clip: ClipFrames) -> FrameVideo:
        frames: dict[int, list[Seen]] = {}
        for image in document.images:
            match = _FRAME_NAME.fullmatch(image.name)
            assert match is not None
            frames[int(match[1])] = [Seen(mark) for mark in image.marks]
        where, notes = f"{document.file.name}, {name}", list[str]()
        size = document.images[0].size
        shapes = self._shapes(frames, size, where, notes)
        truth = ShapeTruth(shapes, None, sorted(frames), announced=size, where=where)
        return FrameVideo(name, name, clip, truth, tuple(notes))

    def _open_images(self, name: str, images: Sequence[CvatImage], file: Path) -> FrameVideo:
        folders = [self._images] if self._images else [file.parent / "images", file.parent]
        files = tuple(find_picture(image.name, folders, file) for image in images)
        sizes = {image.size for image in images} - {None}
        if len(sizes) > 1:
            shown = ", ".join(sorted(map(str, sizes))[:3])
            raise DataError(
                f"the pictures of {name} have several sizes ({shown}), frames of a video have one",
                where=file,
                hint="are they no video? Then pattern=picture",
            )
        size = next(iter(sizes), None)
        frames = {n: [Seen(mark) for mark in image.marks] for n, image in enumerate(images)}
        where, notes = f"{file.name}, {name}", list[str]()
        shapes = self._shapes(frames, size, where, notes)
        states = RowFrames(self._labelled, [n for n, own in frames.items() if own])
        truth = ShapeTruth(shapes, states, announced=size, where=where)
        return FrameVideo(name, name, ImageSequence(files), truth, tuple(notes))

    def _shapes(
        self, frames: dict[int, list[Seen]], size: Size | None, where: str, notes: list[str]
    ) -> dict[int, list[Shape]]:
        """Return the shapes that count, and those of other classes that lie above them."""
        numbers = {name: number for number, name in self._choice.names.items()}
        values = {name: self._choice.value(number) for name, number in numbers.items()}
        found: dict[int, list[Shape]] = {}
        empty = Counter[str]()
        for place, own in frames.items():
            lowest = min((s.mark.order for s in own if values[s.mark.label] >= 0), default=None)
            shapes = []
            for seen in own:
                value, mark = values[seen.mark.label], seen.mark
                covers = lowest is not None and mark.order > lowest and mark.kind != "box"
                if value >= 0 or covers:
                    shape = shape_of(mark, value, size, seen.track, f"{where}, frame {place}")
                    shapes += [shape] if shape is not None else []
                    empty["none"] += shape is None
            if shapes:
                found[place] = shapes
        if empty["none"]:
            notes.append(f"shapes without area are left out: {empty['none']}")
        return found


_Named = tuple[str, Callable[[str], FrameVideo], Callable[[], Iterable[tuple[int, Seen]]]]


def _image_frames(images: Sequence[CvatImage]) -> Iterator[tuple[int, Seen]]:
    for place, image in enumerate(images):
        for mark in image.marks:
            yield place, Seen(mark)


def _is_one_clip(images: Sequence[CvatImage]) -> bool:
    """Return whether names are those that CVAT gives the frames of a clip."""
    return all(_FRAME_NAME.fullmatch(image.name) for image in images)


def _find_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = [*root.glob("*.xml"), *root.glob("*/annotations.xml")]
    if not found:
        raise DataError("holds no XML file", where=root, hint="give the file that CVAT exported")
    return sorted(found, key=lambda file: natural_key(file.relative_to(root).as_posix()))
