"""A split of the same pictures in which no scene is on two sides, written as the given one is."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from vidseg.curate.audit.given import HEAD, GivenSplit
from vidseg.curate.exports import check_output
from vidseg.datasets._yolo.folder import open_folder
from vidseg.errors import DataError, StoreError
from vidseg.utils.stop import check_stop
from vidseg.utils.yaml import parse_foreign_yaml


def scene_disjoint(split: GivenSplit, scenes: Sequence[int]) -> list[str]:
    """Return a side for each picture: whole scenes, in shares near those of the given split.

    Large scenes are placed first, each where most pictures are missing; of equals, where most of
    its pictures are already.

    Raises:
        DataError: there are fewer scenes than sides.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for picture, scene in enumerate(scenes):
        members[scene].append(picture)
    if len(members) < len(split.sides):
        raise DataError(
            f"all pictures are of {len(members)} scene{'s' * (len(members) > 1)}: they cannot be "
            f"put on {len(split.sides)} sides",
            where="audit",
            hint="add pictures of other scenes",
        )
    missing = Counter(picture.side for picture in split.pictures)
    placed: dict[int, str] = {}
    for scene in sorted(members, key=lambda one: (-len(members[one]), one)):
        own = Counter(split.pictures[picture].side for picture in members[scene])
        empty = [side for side in split.sides if side not in placed.values()]
        open_sides = empty if len(members) - len(placed) <= len(empty) else split.sides
        side = max(
            open_sides,
            key=lambda one: (missing[one] >= len(members[scene]), missing[one], own[one]),
        )
        placed[scene] = side
        missing[side] -= len(members[scene])
    return [placed[scene] for scene in scenes]


def read_back(split: GivenSplit, output: Path) -> str:
    """Return how ``vidseg audit`` reads a written split again."""
    if split.kind == "folders":
        return f"{output}"
    if split.kind == "list":
        return f"{output / 'split.csv'}"
    if split.kind == "yolo":
        root = open_folder(split.sources[0], split.images).root
        return f"{output / 'data.yaml'} --images {root}"
    files = " ".join(str(output / f"{side}.json") for side in split.sides)
    return f"{files} --images {_root(split)}"


def write_split(split: GivenSplit, sides: Sequence[str], output: Path) -> None:
    """Write a split into a new folder, in the format of the given one; pictures stay in place.

    YOLO: ``data.yaml`` with a list of pictures for each side. COCO: a file for each side. A list: a
    list. Folders: folders of links to the pictures, or of copies where the disk has no links.

    Raises:
        UsageError: the folder holds something.
        StoreError: it cannot be written.
    """
    check_output(output)
    writers: dict[str, Callable[[GivenSplit, Sequence[str], Path], None]] = {
        "yolo": partial(_write_yolo, final=output.absolute()),
        "coco": _write_coco,
        "folders": _write_folders,
        "list": _write_list,
    }
    made = output.absolute().parent / f".{output.name}.{secrets.token_hex(4)}"
    try:
        made.mkdir(parents=True)
        writers[split.kind](split, sides, made)
        if output.is_dir():
            output.rmdir()
        made.rename(output)
    except OSError as error:
        raise StoreError(f"cannot be written ({error.strerror})", where=output) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write_yolo(split: GivenSplit, sides: Sequence[str], folder: Path, *, final: Path) -> None:
    """Write lists under names that no given list has, and that trainers find whatever ``path`` is.

    Args:
        split: the given split.
        sides: of each picture.
        folder: where the files are made.
        final: where they will be.
    """
    source = split.sources[0]
    content: Any = {}
    if source.is_file():
        content = parse_foreign_yaml(source.read_text("utf-8-sig"), where=source)
    root = str(open_folder(source, split.images).root.absolute())
    content = {k: v for k, v in content.items() if k not in (*split.sides, "download")}
    content["path"] = root
    for side in split.sides:
        chosen = [p.file for p, own in zip(split.pictures, sides, strict=True) if own == side]
        lines = "".join(f"{file.absolute()}\n" for file in chosen)
        name = f"{side}_disjoint.txt"
        (folder / name).write_text(lines, encoding="utf-8")
        content[side] = str(final / name)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, encoding="utf-8")


def _write_coco(split: GivenSplit, sides: Sequence[str], folder: Path) -> None:
    documents = [json.loads(file.read_text("utf-8")) for file in split.sources]
    if any("videos" in document for document in documents):
        raise DataError(
            "a file with videos is not written",
            where=split.sources[0],
            hint="use --write of a list",
        )
    root = _root(split)
    wanted = defaultdict(list)
    place = 0
    for document in documents:
        notes = defaultdict(list)
        for note in document.get("annotations", ()):
            notes[note["image_id"]].append(note)
        for image in document["images"]:
            name = split.pictures[place].file.absolute().relative_to(root).as_posix()
            wanted[sides[place]].append(({**image, "file_name": name}, notes[image["id"]]))
            place += 1
    for side in split.sides:
        check_stop()
        images: list[Any] = []
        annotations: list[Any] = []
        for number, (image, own) in enumerate(wanted[side], 1):
            images.append({**image, "id": number})
            for note in own:
                annotations.append({**note, "id": len(annotations) + 1, "image_id": number})
        rest = {k: v for k, v in documents[0].items() if k not in ("images", "annotations")}
        document = {**rest, "images": images, "annotations": annotations}
        (folder / f"{side}.json").write_text(json.dumps(document), encoding="utf-8")


def _root(split: GivenSplit) -> Path:
    return Path(os.path.commonpath([one.file.absolute().parent for one in split.pictures]))


def _write_folders(split: GivenSplit, sides: Sequence[str], folder: Path) -> None:
    for picture, side in zip(split.pictures, sides, strict=True):
        check_stop()
        target = folder / side / picture.name.partition("/")[2]
        if target.exists():
            target = folder / side / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(picture.file, target)
        except OSError:
            shutil.copy2(picture.file, target)


def _write_list(split: GivenSplit, sides: Sequence[str], folder: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for picture, side in zip(split.pictures, sides, strict=True):
        writer.writerow([picture.file.absolute(), side])
    (folder / "split.csv").write_text(text.getvalue(), encoding="utf-8")
