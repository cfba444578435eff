"""Which pictures a YOLO data set holds: ``data.yaml``, its splits, or bare folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.errors import DataError, UsageError
from vidseg.media.image_folder import SUFFIXES, natural_key
from vidseg.utils.paths import path_below
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.yaml import parse_foreign_yaml

SPLIT_KEYS = ("train", "val", "test")
YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_MOST_YAML = 1 << 20
_NO_LABELS = frozenset({"classes", "labels", "names", "notes", "readme", "train", "val", "test"})


@dataclass(frozen=True)
class YoloFolder:
    """What ``data.yaml`` says, or what the folders say where there is none.

    Attributes:
        root: the folder that all pictures lie in.
        names: class names by number; None where no file names them.
        splits: what each split's pictures are: folders or lists of files.
        keypoints: numbers that follow each box in pose labels.
        notes: what of the file is not as one would expect.
        file: the YAML file, or the folder.
    """

    root: Path
    names: Mapping[int, str] | None
    splits: Mapping[str, Sequence[Path]]
    keypoints: int
    notes: tuple[str, ...]
    file: Path


@dataclass(frozen=True)
class Picture:
    """One picture and where its labels would be.

    Attributes:
        file: the picture.
        labels: its label file, which need not exist.
        name: path below the data set's folder, with ``/``.
    """

    file: Path
    labels: Path
    name: str


def open_folder(place: Path, images: Path | None) -> YoloFolder:
    """Read what a data set's YAML file says, or look for folders of pictures and labels.

    Args:
        place: the YAML file, or a folder.
        images: folder of the pictures that the user named; None: where the YAML file stands.

    Raises:
        DataError: no such layout, or a YAML file that says something else.
    """
    if place.is_file():
        return _from_yaml(place, images)
    for name in YAML_NAMES:
        if (place / name).is_file():
            return _from_yaml(place / name, images)
    others = sorted(file for file in place.glob("*.y*ml") if _has_names(file))
    if len(others) > 1:
        shown = ", ".join(file.name for file in others)
        raise UsageError(f"several data files: {shown}", where=place, hint="give one of them")
    return _from_yaml(others[0], images) if others else _bare(place, images)


def _has_names(file: Path) -> bool:
    try:
        return b"names" in file.read_bytes()[:_MOST_YAML]
    except OSError:
        return False


def _bare(place: Path, images: Path | None) -> YoloFolder:
    """Return the layout without a YAML file: images/ and labels/, or train/images and so on."""
    root = images or place
    splits = {}
    for split in (*SPLIT_KEYS, "valid"):
        for folder in (root / split / "images", root / "images" / split):
            if folder.is_dir():
                splits["val" if split == "valid" else split] = [folder]
    if not splits and (root / "images").is_dir():
        splits["train"] = [root / "images"]
    if not splits and any(file.suffix.lower() in SUFFIXES for file in root.iterdir()):
        splits["train"] = [root]
    if not splits:
        state = "holds no YOLO data set" if any(root.iterdir()) else "is empty"
        raise DataError(
            state, where=root, hint="give data.yaml, or a folder with images and labels"
        )
    files = (root / "classes.txt", root / "labels" / "classes.txt", root / "obj.names")
    named = next((file for file in files if file.is_file()), None)
    names = None if named is None else dict(enumerate(named.read_text("utf-8").split("\n")))
    names = names and {number: name.strip() for number, name in names.items() if name.strip()}
    return YoloFolder(root, names, splits, 0, (), place)


def _from_yaml(file: Path, images: Path | None) -> YoloFolder:
    if file.stat().st_size > _MOST_YAML:
        raise DataError("is larger than 1 MB: no data.yaml", where=file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read as text", where=file) from error
    content = parse_foreign_yaml(text, where=file)
    if not isinstance(content, dict) or not any(key in content for key in SPLIT_KEYS):
        raise DataError("has no train, val or test", where=file, hint="is it a YOLO data.yaml?")
    names, notes = _names(content, file)
    root, looked = _root(content.get("path"), file, images)
    splits = {}
    for key in SPLIT_KEYS:
        entries = content.get(key)
        entries = entries if isinstance(entries, list) else [entries]
        found = [_entry(str(one), root, file, looked) for one in entries if one]
        if found:
            splits[key] = found
    shape = content.get("kpt_shape")
    whole = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    keypoints = shape[0] * shape[1] if whole and shape else 0
    return YoloFolder(root, names, splits, keypoints, tuple(notes), file)


def _names(content: Mapping[str, Any], file: Path) -> tuple[dict[int, str] | None, list[str]]:
    given = content.get("names")
    if given is None:
        return None, []
    listed = dict(enumerate(given)) if isinstance(given, list) else given
    if not isinstance(listed, dict) or not all(type(key) is int for key in listed):
        raise DataError("names is neither a list nor a map from numbers", where=file)
    if not all(isinstance(name, str | int | float) for name in listed.values()):
        raise DataError("a name in names is no text", where=file)
    names = {number: str(name) for number, name in listed.items()}
    count = content.get("nc")
    differs = count is not None and count != len(names)
    return names, [f"nc says {count} classes, names has {len(names)}"] if differs else []


def _root(path: object, file: Path, images: Path | None) -> tuple[Path, list[Path]]:
    """Return the folder that splits are below, and the places that were looked at for it.

    ``path`` is often absolute on the machine where the file was made, or below a folder of data
    sets that is not here: then its last parts are looked for beside the file.
    """
    here = file.parent
    if images is not None:
        return images, [images, here]
    if not path:
        return here, [here]
    given = Path(str(path).replace("\\", "/"))
    if given.is_absolute() and given.is_dir() and given.resolve().is_relative_to(here.resolve()):
        return given, [given]
    parts = [part for part in given.parts if part not in (given.anchor, "..", ".")]
    looked = [here.joinpath(*parts[start:]) for start in range(len(parts))] + [here]
    return next(place for place in looked if place.is_dir()), looked


def _entry(text: str, root: Path, file: Path, looked: Sequence[Path]) -> Path:
    """Return the folder or list that an entry of a split names, inside of the root.

    Leading ``../`` and absolute parts, of the place where the file was made, are cut off until
    something is there.
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    roots = [root, *(place for place in looked if place.is_dir() and place != root)]
    leading = sum(1 for part in parts if part == "..") if ".." in parts else 0
    absolute = text.startswith("/") or text[1:2] == ":"
    starts = range(len(parts)) if absolute else range(leading + 1)
    for base in roots:
        for start in starts:
            place = path_below(base, "/".join(parts[start:]))
            if place is not None and place.exists():
                return place
    shown = ", ".join(str(place) for place in dict.fromkeys([*roots, *looked]))
    raise DataError(
        f"{text!r} is not there (looked in {shown})",
        where=file,
        hint="put the pictures beside the file, or give images=FOLDER",
    )


def chosen_splits(folder: YoloFolder, split: str) -> dict[str, Sequence[Path]]:
    """Return the wanted splits: one, or with ``all`` those that there are.

    Raises:
        UsageError: there is no such split.
    """
    if split == "all":
        return dict(folder.splits)
    if split not in folder.splits:
        known = ", ".join(folder.splits)
        hint = f"{did_you_mean(split, folder.splits)}there are {known}, or all"
        raise UsageError(f"there is no split {split!r}", where=folder.file, hint=hint)
    return {split: folder.splits[split]}


def list_pictures(folder: YoloFolder, entries: Sequence[Path]) -> Iterator[Picture]:
    """Yield the pictures of a split, each once.

    Raises:
        DataError: a folder without pictures, a list that names an absent one, or a label file
            whose picture is absent.
    """
    seen = set()
    for entry in entries:
        listed = _walk(entry) if entry.is_dir() else _read_list(entry, folder)
        pictures = [_picture(file, folder.root) for file in listed]
        if not pictures:
            raise DataError("holds no picture", where=entry)
        if entry.is_dir():
            _check_alone(entry, pictures)
        for picture in pictures:
            if picture.file not in seen:
                seen.add(picture.file)
                yield picture


def _walk(folder: Path) -> list[Path]:
    found = [
        Path(place) / name
        for place, inner, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    return sorted(found, key=lambda file: natural_key(file.relative_to(folder).as_posix()))


def _read_list(file: Path, folder: YoloFolder) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("is neither a folder nor a list of pictures", where=file) from error
    return [
        _listed(line.strip(), number, file, folder)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _listed(text: str, line: int, file: Path, folder: YoloFolder) -> Path:
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    absolute = text.startswith("/") or text[1:2] == ":"
    for base in (folder.root, file.parent):
        for start in range(len(parts) if absolute else 1):
            place = path_below(base, "/".join(parts[start:]))
            if place is not None and place.is_file():
                return place
    raise DataError(
        f"no picture {text!r} in {folder.root}",
        where=f"{file}:{line}",
        hint="restore it, delete the line, or give images=FOLDER",
    )


def _picture(file: Path, root: Path) -> Picture:
    """Return the picture with its labels: ``labels`` for the last ``images``, or beside it."""
    inside = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    parts = list(inside.parts)
    base = root
    if "images" not in parts[:-1] and root.name == "images":
        base, parts = root.parent, [root.name, *parts]
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index("images")
        parts[last] = "labels"
        labels = base.joinpath(*parts).with_suffix(".txt")
        if labels.is_file() or not file.with_suffix(".txt").is_file():
            return Picture(file, labels, inside.as_posix())
    return Picture(file, file.with_suffix(".txt"), inside.as_posix())


def _check_alone(entry: Path, pictures: Sequence[Picture]) -> None:
    """Refuse label files whose picture is absent."""
    known = {picture.labels for picture in pictures}
    folders = {picture.labels.parent for picture in pictures}
    alone = [
        file
        for folder in sorted(folders)
        if folder.is_dir()
        for file in sorted(folder.glob("*.txt"))
        if file not in known and file.stem.lower() not in _NO_LABELS
    ]
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise DataError(
            f"no picture for these labels{more}",
            where=alone[0],
            hint=f"restore the picture in {entry}, or delete the labels",
        )
