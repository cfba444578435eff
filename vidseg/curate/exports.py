"""A selection on disk: contact sheets, lists, and what annotation tools import.

The folder is written under another name beside its own and then renamed: it is whole, or it is not
there.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from vidseg import __version__
from vidseg.curate import sheet
from vidseg.curate.footage import Footage
from vidseg.curate.selection import ChosenFrame, Selection
from vidseg.errors import UsageError, VidsegError
from vidseg.media.contact_sheet import COLUMNS as PER_ROW
from vidseg.report.frames import unique_names
from vidseg.types import Image
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop

EXPORTS = ("list", "csv", "cvat", "yolo", "folder")
"""What a selection can be written as, beside its contact sheets and ``selection.json``."""
_WITH_PICTURES = {"cvat": "cvat/images", "yolo": "yolo/images", "folder": "frames"}
COLUMNS = ("video", "frame", "frame_from_1", "seconds", "file", "picture")


def check_output(output: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        UsageError: it does, or it is a file.
    """
    if output.exists() and not output.is_dir():
        raise UsageError("is a file, not a folder", where=output, hint="choose another --output")
    if output.is_dir() and any(output.iterdir()):
        raise UsageError("is not empty", where=output, hint="choose another --output")


def export(
    selection: Selection,
    footage: Sequence[Footage],
    output: Path,
    kinds: Sequence[str],
    progress: Progress,
) -> dict[str, Path]:
    """Write a selection into a new folder.

    Args:
        selection: what was chosen.
        footage: its videos, by the same names.
        output: an absent or empty folder.
        kinds: of :data:`EXPORTS`.
        progress: where to tell how far it is.

    Returns:
        Path of each kind, and of ``sheet`` (the first) and ``json``.

    Raises:
        UsageError: the folder holds something.
        DataError: a frame cannot be read.
        VidsegError: the folder cannot be written.
    """
    check_output(output)
    try:
        with _made(output) as folder:
            pictures = _pictures(selection, footage, folder, kinds, progress)
            files = {"json": _write(folder / "selection.json", _json(selection))}
            files["sheet"] = next(iter(sorted(folder.glob("contact-sheet*.png"))))
            if "list" in kinds:
                lines = "".join(f"{frame.place}\n" for frame in selection.frames)
                files["list"] = _write(folder / "frames.txt", lines)
            if "csv" in kinds:
                files["csv"] = _write(folder / "frames.csv", _csv(selection, pictures))
            if "cvat" in kinds:
                _write(folder / "cvat" / "annotations.xml", _cvat(selection, pictures))
                files["cvat"] = folder / "cvat"
            if "yolo" in kinds:
                (folder / "yolo" / "labels").mkdir(parents=True)
                files["yolo"] = _write(folder / "yolo" / "data.yaml", _yolo())
            if "folder" in kinds:
                files["folder"] = folder / "frames"
            return {kind: output / path.relative_to(folder) for kind, path in files.items()}
    except OSError as error:
        raise VidsegError(
            f"cannot be written: {error.strerror or error}",
            where=error.filename or output,
            hint="free the disk or choose another --output",
        ) from error


@contextlib.contextmanager
def _made(output: Path) -> Iterator[Path]:
    """Yield a folder that gets the name ``output`` when the block ends; it is removed on errors."""
    target = output.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    folder.mkdir()
    try:
        yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _pictures(
    selection: Selection,
    footage: Sequence[Footage],
    folder: Path,
    kinds: Sequence[str],
    progress: Progress,
) -> dict[ChosenFrame, str]:
    """Write contact sheets and pictures; return the name of each frame's picture."""
    places = [folder / _WITH_PICTURES[kind] for kind in kinds if kind in _WITH_PICTURES]
    for place in places:
        place.mkdir(parents=True)
    by_name = {video.name: video for video in footage}
    names = unique_names(video.name for video in selection.videos)
    found: dict[ChosenFrame, str] = {}
    tiles: list[list[Image]] = []
    most = sheet.MOST_SHEETS * sheet.ROWS * PER_ROW
    with progress.task("writing the frames", len(selection.frames)) as bar:
        for video in selection.videos:
            source, own = by_name[video.name], []
            images = source.frames([frame.index for frame in video.chosen])
            for frame, image in zip(video.chosen, images, strict=True):
                name = f"{names[video.name]}_{frame.index:06d}{_suffix(source, frame)}"
                found[frame] = name
                for place in places:
                    _save(image, source, frame, place / name)
                if len(found) <= most:
                    own.append(sheet.tile(image, frame))
                check_stop()
                bar.advance()
            tiles.append(own)
    _write_sheets(tiles, folder)
    return found


def _write_sheets(tiles: Sequence[Sequence[Image]], folder: Path) -> None:
    pages = sheet.sheets([own for own in tiles if own])[: sheet.MOST_SHEETS]
    for number, page in enumerate(pages, 1):
        name = "contact-sheet.png" if len(pages) == 1 else f"contact-sheet-{number:02d}.png"
        _png(page, folder / name)


def _suffix(source: Footage, frame: ChosenFrame) -> str:
    return ".png" if frame.file == source.path else frame.file.suffix.lower()


def _save(image: Image, source: Footage, frame: ChosenFrame, path: Path) -> None:
    """Copy the picture as it is; write a clip's frame as PNG."""
    if frame.file == source.path:
        _png(image, path)
    else:
        shutil.copyfile(frame.file, path)


def _png(image: Image, path: Path) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(image).save(path, "PNG")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _json(selection: Selection) -> str:
    data: dict[str, Any] = {
        "vidseg": __version__,
        "sampler": selection.sampler,
        "extractor": selection.extractor,
        "seed": selection.seed,
        "videos": [
            {
                "video": video.name,
                "path": str(video.path),
                "frames": video.frames,
                "width": video.size.width,
                "height": video.size.height,
                "fps": video.fps,
                "chosen": [frame.index for frame in video.chosen],
                "near_copies_of_chosen": round(video.covered, 4),
            }
            for video in selection.videos
        ],
        "redundancy": selection.spacing_rows(),
        "notes": list(selection.notes),
        "faults": list(selection.faults),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _csv(selection: Selection, pictures: dict[ChosenFrame, str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for frame in selection.frames:
        seconds = "" if frame.seconds is None else f"{frame.seconds:.3f}"
        row = [frame.video, frame.index, frame.index + 1, seconds, frame.file, pictures[frame]]
        writer.writerow(row)
    return out.getvalue()


def _cvat(selection: Selection, pictures: dict[ChosenFrame, str]) -> str:
    """Return an annotation file without annotations, in the format CVAT for images 1.1."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    place = 0
    for video in selection.videos:
        for frame in video.chosen:
            facts = {"id": place, "name": pictures[frame], "width": video.size.width}
            facts |= {"height": video.size.height}
            ElementTree.SubElement(root, "image", {key: str(one) for key, one in facts.items()})
            place += 1
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _yolo() -> str:
    data = {"path": ".", "train": "images", "val": "images", "names": {0: "object"}}
    head = "# Put one labels/NAME.txt beside each image; val should be frames of other scenes.\n"
    return head + yaml.safe_dump(data, sort_keys=False)
