"""The split that is audited: which picture is on which side, from YOLO, COCO, folders or a list."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from vidseg.datasets._coco.annotations import CocoFrame, read_file
from vidseg.datasets._yolo.folder import YAML_NAMES, list_pictures, open_folder
from vidseg.datasets.coco import find_images
from vidseg.datasets.picture_names import SPLITS
from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import SUFFIXES, locate, natural_key
from vidseg.utils.paths import path_below, user_path

Kind = Literal["yolo", "coco", "folders", "list"]
TRAIN = "train"
_ALIASES = (TRAIN, "val", "test", "trainval", "valid", "validation")
HEAD = ("file", "split")


class SplitPicture(NamedTuple):
    """One picture of a split.

    Attributes:
        file: the picture.
        side: name of its side.
        name: path that says which video it is of; begins with the side where that may matter.
    """

    file: Path
    side: str
    name: str


@dataclass(frozen=True)
class GivenSplit:
    """A split as it was found.

    Attributes:
        kind: how it is written.
        sides: names of its sides; the first one is trained on.
        pictures: of all sides.
        sources: file or folder of each side; of YOLO the YAML file or folder, of a list the file.
        name: of the videos whose pictures have numbers only.
        images: folder of the pictures, where the user named it.
    """

    kind: Kind
    sides: tuple[str, ...]
    pictures: tuple[SplitPicture, ...]
    sources: tuple[Path, ...]
    name: str
    images: Path | None = None

    @property
    def datasets(self) -> list[dict[str, str]]:
        """Specs of the data sets that hold its labels; none of folders and lists."""
        if self.kind not in ("yolo", "coco"):
            return []
        where = {} if self.images is None else {"images": str(self.images)}
        return [{"use": self.kind, "path": str(file), **where} for file in self.sources]


def read_split(paths: Sequence[str | Path], images: str | Path | None = None) -> GivenSplit:
    """Find out which pictures are on which side.

    Args:
        paths: a YOLO ``data.yaml`` or its folder; a folder with one folder of pictures for each
            side; two or more COCO files, or folders of pictures, the one that is trained on first;
            or a CSV file with the columns file and split.
        images: folder of the pictures, where YOLO or COCO files stand elsewhere.

    Raises:
        UsageError: none of these.
        DataError: a side without pictures, or a file that is malformed.
    """
    places = [locate(str(path), what="audit", or_file=True) for path in paths]
    root = None if images is None else locate(str(images), what="images")
    if len(places) == 1:
        split = _alone(places[0], root)
    elif all(place.is_file() and place.suffix.lower() == ".json" for place in places):
        read = (_coco(place, root) for place in places)
        split = _of("coco", zip(_names(places), read, strict=True), places)
    elif all(place.is_dir() for place in places):
        split = _of("folders", zip(_names(places), map(_walk, places), strict=True), places)
    else:
        raise UsageError(
            "several paths have to be COCO files, or folders of pictures",
            where="audit",
            hint="give data.yaml, train.json val.json, two folders, or a CSV of file,split",
        )
    split = replace(split, images=root)
    if len(split.sides) < 2:
        raise DataError(
            f"has one side only ({', '.join(split.sides)})",
            where=f"audit {paths[0]}",
            hint="a split has pictures to train on and pictures to test on",
        )
    return split


def _alone(place: Path, root: Path | None) -> GivenSplit:
    if place.is_file() and place.suffix.lower() == ".csv":
        return _of("list", _listed(place), [place])
    if place.is_file() and place.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError("is no split", where=place, hint="give data.yaml or a CSV of file,split")
    if place.is_dir() and not any((place / name).is_file() for name in YAML_NAMES):
        folders = [
            one
            for one in sorted(place.iterdir())
            if one.name.lower() in SPLITS and one.is_dir() and not (one / "images").is_dir()
        ]
        if len(folders) > 1:
            return _of("folders", ((one.name, _walk(one)) for one in folders), folders)
    folder = open_folder(place, root)
    sides = (
        (side, ((one.file, one.name) for one in list_pictures(folder, entries)))
        for side, entries in folder.splits.items()
    )
    return _of("yolo", sides, [folder.file], bare=True)


def _of(
    kind: Kind,
    sides: Iterable[tuple[str, Iterable[tuple[Path, str]]]],
    sources: Sequence[Path],
    *,
    bare: bool = False,
) -> GivenSplit:
    """Return the split; names begin with a folder that stands for the side unless ``bare``."""
    found = {side: list(pictures) for side, pictures in sides}
    order = sorted(found, key=lambda side: side.lower() != TRAIN)
    pictures = []
    for place, side in enumerate(order):
        alias = _ALIASES[min(place, len(_ALIASES) - 1)]
        for file, name in found[side]:
            pictures.append(SplitPicture(file, side, name if bare else f"{alias}/{name}"))
    by_side = dict(zip(found, sources, strict=False))
    kept = [by_side[side] for side in order] if len(sources) == len(found) else list(sources)
    return GivenSplit(kind, tuple(order), tuple(pictures), tuple(kept), sources[0].stem)


def _names(places: Sequence[Path]) -> list[str]:
    """Return a name for each side: of its file or folder, with its parent's where they clash."""
    short = [place.stem if place.is_file() else place.resolve().name for place in places]
    if len(set(short)) == len(short):
        return short
    long = [
        f"{place.resolve().parent.name}/{name}" for place, name in zip(places, short, strict=True)
    ]
    if len(set(long)) < len(long):
        raise UsageError("one path is given twice", where="audit")
    return long


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not found:
        raise DataError("holds no picture", where=folder)
    for file in sorted(found, key=lambda file: natural_key(file.relative_to(folder).as_posix())):
        yield file, file.relative_to(folder).as_posix()


def _coco(file: Path, root: Path | None) -> Iterator[tuple[Path, str]]:
    frames = read_file(file).frames
    if not frames:
        raise DataError("lists no picture", where=file)
    folder = find_images(file, frames[0].file_name, root)
    for number, frame in enumerate(frames):
        picture = path_below(folder, frame.file_name)
        if picture is None or not picture.is_file():
            raise DataError(f"no picture {frame.file_name!r} in {folder}", where=file)
        yield picture, _coco_name(frame, number)


def _coco_name(frame: CocoFrame, place: int) -> str:
    if frame.video is None:
        return frame.file_name
    return f"{frame.video}/{frame.number if frame.number is not None else place:06d}.jpg"


def _listed(file: Path) -> Iterator[tuple[str, list[tuple[Path, str]]]]:
    """Yield the sides of a CSV list; relative files are below its folder, or the current one."""
    sides: dict[str, list[tuple[Path, str]]] = {}
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read as CSV ({error})", where=file) from error
    seen: dict[Path, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and tuple(cells) == HEAD):
            continue
        if len(cells) != len(HEAD) or not all(cells):
            raise DataError(f"row {number} is {','.join(row)!r}, not file,split", where=file)
        picture = _find(user_path(cells[0]), file.parent)
        if picture is None:
            raise DataError(f"no picture {cells[0]!r}", where=f"{file}, row {number}")
        if seen.setdefault(picture.absolute(), cells[1]) != cells[1]:
            raise DataError(f"{cells[0]!r} is on two sides", where=f"{file}, row {number}")
        sides.setdefault(cells[1], []).append((picture.absolute(), ""))
    common = os.path.commonpath([one.parent for one in seen]) if seen else ""
    for side, pictures in sides.items():
        yield side, [(one, one.relative_to(common).as_posix()) for one, _ in pictures]


def _find(given: Path, folder: Path) -> Path | None:
    return next((place for place in (folder / given, given) if place.is_file()), None)
