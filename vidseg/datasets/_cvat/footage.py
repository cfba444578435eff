"""The frames that a CVAT task was labelled on: a clip, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from vidseg.datasets._cvat.document import CvatTask
from vidseg.datasets.files import FrameFiles
from vidseg.errors import DataError
from vidseg.media.clip import SUFFIXES as CLIP_SUFFIXES
from vidseg.media.clip import ClipFrames
from vidseg.media.image_folder import SUFFIXES, ImageSequence, list_images, numbers_of
from vidseg.utils.paths import path_below


class Footage(NamedTuple):
    """The frames of a task.

    Attributes:
        images: clip or pictures.
        places: index in ``images`` of each frame number of the source; None: the number itself.
        how: what a note says of the matching, or "".
    """

    images: FrameFiles
    places: dict[int, int] | None
    how: str = ""


def find_footage(task: CvatTask, file: Path, told: Path | None) -> Footage:
    """Return the frames of a task: what the user named, or what its source is called.

    Raises:
        DataError: they are not found, or do not fit the task.
    """
    place = _place(task, file, told)
    if place.is_file():
        return Footage(ClipFrames(place), None)
    return _match(ImageSequence(list_images(place)), task, place)


def _place(task: CvatTask, file: Path, told: Path | None) -> Path:
    if told is not None and told.is_file():
        return told
    bases = (
        [told] if told is not None else [file.parent, file.parent / "images", file.parent.parent]
    )
    stem = Path(task.source.replace("\\", "/")).stem
    names = [name for name in dict.fromkeys((task.source, stem, task.name, file.stem)) if name]
    for base in bases:
        for name in names:
            place = path_below(base, name)
            for one in _variants(place) if place is not None else ():
                if _has_pictures(one) or (one.is_file() and one.suffix.lower() in CLIP_SUFFIXES):
                    return one
    for base in bases if told is not None else [file.parent / "images", file.parent]:
        if _has_pictures(base):
            return base
    looked = ", ".join(str(base) for base in bases if base.is_dir())
    wanted = repr(task.source or task.name or file.stem)
    raise DataError(
        f"its frames, {wanted}, are not found (looked in {looked})",
        where=file,
        hint="give images=CLIP or images=FOLDER",
    )


def _has_pictures(folder: Path) -> bool:
    return folder.is_dir() and any(one.suffix.lower() in SUFFIXES for one in folder.iterdir())


def _variants(place: Path) -> Iterable[Path]:
    return (place, *(place.with_name(place.name + suffix) for suffix in sorted(CLIP_SUFFIXES)))


def _match(images: ImageSequence, task: CvatTask, folder: Path) -> Footage:
    """Pair pictures with frame numbers: by the numbers in their names, else by their order."""
    frames = task.frames()
    if frames is None:
        return Footage(images, None)
    numbers = numbers_of(images.files) or []
    known = set(numbers)
    if all(frame in known for frame in frames):
        return Footage(images, {number: place for place, number in enumerate(numbers)})
    if len(images) == len(frames):
        how = (
            "" if task.step == 1 and task.start == 0 else "pictures are the task's frames in order"
        )
        return Footage(images, {number: place for place, number in enumerate(frames)}, how)
    if len(images) > frames[-1]:
        return Footage(images, None)
    raise DataError(
        f"holds {len(images)} pictures, the task has {len(frames)} frames "
        f"({frames[0]} to {frames[-1]}, every {task.step})",
        where=folder,
        hint="give all frames of the source, or those of the task",
    )


def find_picture(name: str, folders: Sequence[Path], file: Path) -> Path:
    """Return the picture of a name, which may lack its suffix (frames of a clip do).

    Raises:
        DataError: it is not there, or the name leads out of the folder.
    """
    for folder in folders:
        place = path_below(folder, name)
        if place is None:
            what = f"the picture {name!r} lies outside of its folder"
            raise DataError(what, where=file, hint="mend the name")
        for one in (place, *(place.with_name(place.name + s) for s in _PICTURE_SUFFIXES)):
            if one.is_file() and one.suffix.lower() in SUFFIXES:
                return one
    looked = ", ".join(str(folder) for folder in folders if folder.is_dir())
    raise DataError(
        f"its picture {name!r} is not found (looked in {looked})",
        where=file,
        hint="restore it, or give images=FOLDER",
    )


_PICTURE_SUFFIXES = tuple(one for suffix in sorted(SUFFIXES) for one in (suffix, suffix.upper()))
